"""Verification over chains that were made here: pages, leftovers, and what must not confuse it.

What an administrator may do to a living tenant is in tests/e2e/test_tamper.py.
"""

import os

import pytest
from bson import ObjectId

from store.contents import BLOCK_ITEMS_MAX
from store.driver import Database, DriverName, MongoConnection
from store.errors import SealBroken, StoreError
from store.keys import KeyRing, RootKey
from store.log import TenantLog
from store.mongo import CONTENTS, RECORDS, ROOMS, TENANT_KEYS
from store.record import place, seq_of
from store.sealing import KEY_BYTES
from store.verdict import NOWHERE, PROBLEMS_MAX, Harm, RoomVerdict
from store.verify import PAGE_RECORDS, Verifier, verify_tenant
from tests.support.chains import Chain

LONG = 2 * PAGE_RECORDS + 300


@pytest.fixture(scope="session", params=["pymongo"])
def driver(request: pytest.FixtureRequest) -> DriverName:
    """One of the two is enough here; the tamper suite verifies with the other."""
    name: DriverName = request.param
    return name


async def written(log: TenantLog, keys: KeyRing, room: str, *sizes: int, lane: int = 0) -> Chain:
    """A chain in the database, with commits of the given sizes."""
    key = await keys.current_room_key(log.tenant, room, 1)
    chain = Chain(log.tenant, room, key=key, lane=lane)
    for size in sizes:
        commit = chain.commit(*(f"entry {position}" for position in range(size)))
        await log.append(commit.documents, commit.contents)
    return chain


async def verdict_on(
    room: str, log: TenantLog, connection: MongoConnection, keys: KeyRing
) -> RoomVerdict:
    """The verdict on one room."""
    verdict = RoomVerdict(room)
    async for _ in Verifier(connection, keys, log.tenant).check_room(verdict):
        pass
    return verdict


def harms(verdict: RoomVerdict) -> list[tuple[int, Harm]]:
    """Where what is wrong."""
    return [(problem.seq, problem.harm) for problem in verdict.problems]


async def block_with(database: Database, seq: int) -> tuple[str, int]:
    """The key of the block of `war-room` that holds an entry, and the entry's position in it."""
    found = database[CONTENTS].find({"_id": {"$lt": place("war-room", seq + 1)}}, {"_id": 1})
    [nearest] = await found.sort([("_id", -1)]).limit(1).to_list(1)
    return nearest["_id"], seq - seq_of(nearest["_id"])


async def test_a_chain_of_several_pages_verifies(
    log: TenantLog, keys: KeyRing, connection: MongoConnection
) -> None:
    # A block lies across the first border between pages, and one begins right after the second.
    chain = await written(log, keys, "war-room", PAGE_RECORDS - 3, 8, PAGE_RECORDS - 5, 300)
    verdict = await verify_tenant(connection, keys, log.tenant)
    assert verdict.verified
    assert verdict.rooms == [
        RoomVerdict("war-room", records=LONG, contents=LONG, unclaimed=0, head=chain.head)
    ]


async def test_progress_is_told_page_by_page(
    log: TenantLog, keys: KeyRing, connection: MongoConnection
) -> None:
    await written(log, keys, "war-room", LONG)
    verdict = RoomVerdict("war-room")
    verifier = Verifier(connection, keys, log.tenant)
    assert [count async for count in verifier.check_room(verdict)] == [1_000, 2_000, LONG]


