"""Asking for the audit log."""

from typing import Any

import httpx
import orjson

from actors.protocol.events import EvidenceRead
from actors.protocol.ids import TENANT_ROOM
from tests.gateway.asking import ask
from tests.gateway.serving import Served
from tests.gateway.world import World


async def page(it: Served, **query: Any) -> dict[str, Any]:
    """A page of the audit log, as its administrator sees it."""
    answer = await ask(it, "GET", "/audit-logs", name="tom", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def export(it: Served, **query: Any) -> httpx.Response:
    """The audit log as a file."""
    answer = await ask(it, "GET", "/audit-logs/export", name="tom", params=query)
    assert answer.status_code == 200, answer.text
    return answer


def readings(world: World, tenant: str = "acme") -> list[dict[str, Any]]:
    """What was recorded of reading evidence."""
    return [
        orjson.loads(entry.content or b"")
        for entry in world.at(tenant, TENANT_ROOM).entries
        if entry.kind == EvidenceRead.kind
    ]
