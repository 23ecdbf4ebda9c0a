"""What could not be read is kept, sealed, for the tenant's administrator: never swallowed."""

import hashlib
import json
from typing import Any

import orjson

from actors.runtime.plan import Unreadable
from store.projections import Projections


async def bury_command(projections: Projections, unreadable: Unreadable) -> None:
    """Keep a command of a room that no version of this program would have sent."""
    item = unreadable.item
    key = f"room/{item.source.lane}/{item.source.src}/{item.source.position}"
    subject = f"room.{projections.tenant}.{item.room}"
    await projections.save_dead_letter(key, unreadable.reason, subject, _json(item.raw))


async def bury_message(projections: Projections, reason: str, subject: str, body: bytes) -> None:
    """Keep a whole message that can't be read."""
    key = hashlib.sha256(subject.encode() + b"\0" + body).hexdigest()
    await projections.save_dead_letter(key, reason, subject, body)


def _json(raw: Any) -> bytes:
    try:
        return orjson.dumps(raw)
    except TypeError:
        # orjson reads 1,024 levels and writes 254.
        return _deep_json(raw)


def _deep_json(raw: Any) -> bytes:
    try:
        return json.dumps(raw).encode()
    except RecursionError:
        return b"nested too deeply to be kept"
