"""The life of a room: created, renamed, closed, reopened."""

from dataclasses import replace

from actors.protocol.commands import CloseRoom, CreateRoom, RenameRoom, ReopenRoom
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import RoomClosed, RoomCreated, RoomRenamed, RoomReopened
from actors.protocol.markings import UNMARKED
from actors.protocol.roles import Role, RoomRole
from actors.room.marking import refusal_of_clearance
from actors.room.membership import refusal_to_manage
from actors.room.state import RoomState

MAY_CREATE = frozenset({Role.TENANT_ADMIN, Role.ANALYST, Role.EXTERNAL, Role.SYSTEM})


def create(state: RoomState, command: CreateRoom) -> RoomCreated | Rejection:
    """Open a room. A person who does becomes its owner."""
    if command.role not in MAY_CREATE:
        return Rejection(ErrorCode.FORBIDDEN, "a viewer may not open rooms")
    if state.exists:
        return Rejection(ErrorCode.ROOM_EXISTS, "the room exists already")
    marking = UNMARKED.with_changes(command.room_clearance, command.tlp, command.pap)
    refused = refusal_of_clearance(command, marking.clearance)
    if refused is not None:
        return refused
    members = dict(command.members)
    if command.role in (Role.TENANT_ADMIN, Role.ANALYST):
        members[command.actor] = RoomRole.OWNER
    return RoomCreated(
        name=command.name,
        room_kind=command.kind,
        incident=command.incident,
        members=members,
        open_to=tuple(sorted(command.open_to)),
        marking=None if marking == UNMARKED else marking,
    )


def rename(state: RoomState, command: RenameRoom) -> RoomRenamed | Rejection:
    """Give the room another name."""
    return refusal_to_manage(state, command) or RoomRenamed(name=command.name)


def close(state: RoomState, command: CloseRoom) -> RoomClosed | Rejection:
    """Make the room read-only."""
    refused = refusal_to_manage(state, command)
    if refused is None and state.status == "closed":
        refused = Rejection(ErrorCode.ROOM_CLOSED, "the room is closed already")
    return refused or RoomClosed(reason=command.reason)


def reopen(state: RoomState, command: ReopenRoom) -> RoomReopened | Rejection:
    """Make a closed room writable again."""
    refused = refusal_to_manage(state, command)
    if refused is None and state.status != "closed":
        refused = Rejection(ErrorCode.CONFLICT, "the room is open")
    return refused or RoomReopened(reason=command.reason)


def created(event: RoomCreated, actor: str, at_ms: int) -> RoomState:
    """The room at its birth."""
    return RoomState(
        name=event.name,
        kind=event.room_kind,
        incident=event.incident,
        members=dict(event.members),
        open_to=frozenset(event.open_to),
        created_ms=at_ms,
        created_by=actor,
        marking=event.marking or UNMARKED,
    )


def renamed(state: RoomState, event: RoomRenamed) -> RoomState:
    """The room under another name."""
    return replace(state, name=event.name)


def with_status(state: RoomState, status: str) -> RoomState:
    """The room closed or open."""
    return replace(state, status=status)
