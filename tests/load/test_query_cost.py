"""Every query of a request looks at as much as it returns, however much there is."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import pytest

from actors.protocol.events import RoomClosed, RoomCreated
from actors.protocol.limits import SNAPSHOT_EVERY_RECORDS
from actors.protocol.subjects import lane_of
from actors.room.evolve import STATE_KINDS
from deploy.local.stack import LocalStack
from store.contents import BLOCK_ITEMS_MAX
from store.driver import MongoConnection
from store.keys import KeyRing
from store.mongo import CONTENTS, PLATFORM_DATABASE, RECORDS, ROOMS
from store.projections import Projections
from store.reader import LOGIN_CANDIDATES_MAX, Reader
from store.rows import SessionRow, UserRow
from store.tenant_reader import TenantReader
from tests.load.conftest import (
    ENTRIES,
    EVERYWHERE,
    LONG,
    ROOM_ROWS,
    SHORT_ENTRIES,
    SOMEWHERE,
    Grown,
    room_row_of,
)
from tests.load.examined import examined

LIMIT: Final = 50
A_FEW: Final = 16
"""Keys that finding the ends of some index ranges takes."""
TRIED_IN_VAIN: Final = 200
"""Records that MongoDB may look at before it gives up a plan that was good once."""
PEOPLE: Final = 40
LARGE_STATE_BYTES: Final = 100_000

Work = Callable[[Grown], Awaitable[Any]]

PAGES: Final[dict[str, Work]] = {
    "first": lambda grown: grown.reader.entries(LONG, limit=LIMIT),
    "middle": lambda grown: grown.reader.entries(LONG, after=ENTRIES // 2, limit=LIMIT),
    "last": lambda grown: grown.reader.entries(LONG, before=ENTRIES + 1, limit=LIMIT),
    "messages": lambda grown: grown.reader.entries(
        LONG, after=ENTRIES // 2, limit=LIMIT, kind="message"
    ),
    "headers": lambda grown: grown.reader.headers(LONG, after=ENTRIES // 2, limit=LIMIT),
}
FEW: Final[dict[str, Work]] = {
    "head of a log": lambda grown: grown.log.head(LONG),
    "head for a reader": lambda grown: grown.reader.head(LONG),
    "cursor of a lane": lambda grown: grown.log.cursor(lane_of(LONG, grown.tenant.lanes)),
    "kind that is rare": lambda grown: grown.reader.entries(LONG, kind=RoomCreated.kind),
    "kind that is rare, backwards": lambda grown: grown.reader.entries(
        LONG, before=ENTRIES, kind=RoomCreated.kind
    ),
    "kind that never came": lambda grown: grown.reader.entries(LONG, kind=RoomClosed.kind),
    "state since the snapshot": lambda grown: grown.log.since(
        LONG, ENTRIES - SNAPSHOT_EVERY_RECORDS, STATE_KINDS
    ),
    "state without a snapshot": lambda grown: grown.log.since(LONG, 0, STATE_KINDS),
    "state of kinds before the common one": lambda grown: grown.log.since(
        LONG, 0, {"member_added", "finding"}
    ),
    "state of one kind": lambda grown: grown.log.since(LONG, 0, {"room_created"}),
    "snapshot": lambda grown: grown.projections.snapshot(LONG),
    "row of a room": lambda grown: grown.reader.room(LONG),
    "key of a room": lambda grown: grown.keys.current_room_key(grown.tenant.id, LONG, ENTRIES),
    "records of commands": lambda grown: grown.log.by_commands(
        LONG, EVERYWHERE, ["seed-1-0", "never"]
    ),
}


@pytest.mark.parametrize("work", PAGES.values(), ids=PAGES)
async def test_a_page_of_a_long_room_costs_a_page(
    admin: MongoConnection, grown: Grown, work: Work
) -> None:
    async with examined(admin, grown.tenant.id) as seen:
        assert len(await work(grown)) == LIMIT
    assert sum(each.documents for each in seen.of(RECORDS)) == LIMIT
    assert sum(each.keys for each in seen.of(RECORDS)) <= LIMIT + 1
    assert sum(each.documents for each in seen.of(CONTENTS)) <= LIMIT + BLOCK_ITEMS_MAX


@pytest.mark.parametrize("work", FEW.values(), ids=FEW)
async def test_one_thing_is_found_without_looking_through_the_room(
    admin: MongoConnection, grown: Grown, work: Work
) -> None:
    async with examined(admin, grown.tenant.id) as seen:
        await work(grown)
    assert seen.operations
    assert sum(each.keys for each in seen.of(RECORDS)) <= A_FEW
    assert seen.documents <= A_FEW
    assert "COLLSCAN" not in {each.plan for each in seen.operations}


async def test_a_way_to_the_state_that_was_good_for_a_short_tail_is_not_kept_for_a_long_one(
    admin: MongoConnection, grown: Grown
) -> None:
    for _ in range(3):
        assert await grown.log.since("short-1", SHORT_ENTRIES - 1, STATE_KINDS) == []
    async with examined(admin, grown.tenant.id) as seen:
        assert len(await grown.log.since(LONG, 0, STATE_KINDS)) == 1
    assert seen.documents <= TRIED_IN_VAIN


async def test_the_state_of_a_room_is_found_whole_by_the_index_of_rare_kinds(grown: Grown) -> None:
    kinds = {*STATE_KINDS, "never"}
    assert [record.seq for record in await grown.log.since(LONG, 0, kinds)] == [1]
    everything = await grown.log.since("short-1", 0, {*kinds, "message"})
    assert [record.seq for record in everything] == list(range(1, len(everything) + 1))


async def test_a_lane_that_was_seen_through_has_no_room_to_repair(
    admin: MongoConnection, grown: Grown
) -> None:
    lane = lane_of(LONG, grown.tenant.lanes)
    seen_through = await grown.projections.lane(lane)
    async with examined(admin, grown.tenant.id) as seen:
        assert await grown.log.rooms_after(lane, seen_through.src) == []
    assert seen.keys <= A_FEW


async def test_the_rooms_of_a_lane_are_found_without_bringing_its_records_over(
    admin: MongoConnection, grown: Grown
) -> None:
    lane = lane_of(LONG, grown.tenant.lanes)
    async with examined(admin, grown.tenant.id) as seen:
        rooms = await grown.log.rooms_after(lane, 0)
    assert LONG in rooms
    assert rooms == sorted(set(rooms))
    assert seen.returned_at_most <= len(rooms)


@pytest.mark.parametrize("user", [EVERYWHERE, SOMEWHERE, "nowhere"])
async def test_a_page_of_somebodys_rooms_costs_a_page_whoever_asked_before(
    admin: MongoConnection, grown: Grown, user: str
) -> None:
    limit = 10
    # The way to one user's rooms, once found and kept, must not become everybody's.
    for _ in range(3):
        await grown.reader.rooms_for(EVERYWHERE, "viewer", after="", limit=limit)
    await grown.reader.rooms_for(user, "viewer", after="", limit=limit)
    async with examined(admin, grown.tenant.id) as seen:
        rooms = await grown.reader.rooms_for(user, "viewer", after="", limit=limit)
    assert len(rooms) == (0 if user == "nowhere" else limit)
    assert sum(each.documents for each in seen.of(ROOMS)) <= 2 * limit
    assert sum(each.keys for each in seen.of(ROOMS)) <= 2 * limit + A_FEW < ROOM_ROWS


async def test_what_an_actor_keeps_in_a_row_is_not_read_for_the_list_of_rooms(
    admin: MongoConnection, connection: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    projections = Projections(connection, keys, tenant)
    await projections.save_room(room_row_of("r1", {"ana": "owner"}), bytes(LARGE_STATE_BYTES))
    reader = TenantReader(connection, keys, tenant)
    async with examined(admin, tenant) as seen:
        assert await reader.room("r1") is not None
        assert len(await reader.rooms_for("ana", "viewer", after="", limit=LIMIT)) == 1
    assert max(each.bytes for each in seen.of(ROOMS)) < LARGE_STATE_BYTES


async def test_signing_in_looks_at_few_names(
    admin: MongoConnection,
    stack: LocalStack,
    connection: MongoConnection,
    keys: KeyRing,
    tenant: str,
) -> None:
    projections, name = Projections(connection, keys, tenant), uuid4().hex
    for number in range(PEOPLE):
        await projections.save_user(_user(number, f"{name}-{number}"))
    reader = Reader(connection, keys)
    async with examined(admin, PLATFORM_DATABASE, is_tenant=False) as seen:
        (candidate,) = await reader.logins(f"{name}-7")
    assert candidate.user == "u7"
    assert seen.keys <= LOGIN_CANDIDATES_MAX
    people = TenantReader(connection, keys, tenant)
    async with examined(admin, tenant) as seen:
        assert len(await people.users(after="u2", limit=5)) == 5
    assert (seen.keys, seen.documents) == (5, 5)


async def test_a_session_is_found_by_its_key(
    admin: MongoConnection, connection: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    projections = Projections(connection, keys, tenant)
    for number in range(PEOPLE):
        await projections.save_session(
            SessionRow(f"s{number}", "ana", 4_000_000_000_000, ended=False)
        )
    async with examined(admin, tenant) as seen:
        assert await TenantReader(connection, keys, tenant).session_active("s9")
    assert (seen.keys, seen.documents) == (1, 1)


async def test_the_newest_dead_letters_are_found_without_looking_through_all(
    admin: MongoConnection, connection: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    projections = Projections(connection, keys, tenant)
    for number in range(PEOPLE):
        await projections.save_dead_letter(f"d{number}", "unreadable", "ingest.x.y", b"?")
    async with examined(admin, tenant) as seen:
        letters = await TenantReader(connection, keys, tenant).dead_letters(5)
    assert len(letters) == 5
    assert (seen.keys, seen.documents) == (5, 5)


def _user(number: int, username: str) -> UserRow:
    return UserRow(f"u{number}", username, None, username, "analyst", False, "$argon2id$...")
