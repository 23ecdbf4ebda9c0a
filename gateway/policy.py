"""What every route and every frame needs: one line each. What has no line here is refused.

Routes stand as their own file spells them, without `/api/v1`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.permissions import Permission as P
from gateway.errors import NOT_FOUND_DETAIL


class Open(Enum):
    """Doors that no permission is needed for."""

    PUBLIC = "public"
    SIGNED_IN = "signed in"
    ENROLLING = "signed in, or about to enrol the second factor that is required"


@dataclass(frozen=True, slots=True)
class OwnOr:
    """Open to the user whom the path names, and to whoever has a permission."""

    permission: P


@dataclass(frozen=True, slots=True)
class Hidden:
    """Open to whoever has a permission. Who does not see the platform finds nothing there."""

    permission: P


@dataclass(frozen=True, slots=True)
class Granted:
    """Open to whoever has a permission in the tenant of the path, as somebody of the role that he is
    granted there. Without a grant there is nothing: that is looked at behind the gate, for each request."""

    permission: P


Need = Open | P | OwnOr | Hidden | Granted

DENIED: Final = "your role does not permit this"
"""What somebody is told whom a line does not let pass, whatever he asked about."""

ROUTES: Final[Mapping[str, Need]] = {
    "POST /auth/login": Open.PUBLIC,
    "POST /auth/refresh": Open.PUBLIC,
    "POST /auth/login/second-factor": Open.PUBLIC,
    "GET /auth/oidc/{tenant}/start": Open.PUBLIC,
    "GET /auth/oidc/{tenant}/callback": Open.PUBLIC,
    "POST /auth/oidc/{tenant}/session": Open.PUBLIC,
    "POST /auth/logout": Open.ENROLLING,
    "GET /auth/second-factor": Open.ENROLLING,
    "POST /auth/second-factor": Open.ENROLLING,
    "POST /auth/second-factor/confirm": Open.ENROLLING,
    "POST /auth/second-factor/remove": Open.SIGNED_IN,
    "POST /auth/second-factor/recovery-codes": Open.SIGNED_IN,
    "GET /auth/me": Open.SIGNED_IN,
    "PATCH /auth/me": Open.SIGNED_IN,
    "POST /auth/ws-ticket": Open.SIGNED_IN,
    "POST /auth/password": Open.SIGNED_IN,
    "POST /auth/logout-everywhere": Open.SIGNED_IN,
    "POST /auth/register": Open.PUBLIC,
    "POST /auth/invitations/accept": Open.PUBLIC,
    "GET /policies/second-factor": Open.SIGNED_IN,
    "PUT /policies/second-factor": P.USERS_WRITE,
    "GET /policies/registration": P.USERS_READ,
    "PUT /policies/registration": P.USERS_WRITE,
    "GET /invitations": P.USERS_READ,
    "POST /invitations": P.USERS_WRITE,
    "DELETE /invitations/{invitation}": P.USERS_WRITE,
    "GET /users": P.USERS_READ,
    "POST /users": P.USERS_WRITE,
    "GET /users/{user}": P.USERS_READ,
    "PATCH /users/{user}": P.USERS_WRITE,
    "DELETE /users/{user}": P.USERS_WRITE,
    "GET /users/{user}/sessions": OwnOr(P.USERS_READ),
    "DELETE /users/{user}/sessions/{session}": OwnOr(P.USERS_WRITE),
    "POST /users/{user}/approve": P.USERS_WRITE,
    "POST /users/{user}/disable": P.USERS_WRITE,
    "POST /users/{user}/enable": P.USERS_WRITE,
    "POST /users/{user}/password": P.USERS_WRITE,
    "POST /users/{user}/logout-everywhere": P.USERS_WRITE,
    "POST /users/{user}/second-factor/reset": P.USERS_WRITE,
    "GET /tenants/current/identity-provider": P.USERS_READ,
    "PUT /tenants/current/identity-provider": P.USERS_WRITE,
    "DELETE /tenants/current/identity-provider": P.USERS_WRITE,
    "POST /tenants/current/identity-provider/test": P.USERS_WRITE,
    "GET /tenants/current/directory": P.USERS_READ,
    "PUT /tenants/current/directory": P.USERS_WRITE,
    "DELETE /tenants/current/directory": P.USERS_WRITE,
    "POST /tenants/current/directory/test": P.USERS_WRITE,
    "GET /auth/grants": Open.SIGNED_IN,
    "GET /users/{user}/grants": Hidden(P.PLATFORM_READ),
    "PUT /users/{user}/grants/{tenant}": Hidden(P.PLATFORM_WRITE),
    "DELETE /users/{user}/grants/{tenant}": Hidden(P.PLATFORM_WRITE),
    "GET /tenants": Hidden(P.PLATFORM_READ),
    "POST /tenants": Hidden(P.PLATFORM_WRITE),
    "GET /tenants/{tenant}": Hidden(P.PLATFORM_READ),
    "PATCH /tenants/{tenant}": Hidden(P.PLATFORM_WRITE),
    "DELETE /tenants/{tenant}": Hidden(P.PLATFORM_WRITE),
    "POST /tenants/{tenant}/suspend": Hidden(P.PLATFORM_WRITE),
    "POST /tenants/{tenant}/resume": Hidden(P.PLATFORM_WRITE),
    "POST /tenants/{tenant}/cancel-deletion": Hidden(P.PLATFORM_WRITE),
    "GET /tenants/{tenant}/rooms": Granted(P.ROOMS_READ),
    "GET /tenants/{tenant}/rooms/{room}": Granted(P.ROOMS_READ),
    "GET /tenants/{tenant}/rooms/{room}/entries": Granted(P.ROOMS_READ),
    "GET /tenants/{tenant}/users": Granted(P.USERS_READ),
    "GET /tenants/{tenant}/audit-logs": Granted(P.AUDIT_READ),
    "GET /permissions": Open.SIGNED_IN,
    "GET /roles": P.USERS_READ,
    "POST /roles": P.USERS_WRITE,
    "GET /roles/{role}": P.USERS_READ,
    "PATCH /roles/{role}": P.USERS_WRITE,
    "DELETE /roles/{role}": P.USERS_WRITE,
    "GET /rooms": P.ROOMS_READ,
    "POST /rooms": P.ROOMS_CREATE,
    "GET /rooms/{room}": P.ROOMS_READ,
    "PATCH /rooms/{room}": P.ROOMS_WRITE,
    "GET /rooms/{room}/members": P.ROOMS_READ,
    "PUT /rooms/{room}/members/{user}": P.ROOMS_WRITE,
    "DELETE /rooms/{room}/members/{user}": P.ROOMS_WRITE,
    "GET /rooms/{room}/entries": P.ROOMS_READ,
    "POST /rooms/{room}/entries": P.ROOMS_WRITE,
    "GET /rooms/{room}/chain": P.EVIDENCE_READ,
    "GET /rooms/{room}/verify": P.EVIDENCE_READ,
    "GET /audit-logs": P.AUDIT_READ,
    "GET /audit-logs/export": P.AUDIT_READ,
    "GET /integrations/nats-credentials": P.INTEGRATIONS_READ,
    "POST /integrations/nats-credentials": P.INTEGRATIONS_WRITE,
    "GET /integrations/nats-credentials/{credential}": P.INTEGRATIONS_READ,
    "POST /integrations/nats-credentials/{credential}/rotate": P.INTEGRATIONS_WRITE,
    "DELETE /integrations/nats-credentials/{credential}": P.INTEGRATIONS_WRITE,
    # Outside /api/v1.
    "GET /livez": Open.PUBLIC,
    "GET /readyz": Open.PUBLIC,
    "GET /version": Open.PUBLIC,
    "GET /metrics": Open.PUBLIC,
    "GET /.well-known/jwks.json": Open.PUBLIC,
    "GET /openapi.json": Open.PUBLIC,
    "GET /openapi.yaml": Open.PUBLIC,
    "GET /docs": Open.PUBLIC,
    "GET /redoc": Open.PUBLIC,
}
"""Every route. The socket is not among them: whoever opens it may say hello, and nothing else before."""

FRAMES: Final[Mapping[str, Need]] = {
    "hello": Open.PUBLIC,
    "ping": Open.SIGNED_IN,
    "subscribe": P.ROOMS_READ,
    "unsubscribe": P.ROOMS_READ,
    "post": P.ROOMS_WRITE,
}
"""Every frame that a client may send."""


def allows(need: Need | None, permissions: frozenset[P], *, own: bool = False) -> bool:
    """Whether somebody who is signed in may pass; what has no line lets nobody pass.

    Args:
        need: the line of a route or a frame.
        permissions: what is permitted to him.
        own: whether what is asked for is about himself.
    """
    match need:
        case Open():
            return True
        case P():
            return need in permissions
        case OwnOr():
            return own or need.permission in permissions
        case Hidden():
            return need.permission in permissions
        case Granted():
            return True
        case None:
            return False


def refusal(need: Need | None, permissions: frozenset[P]) -> Refusal:
    """What somebody is told whom a line does not let pass."""
    if isinstance(need, Hidden) and P.PLATFORM_READ not in permissions:
        return nothing_here()
    return Refusal(ErrorCode.FORBIDDEN, DENIED)


def nothing_here() -> Refusal:
    """What is told where somebody has nothing to look for: the same as of a path that is none."""
    return Refusal(ErrorCode.NOT_FOUND, NOT_FOUND_DETAIL)