async def test_harm_is_named_wherever_it_lies_in_the_pages(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    await written(log, keys, "war-room", PAGE_RECORDS - 3, 8, PAGE_RECORDS - 5, 300)
    seqs = [1, PAGE_RECORDS, PAGE_RECORDS + 1, PAGE_RECORDS + 4, LONG]
    for seq in seqs:
        change = {"$set": {"actor": "mallory"}}
        await database[RECORDS].update_one({"_id": place("war-room", seq)}, change)
    verdict = await verdict_on("war-room", log, connection, keys)
    assert harms(verdict) == [(seq, Harm.HASH) for seq in seqs]


async def test_a_broken_content_is_named_wherever_it_lies_in_the_pages(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    await written(log, keys, "war-room", PAGE_RECORDS - 3, 8, PAGE_RECORDS - 5, 300)
    # The second and the third lie on either side of a border, the third in a block across it.
    seqs = [1, PAGE_RECORDS - 4, PAGE_RECORDS + 3, LONG]
    for seq in seqs:
        name, item = await block_with(database, seq)
        change = {"$set": {f"items.{item}": b"altered"}}
        await database[CONTENTS].update_one({"_id": name}, change)
    verdict = await verdict_on("war-room", log, connection, keys)
    assert harms(verdict) == [(seq, Harm.CONTENT_BROKEN) for seq in seqs]


async def test_an_altered_block_across_a_border_is_named_once(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    await written(log, keys, "war-room", PAGE_RECORDS - 3, 8, 40)
    name, _ = await block_with(database, PAGE_RECORDS)
    await database[CONTENTS].update_one({"_id": name}, {"$set": {"tag": bytes(28)}})
    verdict = await verdict_on("war-room", log, connection, keys)
    assert harms(verdict) == [(PAGE_RECORDS - 2, Harm.CONTENT_FOREIGN)]


async def test_contents_of_interrupted_commits_are_counted_and_accuse_nobody(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    chain = await written(log, keys, "war-room", 3)
    interrupted = Chain(log.tenant, "war-room", key=chain.key, head=chain.head).commit("x", "y")
    await database[CONTENTS].insert_one(interrupted.contents[0])
    alone = await verdict_on("war-room", log, connection, keys)
    assert (alone.problems, alone.unclaimed, alone.contents) == ([], 1, 3)
    again = chain.commit("x", "y")
    await log.append(again.documents, again.contents)
    beside = await verdict_on("war-room", log, connection, keys)
    assert (beside.problems, beside.unclaimed, beside.contents) == ([], 1, 5)


async def test_every_room_that_left_a_trace_is_visited(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    for lane, room in enumerate(("a", "a-b", "a0", "ab")):
        await written(log, keys, room, 1, lane=lane)
    await database[ROOMS].insert_one({"_id": "noted"})
    await database[ROOMS].insert_one({"_id": 5})
    await database[CONTENTS].insert_one({"_id": place("ghost", 1), "items": []})
    rooms = await Verifier(connection, keys, log.tenant).rooms()
    assert rooms == ["a", "a-b", "a0", "ab", "ghost", "noted"]


@pytest.mark.parametrize("collection", [RECORDS, CONTENTS])
async def test_documents_without_a_room_are_named_and_hide_nothing(
    collection: str,
    log: TenantLog,
    keys: KeyRing,
    connection: MongoConnection,
    database: Database,
) -> None:
    for lane, room in enumerate(("-", "a-b", "b")):
        await written(log, keys, room, 1, lane=lane)
    strays = ["", "/", "a", "/x", 5, ObjectId(), {"room": "a"}]
    for number, key in enumerate(strays):
        await database[collection].insert_one({"_id": key, "room": str(number), "src": -number})
    verdict = await verify_tenant(connection, keys, log.tenant)
    assert [room.room for room in verdict.rooms] == ["-", "a-b", "b", NOWHERE]
    assert [(problem.room, problem.seq) for problem in verdict.problems] == [(NOWHERE, 0)]
    named = verdict.rooms[-1].problems
    assert {problem.harm for problem in named} == {Harm.MISPLACED}
    assert len(named) == len(strays)
    for key in strays:
        assert any(repr(key) in problem.detail for problem in named), key


async def test_a_garbled_note_of_a_head_is_no_reason_to_fail(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    await written(log, keys, "war-room", 2)
    await database[ROOMS].insert_one({"_id": "war-room", "head": "two", "applied": None})
    assert (await verify_tenant(connection, keys, log.tenant)).verified
    await database[ROOMS].update_one({"_id": "war-room"}, {"$set": {"head": 2}})
    problem = (await verify_tenant(connection, keys, log.tenant)).problems[0]
    assert (problem.seq, problem.harm) == (2, Harm.HASH)


async def test_problems_of_one_room_are_named_up_to_a_limit(
    log: TenantLog, keys: KeyRing, connection: MongoConnection, database: Database
) -> None:
    await written(log, keys, "war-room", PROBLEMS_MAX + 20)
    await database[CONTENTS].delete_many({})
    verdict = await verdict_on("war-room", log, connection, keys)
    assert [problem.seq for problem in verdict.problems] == list(range(1, PROBLEMS_MAX + 1))


async def test_without_the_right_root_key_nothing_is_said(
    log: TenantLog, keys: KeyRing, connection: MongoConnection
) -> None:
    await written(log, keys, "war-room", 1)
    with pytest.raises(SealBroken):
        await verify_tenant(
            connection, KeyRing(connection, RootKey(os.urandom(KEY_BYTES))), log.tenant
        )


async def test_without_the_tenants_key_nothing_is_said(
    log: TenantLog, root: RootKey, connection: MongoConnection, admin: MongoConnection
) -> None:
    await admin.database("wardroom")[TENANT_KEYS].delete_one({"_id": log.tenant})
    with pytest.raises(StoreError):
        await verify_tenant(connection, KeyRing(connection, root), log.tenant)


def test_the_pages_hold_more_than_a_block() -> None:
    assert PAGE_RECORDS > BLOCK_ITEMS_MAX
