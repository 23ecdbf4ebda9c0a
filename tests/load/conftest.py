"""A tenant that has grown: a long room, many short ones, and rows of many more."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import pytest

from deploy.bench.growth_seed import LongRoom, seed_room
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.log import TenantLog
from store.projections import Projections
from store.rows import RoomRow, TenantRow
from store.tenant_reader import TenantReader

ENTRIES: Final = 20_000
SHORT_ROOMS: Final = 40
SHORT_ENTRIES: Final = 30
ROOM_ROWS: Final = 1_500
LONG: Final = "long"
EVERYWHERE: Final = "everywhere"
"""A user who is in every room."""
SOMEWHERE: Final = "somewhere"
"""A user who is in one room of a hundred."""
ROWS_AT_ONCE: Final = 100


@dataclass(frozen=True)
class Grown:
    """The tenant, and what reads and writes it as an actor process does."""

    tenant: TenantRow
    log: TenantLog
    reader: TenantReader
    projections: Projections
    keys: KeyRing


@pytest.fixture(scope="session")
async def connection(stack: LocalStack) -> AsyncIterator[MongoConnection]:
    """A connection as an actor process has it."""
    opened = MongoConnection(stack.mongo_url_for("actors"))
    yield opened
    await opened.close()


@pytest.fixture
def keys(stack: LocalStack, connection: MongoConnection) -> KeyRing:
    """A key ring that remembers nothing yet."""
    return KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))


@pytest.fixture(scope="session")
async def grown(stack: LocalStack, connection: MongoConnection) -> Grown:
    """Made once, because it takes seconds; it is only read from."""
    row = await stack.create_tenant(f"g{uuid4().hex[:12]}", "A tenant that has grown")
    keys = KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))
    made = Grown(
        row,
        TenantLog(connection, keys, row.id),
        TenantReader(connection, keys, row.id),
        Projections(connection, keys, row.id),
        keys,
    )
    await seed_room(connection, keys, row, LongRoom(LONG, ENTRIES, (EVERYWHERE, "ana", "ben")))
    for number in range(SHORT_ROOMS):
        short = LongRoom(f"short-{number}", SHORT_ENTRIES, (EVERYWHERE,))
        await seed_room(connection, keys, row, short)
    for start in range(0, ROOM_ROWS, ROWS_AT_ONCE):
        numbers = range(start, start + ROWS_AT_ONCE)
        await asyncio.gather(*(made.projections.save_room(_row(n), b"{}") for n in numbers))
    return made


def _row(number: int) -> RoomRow:
    members = {EVERYWHERE: "owner", **({SOMEWHERE: "member"} if number % 100 == 0 else {})}
    return room_row_of(f"row-{number:05}", members)


def room_row_of(room: str, members: dict[str, str]) -> RoomRow:
    """A row without a chain behind it."""
    return RoomRow(
        room=room,
        name=f"Room {room}",
        kind="standing",
        status="open",
        members=members,
        open_to=(),
        incident=None,
        created_ms=1,
        created_by=EVERYWHERE,
        applied=1,
    )
