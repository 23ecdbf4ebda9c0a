"""What an actor's work costs does not depend on how long its room or how full its tenant is."""

from typing import Final

import pytest

from actors.protocol.commands import CreateRoom, Post
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.limits import BATCH_COMMANDS_MAX
from deploy.bench.growth_seed import LongRoom, seed_room
from deploy.local.stack import LocalStack
from store.contents import BLOCK_ITEMS_MAX
from store.driver import MongoConnection
from store.keys import KeyRing
from store.mongo import ROOMS, tenant_database
from store.rows import TenantRow
from store.verdict import RoomVerdict
from store.verify import PAGE_RECORDS, Verifier
from tests.actors.by_hand import LANES, Owner, Stream, owner
from tests.actors.people import OWNER, SYSTEM
from tests.actors.test_tenant_rules import new_user
from tests.load.conftest import ENTRIES, LONG, Grown
from tests.load.examined import Examined, examined

LONG_ENTRIES: Final = 50_000
A_FEW: Final = 16
"""Documents that a commit may look at for a room: its head, its row, its key, its last changes."""
ROOMS_MANY: Final = 300
COMMANDS_A_FEW: Final = 12


async def cost_of_a_post(admin: MongoConnection, one: Owner, number: int) -> tuple[int, Examined]:
    """Post to the long room; its seq, and what MongoDB looked at."""
    async with examined(admin, one.worker.tenant) as seen:
        post = OWNER.asks(Post, body="still here", client_id=f"p{number}")
        (receipt,) = await one.do(LONG, post)
        await one.done()
    return receipt.seq, seen


async def test_the_first_post_to_a_room_of_50_000_entries_examines_a_few_documents(
    stack: LocalStack,
    tenant: str,
    admin: MongoConnection,
    connection: MongoConnection,
    keys: KeyRing,
) -> None:
    row = TenantRow(tenant, "One lane", LANES, generation=1)
    await seed_room(connection, keys, row, LongRoom(LONG, LONG_ENTRIES, (OWNER.name,)))
    stream = Stream()
    async with owner(stack, tenant, stream, epoch=2) as one:
        seq, cold = await cost_of_a_post(admin, one, 1)
        assert (seq, cold.documents <= A_FEW) == (LONG_ENTRIES + 1, True)
        seq, warm = await cost_of_a_post(admin, one, 2)
        assert (seq, warm.documents <= cold.documents) == (LONG_ENTRIES + 2, True)
    rows = connection.database(tenant_database(tenant))[ROOMS]
    await rows.delete_one({"_id": LONG})
    async with owner(stack, tenant, stream, epoch=3) as next_one:
        seq, without_snapshot = await cost_of_a_post(admin, next_one, 3)
        assert (seq, without_snapshot.documents <= A_FEW) == (LONG_ENTRIES + 3, True)


async def test_a_long_room_is_verified_a_page_at_a_time(
    admin: MongoConnection, grown: Grown
) -> None:
    verdict, pages = RoomVerdict(LONG), 0
    async with examined(admin, grown.tenant.id) as seen:
        async for checked in Verifier(admin, grown.keys, grown.tenant.id).check_room(verdict):
            pages += 1
            assert checked <= pages * PAGE_RECORDS
    assert (verdict.records, verdict.contents, verdict.problems) == (ENTRIES, ENTRIES, [])
    assert seen.returned_at_most <= PAGE_RECORDS + BLOCK_ITEMS_MAX


@pytest.mark.parametrize("leaving", ["silent", "with the lane"])
async def test_many_rooms_leave_the_memory_with_a_few_writes(
    stack: LocalStack, tenant: str, admin: MongoConnection, leaving: str
) -> None:
    rooms = [f"r{number}" for number in range(ROOMS_MANY)]
    async with owner(stack, tenant) as one:
        await fill(one, rooms)
        assert len(one.worker.mailboxes) == ROOMS_MANY
        before = await update_commands(admin)
        if leaving == "silent":
            for mailbox in one.worker.mailboxes.active_since(float("-inf")):
                mailbox.used_at = float("-inf")
            await one.worker.passivate()
        else:
            await one.worker.drop_lane(one.lane)
        assert len(one.worker.mailboxes) == 0
        assert await update_commands(admin) - before <= COMMANDS_A_FEW
        # What makes a chain that is cut later show: its head is noted all the same.
        noted = one.services.connection.database(tenant_database(tenant))[ROOMS]
        heads = [row["head"] async for row in noted.find({}, {"head": 1})]
        assert heads == [2] * ROOMS_MANY


async def test_of_too_many_rooms_those_stay_that_were_used_last(
    stack: LocalStack, tenant: str
) -> None:
    rooms = [f"r{number}" for number in range(20)]
    async with owner(stack, tenant) as one:
        await fill(one, rooms)
        await one.do("r3", OWNER.asks(Post, body="x", client_id="again"))
        await one.worker.passivate(2)
        staying = one.worker.mailboxes.active_since(float("-inf"))
        assert [mailbox.room for mailbox in staying] == ["r19", "r3"]


async def test_what_a_reload_would_have_to_fold_is_saved_as_it_leaves_the_memory(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        await one.do(TENANT_ROOM, new_user(SYSTEM))
        assert await one.worker.mailboxes.projections.snapshot(TENANT_ROOM) is None
        await one.worker.passivate(0)
        assert len(one.worker.mailboxes) == 0
        snapshot = await one.worker.mailboxes.projections.snapshot(TENANT_ROOM)
        assert snapshot is not None
        assert snapshot.applied == await one.reader.head(TENANT_ROOM) == 1


async def fill(one: Owner, rooms: list[str]) -> None:
    """Make rooms, and say something in each."""
    for start in range(0, len(rooms), BATCH_COMMANDS_MAX):
        part = rooms[start : start + BATCH_COMMANDS_MAX]
        one.put_mixed(*((room, OWNER.asks(CreateRoom, name=room)) for room in part))
        # What is said comes after the row was written, so that the row is older than the chain.
        await one.done()
        one.put_mixed(*((room, OWNER.asks(Post, body="x", client_id="p")) for room in part))
    await one.done()


async def update_commands(admin: MongoConnection) -> int:
    """Update commands that mongod has run so far, however many documents each was for."""
    status = await admin.database("admin").command("serverStatus")
    return int(status["metrics"]["commands"]["update"]["total"])
