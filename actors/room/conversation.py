"""Messages: who may say what."""

from actors.protocol.commands import Post
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import MarkedMessagePosted, MessagePosted
from actors.protocol.limits import MESSAGE_BYTES_MAX
from actors.protocol.markings import is_laxer
from actors.room.marking import refusal_of_clearance
from actors.room.state import Moment, RoomState, refusal_to_write


def post(
    state: RoomState, command: Post, moment: Moment
) -> MessagePosted | MarkedMessagePosted | Rejection:
    """Say something."""
    refused = refusal_to_write(state, command.actor, command.role)
    if refused is not None:
        return refused
    body = command.body
    if not body:
        return Rejection(ErrorCode.INVALID, "an empty message")
    if len(body) * 4 > MESSAGE_BYTES_MAX and len(body.encode()) > MESSAGE_BYTES_MAX:
        return Rejection(ErrorCode.TOO_LARGE, f"a message may have {MESSAGE_BYTES_MAX} bytes")
    thread = command.thread
    if thread is not None and not 1 <= thread <= moment.head:
        return Rejection(ErrorCode.INVALID, f"there is no entry {thread} to answer")
    return _marked(state, command) if command.is_marked else MessagePosted(body, thread)


def _marked(state: RoomState, command: Post) -> MarkedMessagePosted | Rejection:
    marking = state.marking.with_changes(command.entry_clearance, command.tlp, command.pap)
    if is_laxer(marking, state.marking):
        return Rejection(
            ErrorCode.INVALID, "an entry may only be marked more strictly than its room"
        )
    refused = refusal_of_clearance(command, marking.clearance)
    return refused or MarkedMessagePosted(text=command.body, marking=marking, thread=command.thread)
