"""`/audit-logs`: who did what in a tenant, for its administrator; as pages, or as a file."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from actors.protocol.limits import NAME_CHARS_MAX
from gateway.audit import AuditEntry, AuditFilter, AuditLog
from gateway.evidence import Reading
from gateway.frames import SEQ_MAX
from gateway.limits import PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX
from gateway.rest.access import Services, SignedIn
from gateway.rest.strict import StrictRoute
from gateway.spreadsheets import Pages, csv_bytes, json_bytes, xlsx_bytes

_Text = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
Format = Literal["csv", "json", "xlsx"]

TOTAL_HEADER: Final = "Audit-Records"
"""How many records an export looks through: what its progress is measured by."""
MEDIA_TYPES: Final[dict[str, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "json": "application/json",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_WRITERS: Final[dict[str, Callable[[Pages], Any]]] = {
    "csv": csv_bytes,
    "json": json_bytes,
    "xlsx": xlsx_bytes,
}


_DATE_AND_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def _written_out(value: object) -> object:
    # A bare number would be taken for seconds since 1970.
    if isinstance(value, str) and not _DATE_AND_TIME.match(value):
        raise ValueError("give a date and time with an offset (RFC 3339)")
    return value


_DateTime = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class Filters(BaseModel):
    """What entries must be; all that is given has to hold. A parameter that is none of these is refused:
    a filter that was mistyped must not show more than was asked for.

    `from` is included, `to` is not. `q` is looked for in everything that is shown, whatever its case.
    """

    model_config = ConfigDict(extra="forbid")

    actor: _Text | None = None
    operation: _Text | None = None
    object_type: _Text | None = None
    object_id: _Text | None = None
    outcome: Literal["done", "refused"] | None = None
    address: _Text | None = None
    since: _DateTime | None = Field(default=None, alias="from")
    until: _DateTime | None = Field(default=None, alias="to")
    q: _Text | None = None

    def filter(self) -> AuditFilter:
        """The filter that they are."""
        return AuditFilter(
            actor=self.actor,
            operation=self.operation,
            object_type=self.object_type,
            object_id=self.object_id,
            outcome=self.outcome,
            address=self.address,
            since_ms=_ms(self.since),
            until_ms=_ms(self.until),
            text=self.q,
        )


class PageQuery(Filters):
    """Filters, and which page."""

    limit: Annotated[int, Field(ge=1, le=PAGE_ITEMS_MAX)] = PAGE_ITEMS_DEFAULT
    cursor: Annotated[int, Field(ge=1, le=SEQ_MAX)] | None = None


class ExportQuery(Filters):
    """Filters, and the form of the file."""

    format: Format = "json"


class AuditObject(BaseModel):
    """What was acted on."""

    type: str
    id: str


class AuditEntryView(BaseModel):
    """Something that was done. `seq`, `prev` and `hash` are its place in the tenant's own chain. `method`
    and `address` are empty where they are not known."""

    seq: int
    id: str
    at: str
    actor: str
    operation: str
    object: AuditObject
    outcome: Literal["done", "refused"]
    method: str
    address: str
    before: dict[str, Any]
    after: dict[str, Any]
    kind: str
    prev: str
    hash: str


class AuditPageView(BaseModel):
    """Entries, newest first. `next` is the `cursor` of the following page: there may be more behind a page
    that is short or empty, because one request looks at a bounded number of records (`looked_at`)."""

    items: list[AuditEntryView]
    next: str | None
    looked_at: int


async def list_entries(caller: SignedIn, query: Annotated[PageQuery, Query()]) -> AuditPageView:
    """The audit log, newest first. Pages stay as they are while new entries come."""
    log = AuditLog(caller.reader, caller.principal.clearance)
    page = await log.page(query.filter(), before=query.cursor, limit=query.limit)
    return AuditPageView(
        items=[_view(entry) for entry in page.entries],
        next=None if page.following is None else str(page.following),
        looked_at=page.looked_at,
    )


async def _place(_caller: SignedIn, services: Services) -> AsyncIterator[None]:
    # Held until the answer is over, also if the one who asked went away before it began.
    with services.evidence.exporting():
        yield


async def export_entries(
    caller: SignedIn,
    services: Services,
    query: Annotated[ExportQuery, Query()],
    _: Annotated[None, Depends(_place)],
) -> StreamingResponse:
    """The audit log as a file. That it was taken away is recorded first, and is the file's first entry.
    `Audit-Records` says how many records are looked through."""
    principal = caller.principal
    reading = Reading("export", "audit_log", principal.tenant, _details(query))
    await services.evidence.require(principal, caller.origin, reading)
    log = AuditLog(caller.reader, caller.principal.clearance)
    head = await log.head()
    now = datetime.now(UTC)
    name = f"audit-{principal.tenant}-{now:%Y%m%dT%H%M%SZ}.{query.format}"
    return StreamingResponse(
        _WRITERS[query.format](log.pages(query.filter(), head)),
        media_type=MEDIA_TYPES[query.format],
        headers={
            TOTAL_HEADER: str(head),
            "Content-Disposition": f'attachment; filename="{name}"',
        },
    )


def _details(query: ExportQuery) -> dict[str, str]:
    return query.model_dump(mode="json", by_alias=True, exclude_none=True)


def _view(entry: AuditEntry) -> AuditEntryView:
    return AuditEntryView.model_validate(entry.view())


def _ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/audit-logs", tags=["audit"], route_class=StrictRoute)
    routes.get("", name="list_audit_entries")(list_entries)
    routes.get(
        "/export",
        name="export_audit_entries",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values()},
                "description": "The file.",
            }
        },
    )(export_entries)
    return routes
