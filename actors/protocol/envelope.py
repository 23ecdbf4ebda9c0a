"""The three messages between processes: a batch of commands, a reply, an event.

All are JSON. A batch is read leniently once (its shape) and strictly per command, so that one bad
command in it is a dead letter and its neighbours are not.
"""

from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any, Final

import orjson

from actors.protocol.errors import ErrorCode
from actors.protocol.ids import is_mailbox
from actors.protocol.limits import BATCH_COMMANDS_MAX
from actors.protocol.subjects import is_reply_subject

VERSION = 1


@dataclass(frozen=True, slots=True)
class CommandBatch:
    """Commands in order, each with its room, and the process to answer (`reply_to`, may be empty)."""

    reply_to: str
    rooms: list[str]
    commands: list[Any]


def encode_batch(reply_to: str, rooms: list[str], commands: list[bytes]) -> bytes:
    """Join commands that are JSON already, so that each is encoded once, when it arrives."""
    head = orjson.dumps({"v": VERSION, "reply_to": reply_to, "rooms": rooms})
    return head[:-1] + b',"commands":[' + b",".join(commands) + b"]}"


def decode_batch(data: bytes) -> CommandBatch:
    """Read a batch.

    Raises:
        ValueError: the message is no batch of this version.
    """
    message = orjson.loads(data)
    if not isinstance(message, dict) or message.get("v") != VERSION:
        raise ValueError("not a command batch of version 1")
    commands, reply_to = message.get("commands"), message.get("reply_to")
    rooms = message.get("rooms")
    if not (isinstance(commands, list) and isinstance(rooms, list) and isinstance(reply_to, str)):
        raise ValueError("a command batch needs commands, rooms and reply_to")
    if len(rooms) != len(commands) or not all(map(is_mailbox, rooms)):
        raise ValueError("a command batch needs a room for every command")
    if len(commands) > BATCH_COMMANDS_MAX:
        raise ValueError(f"a command batch has at most {BATCH_COMMANDS_MAX} commands")
    if reply_to and not is_reply_subject(reply_to):
        raise ValueError("reply_to must be empty or reply.<process>")
    return CommandBatch(reply_to, rooms, commands)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a commit: where in the chain a command stands. `at_ms` is Unix milliseconds."""

    room: str
    seq: int
    id: str
    kind: str
    hash: str
    prev: str
    at_ms: int
    client_id: str
    duplicate: bool = False
    """The command had been committed before; this is the receipt of then."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one command: a receipt, or a code and what happened."""

    ref: str
    client_id: str
    receipt: Receipt | None = None
    code: ErrorCode | None = None
    detail: str = ""


def encode_replies(replies: list[Reply]) -> bytes:
    """All the answers that one commit owes one process."""
    return orjson.dumps({"v": VERSION, "replies": replies})


def decode_replies(data: bytes) -> list[Reply]:
    """Read what `encode_replies` wrote."""
    replies = []
    for item in orjson.loads(data)["replies"]:
        receipt, code = item["receipt"], item["code"]
        replies.append(
            Reply(
                ref=item["ref"],
                client_id=item["client_id"],
                receipt=Receipt(**receipt) if receipt else None,
                code=ErrorCode(code) if code else None,
                detail=item["detail"],
            )
        )
    return replies


@dataclass(slots=True)
class Entry:
    """One committed record with its opened content, as readers see it.

    `body` is text for a message and a JSON object for every other kind; it is None once the content
    has been erased. `at_ms` is Unix milliseconds; `prev` and `hash` are hex.
    """

    room: str
    seq: int
    kind: str
    actor: str
    at_ms: int
    client_id: str
    target: int | None
    prev: str
    hash: str
    body: Any


_ENTRY: Final = itemgetter(*(field.name for field in fields(Entry)))
"""The values of an entry, in the order in which they are declared."""


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """What a room's owner announces: entries in order, or (none) just where the head is."""

    head: int
    entries: list[Entry]


def encode_event(head: int, entries: list[Entry]) -> bytes:
    """One event a room and commit."""
    return orjson.dumps({"v": VERSION, "head": head, "entries": entries})


def decode_event(data: bytes) -> RoomEvent:
    """Read what `encode_event` wrote."""
    message = orjson.loads(data)
    # By position: with keywords Python 3.11 spends three times as much on each.
    return RoomEvent(message["head"], [Entry(*_ENTRY(entry)) for entry in message["entries"]])


def encode_ended_sessions(sessions: list[str]) -> bytes:
    """Sessions that have ended, for every gateway."""
    return orjson.dumps({"v": VERSION, "sessions": sessions})


def decode_ended_sessions(data: bytes) -> list[str]:
    """Read what `encode_ended_sessions` wrote."""
    sessions: list[str] = orjson.loads(data)["sessions"]
    return sessions


def entry_id(room: str, seq: int) -> str:
    """The stable public id of an entry."""
    return f"{room}.{seq}"
