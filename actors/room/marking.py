"""How a room is marked: the clearance that it takes, TLP and PAP."""

from dataclasses import replace

from actors.protocol.commands import Command, MarkRoom
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import RoomMarked
from actors.protocol.markings import CLEARANCES
from actors.protocol.roles import Role
from actors.room.membership import refusal_to_manage
from actors.room.state import RoomState


def refusal_of_clearance(command: Command, wanted: int) -> Rejection | None:
    """Why somebody may not ask for a clearance; None if he has it himself."""
    if wanted <= command.clearance or command.role is Role.SYSTEM:
        return None
    detail = f"you may not ask for the clearance {CLEARANCES[wanted]!r}: your own is lower"
    return Rejection(ErrorCode.FORBIDDEN, detail)


def mark(state: RoomState, command: MarkRoom) -> RoomMarked | Rejection:
    """Mark the room otherwise; a closed one too."""
    after = state.marking.with_changes(command.room_clearance, command.tlp, command.pap)
    refused = refusal_to_manage(state, command) or refusal_of_clearance(command, after.clearance)
    if refused is None and after == state.marking:
        refused = Rejection(ErrorCode.CONFLICT, "the room is marked so already")
    return refused or RoomMarked(before=state.marking, after=after)


def marked(state: RoomState, event: RoomMarked) -> RoomState:
    """The room under its next marking."""
    return replace(state, marking=event.after)
