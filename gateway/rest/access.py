"""What every REST handler may depend on: the parts it uses, who is asking, and which page of a list."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict

from actors.client import ActorClient
from actors.protocol.commands import Origin
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import ROOM_PATTERN, TOKEN_PATTERN
from actors.protocol.permissions import Permission
from gateway.auth import SignIn
from gateway.directory_services import DirectoryServices
from gateway.evidence import EvidenceReads
from gateway.joining import Joining
from gateway.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from gateway.oidc_services import OidcServices
from gateway.passwords import PasswordCheck
from gateway.policy import ROUTES, Open, allows, refusal
from gateway.rate_limits import Buckets
from gateway.rooms import visible_room
from gateway.second_factor import SecondFactors
from gateway.session_check import SessionCheck
from gateway.sockets import Sockets
from gateway.tokens import Principal, Tokens
from store.reader import Reader
from store.rows import RoomRow
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)

Verifier = Callable[[str, str], AsyncIterator[dict[str, Any]]]
"""Verifies a room (tenant, room) and tells how it goes, a JSON object at a time."""


@dataclass(frozen=True, slots=True)
class RestServices:
    """The parts that REST handlers use."""

    reader: Reader
    actors: ActorClient
    tokens: Tokens
    sign_in: SignIn
    sessions: SessionCheck
    sockets: Sockets
    verifier: Verifier
    evidence: EvidenceReads
    passwords: PasswordCheck
    directory: DirectoryServices
    second_factors: SecondFactors
    oidc: OidcServices
    session_limit: Buckets
    joining: Joining
    tenant_deletion_days: int


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, the readings of his tenant, and what is permitted to him."""

    principal: Principal
    reader: TenantReader
    origin: Origin
    permissions: frozenset[Permission]


class Body(BaseModel):
    """A request body: nothing more than it says, no type bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _services(request: Request) -> RestServices:
    services = request.app.state.rest
    if not isinstance(services, RestServices):
        raise TypeError("the application was not made by create_app")
    return services


Services = Annotated[RestServices, Depends(_services)]
_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="The access token of `POST /auth/login`."
)


def origin_of(request: Request) -> Origin:
    """Where a request came from, for the record."""
    return Origin(method="rest", address=request.client.host if request.client else "")


def route_of(request: Request) -> str:
    """The route of a request, as the policy spells it."""
    return f"{request.method} {getattr(request.scope.get('route'), 'path', '')}"


async def gate(request: Request, services: Services) -> Caller | None:
    """Let a request pass if the line of its route allows it. Every route of the application depends on
    this; nothing else decides who may pass.

    Returns:
        Who is asking; None on a public route, where nobody is asked.

    Raises:
        Refusal: `UNAUTHENTICATED` without a token that holds; `FORBIDDEN` without the permission, or
            where the route has no line.
    """
    if not hasattr(request.state, "caller"):
        request.state.caller = await _let_pass(request, services)
    caller: Caller | None = request.state.caller
    return caller


async def gate_before_body(request: Request) -> None:
    """The gate, for routes with a body: the framework would read that before anything depended on. Who
    is stopped has nothing of his read, and learns nothing about what the route wants.

    Raises:
        Refusal: as `gate`.
    """
    await gate(request, _services(request))


async def _let_pass(request: Request, services: RestServices) -> Caller | None:
    route = route_of(request)
    need = ROUTES.get(route)
    if need is Open.PUBLIC:
        return None
    credentials = await _bearer(request)
    if credentials is None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "send an access token: Authorization: Bearer ...")
    principal = services.tokens.read_access_token(credentials.credentials)
    services.session_limit.take(f"{principal.tenant} {principal.session}")
    admitted = await services.sessions.admit(principal, enrolling=need is Open.ENROLLING)
    if need is None:
        log.error("policy.no_line", route=route)
    own = request.path_params.get("user") == principal.user
    if not allows(need, admitted.permissions, own=own):
        raise refusal(need, admitted.permissions)
    return Caller(admitted.principal, admitted.reader, origin_of(request), admitted.permissions)


async def _caller(
    caller: Annotated[Caller | None, Depends(gate)],
    _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    if caller is None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "this is for those who are signed in")
    return caller


SignedIn = Annotated[Caller, Depends(_caller)]
"""Whoever the gate has let pass."""
RoomInPath = Annotated[str, Path(pattern=ROOM_PATTERN)]
UserInPath = Annotated[str, Path(pattern=TOKEN_PATTERN)]


async def _visible_room(caller: SignedIn, room: RoomInPath) -> RoomRow:
    return await visible_room(caller.reader, caller.principal, room)


VisibleRoom = Annotated[RoomRow, Depends(_visible_room)]
"""The row of the room in the path; one that may not be seen is not found."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=TOKEN_PATTERN,
        description="Sent again with the same body, a request changes nothing and answers the same.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_ITEMS_MAX)]
DEFAULT_LIMIT = PAGE_ITEMS_DEFAULT
