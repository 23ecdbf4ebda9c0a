"""A page of the audit log costs a page, however long the tenant's chain has become."""

import os
import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from actors.protocol.codec import content_of
from actors.protocol.event import Structured
from actors.protocol.events import SessionEnded, SessionOpened, UserCreated
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.markings import HIGHEST
from actors.protocol.roles import Role
from actors.protocol.subjects import lane_of
from deploy.local.stack import LocalStack
from gateway.audit import CHUNK_RECORDS, OPENED_MAX, WINDOW_RECORDS, AuditFilter, AuditLog
from store.chain import Draft, Head, Source, head_of, link
from store.contents import BLOCK_ITEMS_MAX, blocks
from store.driver import Document, MongoConnection
from store.keys import KeyRing, RootKey
from store.log import TenantLog
from store.mongo import CONTENTS, RECORDS
from store.record import SALT_BYTES, Record
from store.sealing import seal_content
from store.tenant_reader import TenantReader
from tests.load.examined import examined

RECORDS_MADE: Final = 100_000
COMMIT_RECORDS: Final = 16
APPEND_COMMITS: Final = 300
USERS_EVERY: Final = 1_000
RARE_ACTOR_EVERY: Final = 1_500
LIMIT: Final = 50
HALVINGS: Final = 20
"""Records that are looked at to find a time in a chain of a million."""
A_FEW: Final = 30
MS_A_RECORD: Final = 1_000


def _events(start_ms: int) -> Iterator[tuple[Structured, str, int]]:
    """What a long life of a tenant looks like: sign-ins and sign-outs, and sometimes a new user."""
    for number in range(1, RECORDS_MADE + 1):
        actor = "rare" if number % RARE_ACTOR_EVERY == 0 else f"usr_{number % 50}"
        event: Structured = SessionEnded(session=f"ses_{number}", reason="signed out")
        if number % USERS_EVERY == 0:
            name = f"user-{number}"
            facts: dict[str, Any] = {"username": name, "email": None, "display_name": name}
            event = UserCreated(user=f"usr_{name}", role=Role.VIEWER, password_hash="x", **facts)
        elif number % 2:
            event = SessionOpened(
                session=f"ses_{number}",
                user=actor,
                refresh="0" * 64,
                expires_ms=start_ms,
                address=f"10.0.0.{number % 200}",
            )
        yield event, actor, start_ms + number * MS_A_RECORD


