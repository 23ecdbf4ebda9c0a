"""What a handler that changes something does: ask as its caller, and show the receipt."""

import os
import secrets
import time
from typing import Any

from pydantic import BaseModel

from actors.protocol.commands import Command
from actors.protocol.envelope import Receipt
from actors.protocol.ids import TENANT_ROOM, derived_id, time_ordered_id
from gateway.frames import rfc3339
from gateway.rest.access import Caller, RestServices


class ReceiptView(BaseModel):
    """Proof of a commit: where in its chain a change stands."""

    room: str
    seq: int
    id: str
    hash: str
    prev: str
    at: str
    client_id: str


def receipt_view(receipt: Receipt) -> ReceiptView:
    """A receipt as clients see it."""
    return ReceiptView(
        room=receipt.room,
        seq=receipt.seq,
        id=receipt.id,
        hash=receipt.hash,
        prev=receipt.prev,
        at=rfc3339(receipt.at_ms),
        client_id=receipt.client_id,
    )


def client_id_of(key: str | None) -> str:
    """The id under which a command is idempotent."""
    return key if key is not None else secrets.token_urlsafe(16)


def by(caller: Caller, key: str | None) -> dict[str, Any]:
    """The fields of a command that say who gives it, and under which id it is given once."""
    principal = caller.principal
    return {"client_id": client_id_of(key), "actor": principal.user, "role": principal.role}


def new_id(prefix: str, caller: Caller, key: str | None) -> str:
    """The id of what a request makes: the same when the request comes again with its key."""
    if key is not None:
        return derived_id(prefix, caller.principal.tenant, caller.principal.user, key)
    return time_ordered_id(prefix, time.time_ns() // 1_000_000, os.urandom(10))


async def send(services: RestServices, caller: Caller, room: str, command: Command) -> Receipt:
    """Have a room's actor commit a command of the caller's, with his clearance; the tenant's own is told
    where it came from.

    Raises:
        Refusal: it was not applied.
        OutcomeUnknown: no receipt in time.
    """
    said: dict[str, Any] = {"clearance": caller.principal.clearance}
    if room == TENANT_ROOM:
        said["origin"] = caller.origin
    command = command.model_copy(update=said)
    return await services.actors.send(caller.principal.tenant, room, command)
