"""`/rooms/{room}/chain` and `/verify`: the evidence itself, and its verification."""

from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
import structlog
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from gateway.evidence import Reading
from gateway.rest.access import DEFAULT_LIMIT, Limit, Services, SignedIn, VisibleRoom
from gateway.rest.entries import After
from gateway.rest.strict import StrictRoute
from gateway.rooms import require_clearance_up_to, veiled_headers

log = structlog.get_logger(__name__)

NDJSON: Final = "application/x-ndjson"


class HeaderPage(BaseModel):
    """Headers exactly as they are hashed, each with its hash; of an entry that the reader may not see, its
    place and its links. `next` is the following `after`."""

    items: list[dict[str, Any]]
    next: str | None


async def list_headers(
    row: VisibleRoom,
    caller: SignedIn,
    services: Services,
    after: After = 0,
    limit: Limit = DEFAULT_LIMIT,
) -> HeaderPage:
    """The chain of a room, for whoever verifies it himself. That it was read is recorded."""
    reading = Reading("read", "room", row.room)
    await services.evidence.note(caller.principal, caller.origin, reading)
    headers = await caller.reader.headers(row.room, after=after, limit=limit)
    if headers:
        last = int(headers[-1]["seq"])
        await require_clearance_up_to(caller.reader, caller.principal, row, last)
        headers = await veiled_headers(caller.reader, caller.principal, row, headers)
    following = str(headers[-1]["seq"]) if len(headers) == limit else None
    return HeaderPage(items=headers, next=following)


async def verify_room(row: VisibleRoom, caller: SignedIn, services: Services) -> StreamingResponse:
    """Verify a room on the server: one JSON object a line while it goes on, the last is the verdict.
    That it was asked for is recorded first."""
    reading = Reading("verify", "room", row.room)
    await services.evidence.require(caller.principal, caller.origin, reading)
    progress = services.verifier(caller.principal.tenant, row.room)
    return StreamingResponse(_lines(row.room, progress), media_type=NDJSON)


async def _lines(room: str, progress: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    try:
        async for step in progress:
            yield orjson.dumps(step, option=orjson.OPT_APPEND_NEWLINE)
    except Exception as error:
        # The status line is long gone: a stream that just stopped would look like a short success.
        log.error("verify.failed", exc_info=error)
        detail = "the verification broke off; nothing is known of the rest"
        yield orjson.dumps({"type": "verdict", "room": room, "verified": None, "detail": detail})


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/rooms/{room}", tags=["evidence"], route_class=StrictRoute)
    routes.get("/chain")(list_headers)
    routes.get(
        "/verify",
        response_class=StreamingResponse,
        responses={200: {"content": {NDJSON: {}}, "description": "Progress, then the verdict."}},
    )(verify_room)
    return routes
