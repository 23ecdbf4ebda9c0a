"""What a room knows of itself: all that deciding needs, and nothing that reading can answer."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from actors.protocol.commands import Command, IncidentLink
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.markings import UNMARKED, Marking
from actors.protocol.roles import SYSTEMS, Role, RoomRole


class Moment(NamedTuple):
    """Where and when a command is decided: the room's last seq and the time in Unix milliseconds."""

    head: int
    now_ms: int


READERS: Final = frozenset({Role.VIEWER, Role.PLATFORM_VIEWER})
"""Roles to which an open room is open for reading."""


@dataclass(frozen=True, slots=True)
class RoomState:
    """A room as of its last event. `kind` is empty until it is created."""

    name: str = ""
    kind: str = ""
    status: str = "open"
    incident: IncidentLink | None = None
    members: dict[str, RoomRole] = field(default_factory=dict)
    open_to: frozenset[Role] = frozenset()
    created_ms: int = 0
    created_by: str = ""
    marking: Marking = UNMARKED

    @property
    def exists(self) -> bool:
        """Whether the room was created."""
        return bool(self.kind)

    def role_of(self, user: str, role: Role) -> RoomRole | None:
        """What somebody may do here; None for somebody who may not know of the room."""
        listed = self.members.get(user)
        if listed is not None:
            return RoomRole.OBSERVER if role is Role.PLATFORM_VIEWER else listed
        if role is Role.SYSTEM or role is Role.EXTERNAL:
            return RoomRole.MEMBER
        if role in self.open_to:
            return RoomRole.OBSERVER if role in READERS else RoomRole.MEMBER
        return None


def refusal_to_write(state: RoomState, user: str, role: Role) -> Rejection | None:
    """Why somebody may not write in this room now; None if he may.

    Somebody who may not know of the room is told what he would be told if it did not exist.
    """
    room_role = state.role_of(user, role) if state.exists else None
    if room_role is None:
        return Rejection(ErrorCode.NOT_FOUND, "no such room")
    if room_role is RoomRole.OBSERVER:
        return Rejection(ErrorCode.FORBIDDEN, "you may read this room, not write in it")
    if state.status == "closed":
        return Rejection(ErrorCode.ROOM_CLOSED, "the room is closed; reopen it to write")
    return None


def is_hidden(state: RoomState, command: Command) -> bool:
    """Whether a room needs more clearance than whoever asks has. It comes before all else: neither being
    a member nor an administrator grants what it refuses. Systems are no persons, and have none."""
    return command.clearance < state.marking.clearance and command.role not in SYSTEMS


def state_to_bytes(state: RoomState) -> bytes:
    """The state for a snapshot."""
    # Left out where it says nothing: states of before there was such a thing keep their bytes.
    marked = {} if state.marking == UNMARKED else {"marking": state.marking.model_dump()}
    return orjson.dumps(
        {
            "name": state.name,
            "kind": state.kind,
            "status": state.status,
            "incident": state.incident.model_dump() if state.incident else None,
            "members": state.members,
            "open_to": sorted(state.open_to),
            "created_ms": state.created_ms,
            "created_by": state.created_by,
            **marked,
        }
    )


def state_from_bytes(data: bytes) -> RoomState:
    """The state in a snapshot."""
    fields = orjson.loads(data)
    incident = fields["incident"]
    return RoomState(
        name=fields["name"],
        kind=fields["kind"],
        status=fields["status"],
        incident=IncidentLink(**incident) if incident else None,
        members={user: RoomRole(role) for user, role in fields["members"].items()},
        open_to=frozenset(Role(role) for role in fields["open_to"]),
        created_ms=fields["created_ms"],
        created_by=fields["created_by"],
        marking=Marking(**fields.get("marking", {})),
    )
