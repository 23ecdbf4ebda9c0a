"""What every REST handler may depend on: the parts it uses, who is asking, and which page of a list."""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict

from actors.client import ActorClient
from actors.protocol.commands import Command, Origin
from actors.protocol.envelope import Receipt
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import ROOM_PATTERN, TENANT_ROOM, TOKEN_PATTERN
from actors.protocol.roles import Role
from gateway.auth import SessionCheck, SignIn
from gateway.directory_services import DirectoryServices
from gateway.evidence import EvidenceReads
from gateway.frames import rfc3339
from gateway.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from gateway.oidc_services import OidcServices
from gateway.passwords import PasswordCheck
from gateway.rate_limits import Buckets
from gateway.rooms import visible_room
from gateway.second_factor import SecondFactors
from gateway.sockets import Sockets
from gateway.tokens import Principal, Tokens
from store.reader import TenantReader
from store.rows import RoomRow

Verifier = Callable[[str, str], AsyncIterator[dict[str, Any]]]
"""Verifies a room (tenant, room) and tells how it goes, a JSON object at a time."""


@dataclass(frozen=True, slots=True)
class RestServices:
    """The parts that REST handlers use."""

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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, and the readings of his tenant."""

    principal: Principal
    reader: TenantReader
    origin: Origin


class Body(BaseModel):
    """A request body: nothing more than it says, no type bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ReceiptView(BaseModel):
    """Proof of a commit: where in its chain a change stands."""

    room: str
    seq: int
    id: str
    hash: str
    prev: str
    at: str
    client_id: str


def receipt_view(receipt: Receipt) -> ReceiptView:
    """A receipt as clients see it."""
    return ReceiptView(
        room=receipt.room,
        seq=receipt.seq,
        id=receipt.id,
        hash=receipt.hash,
        prev=receipt.prev,
        at=rfc3339(receipt.at_ms),
        client_id=receipt.client_id,
    )


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


async def _principal(
    services: Services,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Principal:
    if credentials is None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "send an access token: Authorization: Bearer ...")
    principal = services.tokens.read_access_token(credentials.credentials)
    services.session_limit.take(f"{principal.tenant} {principal.session}")
    return principal


_Bearer = Annotated[Principal, Depends(_principal)]


async def _caller(request: Request, services: Services, principal: _Bearer) -> Caller:
    reader = await services.sessions.tenant_of(principal)
    return Caller(principal, reader, origin_of(request))


async def _enrolling(request: Request, services: Services, principal: _Bearer) -> Caller:
    reader = await services.sessions.tenant_of(principal, enrolling=True)
    return Caller(principal, reader, origin_of(request))


SignedIn = Annotated[Caller, Depends(_caller)]
Enrolling = Annotated[Caller, Depends(_enrolling)]
"""A caller who may yet lack the second factor that his tenant requires: for what he needs to enrol one."""


async def _administrator(caller: SignedIn) -> Caller:
    if caller.principal.role is not Role.TENANT_ADMIN:
        raise Refusal(ErrorCode.FORBIDDEN, "this is for the tenant's administrators")
    return caller


Administrator = Annotated[Caller, Depends(_administrator)]
"""A caller who administers his tenant; whoever does not is told so before anything is looked up."""
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


def client_id_of(key: str | None) -> str:
    """The id under which a command is idempotent."""
    return key if key is not None else secrets.token_urlsafe(16)


async def send(services: RestServices, caller: Caller, room: str, command: Command) -> Receipt:
    """Have a room's actor commit a command of the caller's; the tenant's own is told where it came from.

    Raises:
        Refusal: it was not applied.
        OutcomeUnknown: no receipt in time.
    """
    if room == TENANT_ROOM:
        command = command.model_copy(update={"origin": caller.origin})
    return await services.actors.send(caller.principal.tenant, room, command)
