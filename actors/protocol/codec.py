"""Events to content bytes (what the chain commits to) and back, and to what readers see."""

import hashlib
from typing import Any, Final

import orjson

from actors.protocol.commands import Command, Origin, Post
from actors.protocol.events import (
    MESSAGE,
    STRUCTURED,
    EventType,
    MarkedMessagePosted,
    MessagePosted,
)
from actors.protocol.markings import HIGHEST, LOWEST

TRANSPORT_FIELDS: Final = {
    *("client_id", "actor", "role", "clearance"),
    *("ref", "quiet", "origin", "proof"),
}
"""Fields of a command that say who asks, what he showed, and how to answer; not what is asked. A proof is
good once, so a command that comes again can't bring the same."""


def content_of(event: EventType, request: str, origin: Origin | None = None) -> bytes:
    """The bytes that are committed to and sealed; `request` is the command's fingerprint."""
    if isinstance(event, MessagePosted):
        return event.body.encode()
    said = {**event.model_dump(mode="json"), "request": request}
    if origin is not None:
        said["origin"] = origin.model_dump()
    return orjson.dumps(said)


def fingerprint(command: Command) -> str:
    """What two commands of one client_id must share to be the same command."""
    if isinstance(command, Post) and not command.is_marked:
        return post_fingerprint(command.body, command.thread)
    said = command.model_dump(mode="json", exclude=TRANSPORT_FIELDS)
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def post_fingerprint(body: str, thread: int | None) -> str:
    """The fingerprint of a message, from the command or from the record it made. Unlike the others it is
    never recorded, so a hash that holds in this process only is enough, at an eighth of the price."""
    return f"{hash((body, thread or 0)):x}"


def recorded_fingerprint(kind: str, content: bytes | None, target: int | None) -> str | None:
    """The fingerprint of the command that made a record; None once its content is erased."""
    if content is None:
        return None
    if kind == MESSAGE:
        return post_fingerprint(content.decode(), target)
    request: str = orjson.loads(content)["request"]
    return request


def target_of(event: EventType) -> int | None:
    """The seq that an event points at."""
    # A tuple: `A | B` would make a type of its own at every call.
    return event.thread if isinstance(event, (MessagePosted, MarkedMessagePosted)) else None


def event_of(kind: str, content: bytes, target: int | None) -> EventType | None:
    """The event in a record; None for a kind that this version does not know.

    Raises:
        ValueError: the content is not of its kind.
    """
    if kind == MESSAGE:
        return MessagePosted(content.decode(), target)
    model = STRUCTURED.get(kind)
    return model.model_validate_json(content) if model else None  # type: ignore[return-value]


def body_of(kind: str, content: bytes | None) -> Any:
    """What readers see: text for a message, an object for other kinds, None once erased."""
    if content is None:
        return None
    if kind == MESSAGE:
        return content.decode()
    said = orjson.loads(content)
    said.pop("request", None)
    # From which address somebody acts is for the audit log, not for those who share a room with him.
    said.pop("origin", None)
    return said


def clearance_of(kind: str, body: Any) -> int:
    """The clearance that an entry takes by itself; of one whose body is erased, the highest."""
    if kind != MarkedMessagePosted.kind:
        return LOWEST
    level: int = body["marking"]["clearance"] if body else HIGHEST
    return level
