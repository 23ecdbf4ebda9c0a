"""Whether what a token says still holds, and what is permitted to whoever has it."""

from dataclasses import dataclass, replace

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import (
    is_role_id,
)
from actors.protocol.permissions import Permission, capability, known_permissions, permitted
from gateway.limits import (
    ENDED_SESSIONS_KEPT_MAX,
)
from gateway.tokens import Principal
from store.reader import Reader
from store.tenant_reader import TenantReader


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody whose token holds: who he is now, his tenant's readings, and what is permitted to him."""

    principal: Principal
    reader: TenantReader
    permissions: frozenset[Permission]


class SessionCheck:
    """Whether what a token says still holds."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._ended: dict[tuple[str, str], None] = {}
        self._news = 0

    def end(self, tenant: str, ended: list[str]) -> None:
        """Take note that sessions have ended, and what roles permitted: an answer of the store may be a
        moment older."""
        self._news += 1
        self._ended.update(((tenant, name), None) for name in ended if not is_role_id(name))
        while len(self._ended) > ENDED_SESSIONS_KEPT_MAX:
            del self._ended[next(iter(self._ended))]

    async def tenant_of(self, principal: Principal, *, enrolling: bool = False) -> TenantReader:
        """The reader of the principal's tenant. REST and sockets both come by here, so whoever may only
        enrol a second factor gets no further by the one than by the other.

        Args:
            principal: who is asking.
            enrolling: what he asks for is needed to enrol.

        Raises:
            Refusal: `UNAUTHENTICATED`: the tenant is gone or the session has ended;
                `ENROLMENT_REQUIRED`: he must enrol a second factor first.
        """
        tenant = await self._reader.tenant(principal.tenant)
        if tenant is None:
            raise Refusal(ErrorCode.UNAUTHENTICATED, "sign in again")
        active = await tenant.session_active(principal.session)
        if not active or (principal.tenant, principal.session) in self._ended:
            raise Refusal(ErrorCode.UNAUTHENTICATED, "the session has ended; sign in again")
        if principal.restricted and not enrolling:
            detail = (
                "this tenant requires a second factor: enrol one at /api/v1/auth/second-factor, "
                "then refresh the token"
            )
            raise Refusal(ErrorCode.ENROLMENT_REQUIRED, detail)
        return tenant

    async def admit(self, principal: Principal, *, enrolling: bool = False) -> Admitted:
        """Who a token's owner is now, and what is permitted to him. What a custom role permits is read
        every time: it changes without the tokens of those who have it.

        Args:
            principal: who is asking.
            enrolling: what he asks for is needed to enrol a second factor.

        Raises:
            Refusal: `UNAUTHENTICATED`: the tenant is gone or the session has ended;
                `ENROLMENT_REQUIRED`: he must enrol a second factor first.
        """
        reader = await self.tenant_of(principal, enrolling=enrolling)
        if not principal.custom_role:
            return Admitted(principal, reader, permitted(principal.tenant, principal.role))
        while True:
            heard = self._news
            permissions = await self._permitted(reader, principal.custom_role)
            if heard == self._news:
                break
        now = replace(principal, role=capability(permissions))
        return Admitted(now, reader, permissions)

    async def _permitted(self, reader: TenantReader, role: str) -> frozenset[Permission]:
        row = await reader.people.role(role)
        return known_permissions(row.permissions) if row is not None else frozenset()
