"""What could not be read is kept, sealed, for the tenant's administrator: never swallowed."""

import hashlib

import orjson

from actors.runtime.plan import Unreadable
from store.projections import Projections


async def bury_command(projections: Projections, unreadable: Unreadable) -> None:
    """Keep a command of a room that no version of this program would have sent."""
    item = unreadable.item
    key = f"room/{item.source.lane}/{item.source.src}/{item.source.position}"
    subject = f"room.{projections.tenant}.{item.room}"
    await projections.save_dead_letter(key, unreadable.reason, subject, orjson.dumps(item.raw))


async def bury_message(projections: Projections, reason: str, subject: str, body: bytes) -> None:
    """Keep a whole message that can't be read."""
    key = hashlib.sha256(subject.encode() + b"\0" + body).hexdigest()
    await projections.save_dead_letter(key, reason, subject, body)
