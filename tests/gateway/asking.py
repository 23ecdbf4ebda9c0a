"""Requests of somebody's."""

from typing import Any

import httpx

from tests.gateway.serving import ROOM, Served

API = "/api/v1"


ENTRIES = f"{API}/rooms/{ROOM}/entries"


async def ask(it: Served, method: str, path: str, name: str = "ana", **more: Any) -> httpx.Response:
    """A request of somebody's."""
    headers = it.headers(name) | more.pop("headers", {})
    return await it.http.request(method, f"{API}{path}", headers=headers, **more)