@pytest.fixture(scope="module")
async def long_log(stack: LocalStack, connection: MongoConnection) -> AuditLog:
    """Made once; it is only read from."""
    row = await stack.create_tenant(f"g{uuid4().hex[:12]}", "A tenant with a long past")
    keys = KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))
    key = await keys.current_room_key(row.id, TENANT_ROOM, 1)
    log, head, lane = TenantLog(connection, keys, row.id), Head(), lane_of(TENANT_ROOM, row.lanes)
    start_ms = time.time_ns() // 1_000_000 - RECORDS_MADE * MS_A_RECORD
    documents: list[Document] = []
    contents: list[Document] = []
    records: list[Record] = []
    sealed: list[bytes] = []
    for event, actor, at_ms in _events(start_ms):
        salt, content = os.urandom(SALT_BYTES), content_of(event, "seeded")  # type: ignore[arg-type]
        source = Source(lane, head.seq // COMMIT_RECORDS + 1, len(records))
        draft = Draft(event.kind, actor, f"seed-{head.seq}", None, content, source)
        record = link((row.id, TENANT_ROOM, 1), head, draft, at_ms, salt)
        head = head_of(record)
        records.append(record)
        sealed.append(seal_content(key.cipher, record, salt, content))
        if len(records) == COMMIT_RECORDS or head.seq == RECORDS_MADE:
            documents += [record.document() for record in records]
            contents += blocks(records, sealed, key)
            records, sealed = [], []
        if len(documents) >= COMMIT_RECORDS * APPEND_COMMITS or head.seq == RECORDS_MADE:
            await log.append(documents, contents)
            documents, contents = [], []
    return AuditLog(TenantReader(connection, keys, row.id), HIGHEST)


async def cost(
    admin: MongoConnection, log: AuditLog, wanted: AuditFilter, **more: Any
) -> tuple[int, int, int]:
    """Entries of the first page, and how many documents of records and contents it took."""
    async with examined(admin, log.tenant) as seen:
        page = await log.page(wanted, **{"before": None, "limit": LIMIT, **more})
    assert "COLLSCAN" not in {each.plan for each in seen.operations}
    records, contents = (
        sum(each.documents for each in seen.of(name)) for name in (RECORDS, CONTENTS)
    )
    return len(page.entries), records, contents


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (AuditFilter(), LIMIT),
        (AuditFilter(outcome="done"), LIMIT),
        (AuditFilter(operation="session.open"), LIMIT),
        (AuditFilter(object_type="session"), LIMIT),
        (AuditFilter(operation="user.create"), min(LIMIT, RECORDS_MADE // USERS_EVERY)),
        (AuditFilter(object_type="user"), min(LIMIT, RECORDS_MADE // USERS_EVERY)),
        (AuditFilter(outcome="refused"), 0),
        (AuditFilter(operation="moon.land"), 0),
        (AuditFilter(operation="message"), 0),
        (AuditFilter(object_type="audit_log"), 0),
    ],
    ids=lambda value: "",
)
async def test_a_common_filter_looks_at_what_it_shows(
    admin: MongoConnection, long_log: AuditLog, wanted: AuditFilter, found: int
) -> None:
    entries, records, contents = await cost(admin, long_log, wanted)
    assert entries == found
    assert records <= found + A_FEW
    # Those that are far from each other are in a block of their own each.
    assert contents <= BLOCK_ITEMS_MAX + found * COMMIT_RECORDS


async def test_a_page_far_back_costs_as_little(admin: MongoConnection, long_log: AuditLog) -> None:
    entries, records, _ = await cost(admin, long_log, AuditFilter(), before=RECORDS_MADE // 3)
    assert entries == LIMIT
    assert records <= LIMIT + A_FEW


async def test_a_time_is_found_by_halves(admin: MongoConnection, long_log: AuditLog) -> None:
    newest = (await long_log.page(AuditFilter(), before=None, limit=1)).entries[0]
    middle_ms = newest.at_ms - RECORDS_MADE // 2 * MS_A_RECORD
    until = AuditFilter(until_ms=middle_ms)
    entries, records, _ = await cost(admin, long_log, until)
    assert entries == LIMIT
    assert records <= LIMIT + HALVINGS + A_FEW
    page = await long_log.page(until, before=None, limit=1)
    assert page.entries[0].seq == newest.seq - RECORDS_MADE // 2 - 1
    since = await long_log.page(AuditFilter(since_ms=newest.at_ms), before=None, limit=LIMIT)
    assert [entry.seq for entry in since.entries] == [newest.seq]


@pytest.mark.parametrize(
    "wanted",
    [AuditFilter(actor="usr_7"), AuditFilter(actor="rare"), AuditFilter(actor="nobody")],
    ids=lambda value: str(value.actor),
)
async def test_those_of_one_actor_cost_a_bounded_number_of_records(
    admin: MongoConnection, long_log: AuditLog, wanted: AuditFilter
) -> None:
    _, records, contents = await cost(admin, long_log, wanted)
    assert records <= WINDOW_RECORDS * 5
    assert contents <= LIMIT * COMMIT_RECORDS


async def test_what_is_looked_for_inside_is_looked_for_a_bounded_piece_at_a_time(
    admin: MongoConnection, long_log: AuditLog
) -> None:
    _, records, contents = await cost(admin, long_log, AuditFilter(text="not there"))
    assert records <= OPENED_MAX + CHUNK_RECORDS + A_FEW
    assert contents <= OPENED_MAX
    first = await long_log.page(AuditFilter(text="not there"), before=None, limit=LIMIT)
    assert (first.entries, first.looked_at) == ([], OPENED_MAX)
    assert first.following == RECORDS_MADE + 1 - OPENED_MAX
