"""What a command makes of a room: one event, or a rejection. Pure: no clock, no I/O, no chance."""

from typing import assert_never

from actors.protocol.commands import (
    CloseRoom,
    CreateRoom,
    MarkRoom,
    Post,
    PutMember,
    RecordFinding,
    RemoveMember,
    RenameRoom,
    ReopenRoom,
    RoomCommand,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import RoomEventType
from actors.room import conversation, findings, lifecycle, marking, membership
from actors.room.state import Moment, RoomState, is_hidden


def decide(state: RoomState, command: RoomCommand, moment: Moment) -> RoomEventType | Rejection:
    """What `command` makes of a room in `state` at `moment`."""
    if is_hidden(state, command):
        return Rejection(ErrorCode.NOT_FOUND, "no such room")
    return _decide(state, command, moment)


def _decide(state: RoomState, command: RoomCommand, moment: Moment) -> RoomEventType | Rejection:
    match command:
        case Post():
            return conversation.post(state, command, moment)
        case CreateRoom():
            return lifecycle.create(state, command)
        case RenameRoom():
            return lifecycle.rename(state, command)
        case MarkRoom():
            return marking.mark(state, command)
        case PutMember():
            return membership.put(state, command)
        case RemoveMember():
            return membership.remove(state, command)
        case CloseRoom():
            return lifecycle.close(state, command)
        case ReopenRoom():
            return lifecycle.reopen(state, command)
        case RecordFinding():
            return findings.record(state, command)
        case _:
            assert_never(command)
