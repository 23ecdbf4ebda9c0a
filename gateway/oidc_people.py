"""People whom an identity provider knows, as users of a tenant: made when they first sign in, kept in step.

Who somebody is say issuer and subject, from which the user's id is made. Nobody becomes another user by
having his name or e-mail: the tenant's actor refuses names that are taken.
"""

import secrets
from typing import Any, Final

import structlog

from actors.client import ActorClient
from actors.protocol.commands import Command, CreateUser, Origin, SynchroniseUser
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM, derived_id
from actors.protocol.roles import Role
from gateway.oidc.errors import SignInRefused
from gateway.oidc.person import Person
from store.rows import UserRow
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)

RECORDER: Final = "identity_provider"
"""In whose name it is recorded what a provider says."""
NO_ROLE: Final = "none of his groups gives a role"


class OidcPeople:
    """Turns people into users."""

    def __init__(self, actors: ActorClient) -> None:
        self._actors = actors

    async def user_of(
        self, reader: TenantReader, issuer: str, person: Person, role: Role | None, origin: Origin
    ) -> UserRow:
        """The active user whom the provider `issuer` means.

        Args:
            reader: of the tenant.
            issuer: of the provider, to the letter.
            person: whom it has recognised.
            role: which his groups give him; None: he may not come in.
            origin: where the request came from, for the record.

        Raises:
            SignInRefused: he may not sign in.
            Refusal, OutcomeUnknown: it could not be recorded.
        """
        user = derived_id("usr", reader.tenant, "oidc", issuer, person.subject)
        row = await reader.user(user)
        if role is None:
            await self._suspend(reader.tenant, row)
            raise SignInRefused("no_role", user if row is not None else "")
        if row is None:
            await self._create(reader, user, f"{issuer}#{person.subject}", person, role, origin)
        elif row.disabled or row.deleted:
            # An administrator's word comes before the provider's.
            raise SignInRefused("disabled_here", user)
        else:
            await self._in_step(reader.tenant, row, person, role)
        row = await reader.user(user)
        if row is None or not row.is_active:
            raise SignInRefused("not_active", user if row is not None else "")
        return row

    async def _suspend(self, tenant: str, row: UserRow | None) -> None:
        if row is None or row.suspended or row.deleted:
            return
        command = SynchroniseUser(
            **_by_the_provider(), user=row.user, present=False, reason=NO_ROLE
        )
        await self._tell(tenant, command)

    async def _in_step(self, tenant: str, row: UserRow, person: Person, role: Role) -> None:
        present = (role, person.display_name, person.email, False)
        if (row.role, row.display_name, row.email, row.suspended) == present:
            return
        command = SynchroniseUser(
            **_by_the_provider(),
            user=row.user,
            present=True,
            user_role=role,
            display_name=person.display_name,
            email=person.email,
        )
        await self._tell(tenant, command)

    async def _tell(self, tenant: str, command: Command) -> None:
        try:
            await self._actors.send(tenant, TENANT_ROOM, command)
        except Refusal as refusal:
            # He is so already (an e-mail that another user has stays out), or he was deleted meanwhile.
            if refusal.code not in (ErrorCode.CONFLICT, ErrorCode.NOT_FOUND):
                raise

    async def _create(
        self,
        reader: TenantReader,
        user: str,
        key: str,
        person: Person,
        role: Role,
        origin: Origin,
    ) -> None:
        # An e-mail that somebody has here is left out: it leads to him, and to nobody else.
        for email in dict.fromkeys((person.email, None)):
            command = CreateUser(
                **_by_the_provider(origin),
                user=user,
                username=person.username,
                email=email,
                display_name=person.display_name,
                user_role=role,
                password_hash="",
                provider_key=key,
            )
            try:
                await self._actors.send(reader.tenant, TENANT_ROOM, command)
                return
            except Refusal as refusal:
                if refusal.code not in (ErrorCode.CONFLICT, ErrorCode.INVALID):
                    raise
                log.warning("oidc.user_refused", tenant=reader.tenant, code=refusal.code)
            # A second sign-in of his own may have been faster.
            if await reader.user(user) is not None:
                return
        raise SignInRefused("name_taken")


def _by_the_provider(origin: Origin | None = None) -> dict[str, Any]:
    return {
        "client_id": secrets.token_urlsafe(16),
        "actor": RECORDER,
        "role": Role.SYSTEM,
        "origin": origin or Origin(method="system"),
    }
