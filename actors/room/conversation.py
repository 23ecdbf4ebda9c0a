"""Messages: who may say what."""

from actors.protocol.commands import Post
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import MessagePosted
from actors.protocol.limits import MESSAGE_BYTES_MAX
from actors.room.state import Moment, RoomState, refusal_to_write


def post(state: RoomState, command: Post, moment: Moment) -> MessagePosted | Rejection:
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
    return MessagePosted(body, thread)
