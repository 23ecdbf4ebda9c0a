"""`/rooms/{room}/entries`: reading a room's past, and saying something without a socket."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from actors.protocol.commands import Post
from actors.protocol.errors import Refusal
from actors.protocol.ids import ClientId
from actors.protocol.markings import Clearance, Pap, PapName, Tlp, TlpName
from gateway.frames import SEQ_MAX, Seq, encode_entry
from gateway.history import entry_of
from gateway.rest.access import DEFAULT_LIMIT, Body, Limit, Services, SignedIn, VisibleRoom
from gateway.rest.commands import ReceiptView, by, receipt_view, send
from gateway.rest.strict import StrictRoute
from gateway.rooms import require_clearance_up_to
from gateway.session import refusal_of_text


class NewEntry(Body):
    """Something to say; `thread` is the seq of the entry that is answered. The rest marks it more strictly
    than its room."""

    client_id: ClientId
    kind: Literal["message"] = "message"
    body: str
    thread: Seq | None = None
    clearance: Clearance | None = None
    tlp: TlpName | None = None
    pap: PapName | None = None


class EntryView(BaseModel):
    """An entry as on the socket. `client_id` is shown to its author only. What takes more clearance than
    the reader has is of the kind `inaccessible`, without actor and body."""

    type: Literal["entry"]
    room: str
    seq: int
    id: str
    kind: str
    actor: str = Field(default="", exclude_if=lambda value: not value)
    at: str
    body: Any = None
    thread: int | None = Field(default=None, exclude_if=lambda value: value is None)
    target: int | None = Field(default=None, exclude_if=lambda value: value is None)
    client_id: str | None = Field(default=None, exclude_if=lambda value: value is None)
    prev: str
    hash: str


class EntryPage(BaseModel):
    """Entries, ascending by seq. `next` is what `after` must be for the following page."""

    items: list[EntryView]
    next: str | None


After = Annotated[int, Query(ge=0, le=SEQ_MAX)]
Before = Annotated[int, Query(ge=1, le=SEQ_MAX)]
Kind = Annotated[str, Query(pattern=r"^[a-z_]{1,64}$")]


async def list_entries(
    row: VisibleRoom,
    caller: SignedIn,
    after: After = 0,
    before: Before | None = None,
    kind: Kind | None = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """A page of a room: what comes after a seq, or what ends before one."""
    stored = await caller.reader.entries(
        row.room, after=after, before=before, limit=limit, kind=kind
    )
    if stored:
        await require_clearance_up_to(caller.reader, caller.principal, row, stored[-1].seq)
    user, clearance = caller.principal.user, caller.principal.clearance
    entries = [encode_entry(entry_of(entry)) for entry in stored]
    if kind is not None:
        # Of what kind an entry is that he may not see is not for him to find out either.
        entries = [entry for entry in entries if entry.clearance <= clearance]
    items = [entry.payload_for(user, clearance) for entry in entries]
    # A page that ends before a seq is paged backwards, by its own first entry.
    onwards = len(stored) == limit and (before is None or after > 0)
    following = orjson.dumps(str(stored[-1].seq) if onwards else None)
    page = b'{"items":[' + b",".join(items) + b'],"next":' + following + b"}"
    return Response(page, media_type="application/json")


async def post_entry(
    body: NewEntry, row: VisibleRoom, caller: SignedIn, services: Services, response: Response
) -> ReceiptView:
    """Say something. The same client_id again answers with the same receipt."""
    refused = refusal_of_text(body.body)
    if refused is not None:
        raise Refusal(refused.code, refused.detail)
    command = Post(
        **by(caller, body.client_id),
        body=body.body,
        thread=body.thread,
        entry_clearance=body.clearance,
        tlp=Tlp(body.tlp) if body.tlp else None,
        pap=Pap(body.pap) if body.pap else None,
    )
    receipt = await send(services, caller, row.room, command)
    response.status_code = 200 if receipt.duplicate else 201
    return receipt_view(receipt)


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/rooms/{room}/entries", tags=["entries"], route_class=StrictRoute)
    routes.get("", response_model=EntryPage)(list_entries)
    routes.post("", status_code=201, responses={200: {"model": ReceiptView}})(post_entry)
    return routes
