"""`/rooms`: finding, opening, renaming, marking, closing and reopening them."""

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints, model_validator

from actors.protocol.commands import (
    CloseRoom,
    Command,
    CreateRoom,
    IncidentLink,
    MarkRoom,
    RenameRoom,
    ReopenRoom,
)
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import ROOM_PATTERN, UserId
from actors.protocol.limits import NAME_CHARS_MAX, REASON_CHARS_MAX
from actors.protocol.markings import Clearance, Pap, PapName, Tlp, TlpName
from actors.protocol.roles import Role, RoomRole
from gateway.frames import rfc3339
from gateway.limits import CREATE_MEMBERS_MAX
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    Caller,
    IdempotencyKey,
    Limit,
    Services,
    SignedIn,
    VisibleRoom,
)
from gateway.rest.commands import ReceiptView, by, client_id_of, new_id, receipt_view, send
from gateway.rest.strict import StrictRoute
from store.rows import RoomRow

_Name = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
_Reason = Annotated[str, StringConstraints(max_length=REASON_CHARS_MAX)]
RoomRoleName = Literal["owner", "member", "observer"]


class NewRoom(Body):
    """A room to open. Whoever opens it becomes its owner.

    `members` maps user ids to what they may do; `open_to` names the tenant roles that may enter
    without being listed. `clearance` is what it takes to see the room, whoever is listed; it may not be
    more than that of whoever opens it.
    """

    name: _Name
    kind: Literal["standing", "incident", "direct"] = "standing"
    incident: IncidentLink | None = None
    members: dict[UserId, RoomRoleName] = Field(default_factory=dict, max_length=CREATE_MEMBERS_MAX)
    open_to: list[Literal["tenant_admin", "analyst", "viewer"]] = Field(default_factory=list)
    clearance: Clearance | None = None
    tlp: TlpName | None = None
    pap: PapName | None = None


class RoomChange(Body):
    """One change: another name, or another status with its reason, or another marking (any of clearance,
    TLP and PAP). Each is a record of its own."""

    name: _Name | None = None
    status: Literal["open", "closed"] | None = None
    reason: _Reason = ""
    clearance: Clearance | None = None
    tlp: TlpName | None = None
    pap: PapName | None = None

    @property
    def marks(self) -> bool:
        """Whether it is another marking."""
        return any(value is not None for value in (self.clearance, self.tlp, self.pap))

    @model_validator(mode="after")
    def _is_one_change(self) -> Self:
        if sum((self.name is not None, self.status is not None, self.marks)) != 1:
            raise ValueError("change one of the name, the status, and the marking")
        return self


class RoomView(BaseModel):
    """A room. `room` is its id under the name that frames and receipts give it; `role` is what the
    caller is in it: null for one who is not listed."""

    id: str
    room: str
    name: str
    kind: str
    status: str
    incident: dict[str, Any] | None
    members: int
    role: str | None
    open_to: list[str]
    created_at: str
    created_by: str
    clearance: int
    tlp: TlpName
    pap: PapName


class RoomDetail(RoomView):
    """A room with the seq of its last entry."""

    head: int


class RoomPage(BaseModel):
    """Rooms by id; `next` is the `cursor` of the following page."""

    items: list[RoomView]
    next: str | None


class RoomChanged(BaseModel):
    """A change of a room was committed."""

    id: str
    room: str
    receipt: ReceiptView


async def list_rooms(
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=ROOM_PATTERN)] | None = None,
) -> RoomPage:
    """The rooms that the caller may see."""
    principal = caller.principal
    rows = await caller.reader.rooms_for(
        principal.user,
        principal.role,
        after=cursor or "",
        limit=limit + 1,
        clearance=principal.clearance,
    )
    page = rows[:limit]
    following = page[-1].room if len(rows) > limit else None
    return RoomPage(items=[RoomView(**_fields(row, caller)) for row in page], next=following)


async def create_room(
    body: NewRoom,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> RoomChanged:
    """Open a room. With an Idempotency-Key, a repeated request opens no second one."""
    await _require_users(caller, list(body.members))
    room = new_id("room", caller, key)
    command = CreateRoom(
        **by(caller, key),
        name=body.name,
        kind=body.kind,
        incident=body.incident,
        members={user: RoomRole(role) for user, role in body.members.items()},
        open_to=frozenset(Role(role) for role in body.open_to),
        room_clearance=body.clearance,
        tlp=Tlp(body.tlp) if body.tlp else None,
        pap=Pap(body.pap) if body.pap else None,
    )
    receipt = await send(services, caller, room, command)
    response.status_code = 200 if receipt.duplicate else 201
    response.headers["Location"] = f"/api/v1/rooms/{room}"
    return RoomChanged(id=room, room=room, receipt=receipt_view(receipt))


async def get_room(row: VisibleRoom, caller: SignedIn) -> RoomDetail:
    """One room."""
    return RoomDetail(**_fields(row, caller), head=await caller.reader.head(row.room))


async def change_room(
    body: RoomChange,
    row: VisibleRoom,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> RoomChanged:
    """Rename, close, reopen or mark a room. Whoever has less clearance than it takes from here on is cut
    off at once."""
    command = _command(body, caller, client_id_of(key))
    receipt = await send(services, caller, row.room, command)
    return RoomChanged(id=row.room, room=row.room, receipt=receipt_view(receipt))


def _command(body: RoomChange, caller: Caller, client_id: str) -> Command:
    actor, role = caller.principal.user, caller.principal.role
    if body.name is not None:
        return RenameRoom(client_id=client_id, actor=actor, role=role, name=body.name)
    if body.marks:
        return MarkRoom(
            client_id=client_id,
            actor=actor,
            role=role,
            room_clearance=body.clearance,
            tlp=Tlp(body.tlp) if body.tlp else None,
            pap=Pap(body.pap) if body.pap else None,
        )
    change = CloseRoom if body.status == "closed" else ReopenRoom
    return change(client_id=client_id, actor=actor, role=role, reason=body.reason)


async def _require_users(caller: Caller, users: list[str]) -> None:
    for user in users:
        known = await caller.reader.user(user)
        if known is None or known.deleted:
            raise Refusal(ErrorCode.INVALID, f"members: there is no user {user}")


def _fields(row: RoomRow, caller: Caller) -> dict[str, Any]:
    return {
        "id": row.room,
        "room": row.room,
        "name": row.name,
        "kind": row.kind,
        "status": row.status,
        "incident": row.incident,
        "members": len(row.members),
        "role": row.members.get(caller.principal.user),
        "open_to": list(row.open_to),
        "created_at": rfc3339(row.created_ms),
        "created_by": row.created_by,
        "clearance": row.clearance,
        "tlp": row.tlp,
        "pap": row.pap,
    }


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/rooms", tags=["rooms"], route_class=StrictRoute)
    routes.get("")(list_rooms)
    routes.post("", status_code=201, responses={200: {"model": RoomChanged}})(create_room)
    routes.get("/{room}")(get_room)
    routes.patch("/{room}")(change_room)
    return routes
