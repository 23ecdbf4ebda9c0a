"""A seeded room is as genuine as one in which people talked."""

from itertools import pairwise
from typing import Final

import pytest

from actors.protocol.commands import Post
from actors.protocol.limits import SNAPSHOT_EVERY_RECORDS
from actors.protocol.roles import RoomRole
from actors.runtime.lane import GENERATION_SHIFT
from deploy.bench.growth_seed import COMMIT_RECORDS, LongRoom, seed_room
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.errors import WrongPlace
from store.keys import KeyRing
from store.rows import TenantRow
from store.verify import verify_tenant
from tests.actors.by_hand import LANES, owner
from tests.actors.people import MEMBER, OWNER

ENTRIES: Final = 3 * SNAPSHOT_EVERY_RECORDS
PEOPLE: Final = (OWNER.name, MEMBER.name)


@pytest.fixture
def row(tenant: str) -> TenantRow:
    """The tenant, with one lane so that rooms must share its sources."""
    return TenantRow(tenant, "One lane", LANES, generation=1)


@pytest.mark.parametrize("entries", [1, 2, COMMIT_RECORDS, COMMIT_RECORDS + 2, 5_003])
async def test_it_has_as_many_entries_as_asked_and_verifies(
    connection: MongoConnection,
    admin: MongoConnection,
    keys: KeyRing,
    row: TenantRow,
    entries: int,
) -> None:
    head = await seed_room(connection, keys, row, LongRoom("r1", entries, PEOPLE))
    verdict = await verify_tenant(admin, keys, row.id)
    assert (head.seq, verdict.verified) == (entries, True)
    (room,) = verdict.rooms
    assert (room.records, room.contents, room.unclaimed) == (entries, entries, 0)
    assert room.head == head


async def test_people_go_on_talking_in_it_whatever_else_is_seeded(
    stack: LocalStack,
    connection: MongoConnection,
    admin: MongoConnection,
    keys: KeyRing,
    row: TenantRow,
) -> None:
    await seed_room(connection, keys, row, LongRoom("r1", ENTRIES, PEOPLE))
    async with owner(stack, row.id, epoch=2) as one:
        (mine,) = await one.do("r1", OWNER.asks(Post, body="we go on", client_id="m1"))
        # Now the lane has been read; what is seeded still comes before all of it.
        await seed_room(connection, keys, row, LongRoom("r2", ENTRIES, PEOPLE))
        (his,) = await one.do("r2", MEMBER.asks(Post, body="so do we", client_id="m1"))
        assert [mine.seq, his.seq] == [ENTRIES + 1, ENTRIES + 1]
        cursor = await one.worker.log.cursor(one.lane.number)
        assert cursor.src >> GENERATION_SHIFT == row.generation
        entries = await one.reader.entries("r1", before=ENTRIES + 2, limit=40)
        assert all(later.prev == before.hash for before, later in pairwise(entries))
        assert all(entry.content for entry in entries)
        found = await one.reader.room("r2")
        assert found is not None
        assert found.members == {OWNER.name: RoomRole.OWNER, MEMBER.name: RoomRole.MEMBER}
    assert (await verify_tenant(admin, keys, row.id)).verified


async def test_a_room_that_is_there_is_not_written_over(
    connection: MongoConnection, admin: MongoConnection, keys: KeyRing, row: TenantRow
) -> None:
    await seed_room(connection, keys, row, LongRoom("r1", 20, PEOPLE))
    with pytest.raises(WrongPlace):
        await seed_room(connection, keys, row, LongRoom("r1", 30, PEOPLE))
    verdict = await verify_tenant(admin, keys, row.id)
    assert (verdict.verified, verdict.rooms[0].records) == (True, 20)
