"""The log over a real MongoDB: commits, cursors, and what a commit that fails leaves behind."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from pymongo.errors import PyMongoError

from deploy.local.stack import LocalStack
from store.chain import Cursor, Head, Source
from store.driver import Database, Document, DriverName, MongoConnection
from store.errors import WrongPlace
from store.keys import KeyRing
from store.log import TenantLog, parts_of
from store.mongo import CONTENTS, RECORDS
from store.record import Record
from tests.support.chains import Chain, Commit


async def chain_in(log: TenantLog, keys: KeyRing, room: str = "war-room") -> Chain:
    """An empty chain with the key that the database keeps for its room."""
    return Chain(log.tenant, room, key=await keys.current_room_key(log.tenant, room, 1))


async def append(log: TenantLog, *commits: Commit) -> None:
    """Write commits as one."""
    await log.append(
        [document for commit in commits for document in commit.documents],
        [document for commit in commits for document in commit.contents],
    )


async def test_what_was_appended_is_there_in_order(log: TenantLog, keys: KeyRing) -> None:
    chain = await chain_in(log, keys)
    commits = [chain.commit("one"), chain.commit("two", "three")]
    for commit in commits:
        await append(log, commit)
    records = [record for commit in commits for record in commit.records]
    assert await log.since("war-room", 0, {"message"}) == records
    assert await log.contents(records) == {1: b"one", 2: b"two", 3: b"three"}
    assert await log.head("war-room") == chain.head


async def test_an_empty_room_has_the_head_of_nothing(log: TenantLog) -> None:
    assert await log.head("war-room") == Head()


async def test_heads_of_rooms_with_like_names_are_kept_apart(log: TenantLog, keys: KeyRing) -> None:
    rooms = ("a", "a-b", "a0", "ab")
    chains = [await chain_in(log, keys, room) for room in rooms]
    for lane, chain in enumerate(chains):
        chain.lane = lane
        await append(log, chain.commit(*("x" for _ in range(lane + 1))))
    assert [(await log.head(room)).seq for room in rooms] == [1, 2, 3, 4]


async def test_contents_are_written_before_records(
    log: TenantLog, keys: KeyRing, database: Database, admin: MongoConnection
) -> None:
    chain = await chain_in(log, keys)
    commit = chain.commit("one", "two")
    await append(log, commit)
    written = f"^{database.name}[.]({CONTENTS}|{RECORDS})$"
    oplog = admin.database("local")["oplog.rs"]
    order = [
        entry["ns"].removeprefix(f"{database.name}.")
        for entry in await oplog.find({"op": "i", "ns": {"$regex": written}})
        .sort([("$natural", 1)])
        .to_list(None)
    ]
    assert order == [CONTENTS, RECORDS, RECORDS]


async def test_the_cursor_of_a_lane_is_its_greatest_source(log: TenantLog, keys: KeyRing) -> None:
    first, second = await chain_in(log, keys, "a"), await chain_in(log, keys, "b")
    first.lane, second.lane, second.src = 3, 3, 10
    assert await log.cursor(3) == Cursor()
    await append(log, second.commit("x", "y", "z"))
    await append(log, first.commit("x"))
    assert await log.cursor(3) == Cursor(11, 2)
    assert await log.cursor(4) == Cursor()


async def test_the_cursor_of_a_young_stream_is_ahead_of_an_old_one(
    log: TenantLog, keys: KeyRing
) -> None:
    old, young = await chain_in(log, keys, "a"), await chain_in(log, keys, "b")
    old.src, young.src = (1 << 40) + 5_000_000, 2 << 40
    await append(log, old.commit("x"))
    await append(log, young.commit("x"))
    assert await log.cursor(0) == Cursor((2 << 40) + 1, 0)


async def test_records_are_found_by_the_sources_of_their_lane(
    log: TenantLog, keys: KeyRing
) -> None:
    chain = await chain_in(log, keys)
    commits = [chain.commit("a"), chain.commit("b", "c"), chain.commit("d")]
    await append(log, *commits)
    found = await log.committed(0, 2, 3)
    assert sorted(found, key=_seq) == [*commits[1].records, *commits[2].records]
    assert await log.committed(1, 0, 2**53) == []


async def test_rooms_with_later_sources_are_named_once(log: TenantLog, keys: KeyRing) -> None:
    for number, room in enumerate(("c", "a", "b")):
        chain = await chain_in(log, keys, room)
        chain.src = number
        await append(log, chain.commit("x", "y"))
    assert await log.rooms_after(0, 0) == ["a", "b", "c"]
    assert await log.rooms_after(0, 2) == ["b"]
    assert await log.rooms_after(0, 3) == []


async def test_a_command_is_found_by_room_actor_and_client_id(
    log: TenantLog, keys: KeyRing
) -> None:
    chain = await chain_in(log, keys)
    mine = chain.commit("a", "b", actor="ana")
    others = chain.commit("c", actor="bob")
    await append(log, mine, others)
    ids = [record.client_id for record in [*mine.records, *others.records]]
    found = await log.by_commands("war-room", "ana", [*ids, "unknown"])
    assert sorted(found, key=_seq) == mine.records
    assert await log.by_commands("other", "ana", ids) == []


async def test_records_since_a_seq_are_of_the_asked_kinds(log: TenantLog, keys: KeyRing) -> None:
    chain = await chain_in(log, keys)
    await append(log, chain.commit("a"), chain.commit("b", kind="note"), chain.commit("c"))
    assert [record.seq for record in await log.since("war-room", 0, {"note"})] == [2]
    assert [record.seq for record in await log.since("war-room", 1, {"note", "message"})] == [2, 3]
    assert await log.since("war-room", 3, {"note", "message"}) == []


def _taken_place(record: Record, standing: Record) -> Record:
    return replace(record, seq=standing.seq)


def _taken_command(record: Record, standing: Record) -> Record:
    return replace(record, actor=standing.actor, client_id=standing.client_id)


@pytest.mark.parametrize("take", [_taken_place, _taken_command])
async def test_a_taken_place_leaves_what_stood_before_it_and_nothing_after(
    take: object, log: TenantLog, keys: KeyRing
) -> None:
    assert callable(take)
    chain = await chain_in(log, keys)
    standing = chain.commit("standing")
    await append(log, standing)
    batch = chain.commit(*("abcdef"))
    documents = batch.documents
    documents[3] = take(batch.records[3], standing.records[0]).document()
    with pytest.raises(WrongPlace):
        await log.append(documents, batch.contents)
    written = await log.since("war-room", 0, {"message"})
    assert written == [*standing.records, *batch.records[:3]]
    assert await log.cursor(0) == Cursor(2, 2)


async def test_two_writers_of_one_head_leave_one_line(log: TenantLog, keys: KeyRing) -> None:
    chain = await chain_in(log, keys)
    await append(log, chain.commit("common"))
    rivals = [replace(chain, src=src) for src in (10, 20)]
    commits = [rival.commit("x", "y", "z") for rival in rivals]
    await append(log, commits[0])
    with pytest.raises(WrongPlace):
        await append(log, commits[1])
    assert (await log.head("war-room")).hash == commits[0].records[-1].hash


async def test_another_fault_of_a_write_is_not_a_taken_place(log: TenantLog, keys: KeyRing) -> None:
    chain = await chain_in(log, keys)
    commit = chain.commit("x")
    document = {**commit.documents[0], "_id": ["an array is no key"]}
    with pytest.raises(PyMongoError, match="not written as a whole"):
        await log.append([document], commit.contents)


async def test_a_commit_may_be_larger_than_one_insert(log: TenantLog, keys: KeyRing) -> None:
    chain = await chain_in(log, keys)
    body = "x" * 128 * 1024
    commit = chain.commit(*(body for _ in range(136)))
    assert sum(len(item) for document in commit.contents for item in document["items"]) > 2**24
    await append(log, commit)
    contents = await log.contents(commit.records)
    assert contents == {record.seq: body.encode() for record in commit.records}


def test_documents_are_parted_in_order_and_each_part_fits() -> None:
    small: list[Document] = [{"_id": number} for number in range(3)]
    large: list[Document] = [{"_id": name, "items": [bytes(5 * 2**20)] * 2} for name in "abc"]
    parts = parts_of([*small, *large, small[0]])
    assert [document for part in parts for document in part] == [*small, *large, small[0]]
    assert [len(part) for part in parts] == [4, 1, 2]
    assert parts_of([]) == []


async def test_contents_of_a_commit_that_failed_are_written_again(
    log: TenantLog, keys: KeyRing, database: Database
) -> None:
    chain = await chain_in(log, keys)
    await append(log, chain.commit("standing"))
    rival = Chain(log.tenant, "war-room", key=chain.key, src=10)
    contents = database[CONTENTS]

    async def failed_and_lost() -> Document:
        commit = rival.commit("late")
        rival.head = Head()
        with pytest.raises(WrongPlace):
            await append(log, commit)
        # As a change of primary would: it forgets what no majority had.
        await contents.delete_one({"_id": commit.contents[0]["_id"]})
        return commit.contents[0]

    lost = await failed_and_lost()
    for _ in range(2):
        await log.secure()
        assert await contents.find_one({"_id": lost["_id"]}) == lost
    lost = await failed_and_lost()
    await append(log, chain.commit("next"))
    assert await contents.find_one({"_id": lost["_id"]}) == lost


class TwoTerms(MongoConnection):
    """To whom contents and records are acknowledged by different primaries, as after an election between
    the two; what the first one had is lost with it."""

    lose: Callable[[Document], Awaitable[None]]

    async def run_together(self, database: str, commands: Sequence[Document]) -> list[Document]:
        answers = await super().run_together(database, commands)
        await self.lose(commands[0]["documents"][0])
        return [{**answers[0], "electionId": "the term before"}, *answers[1:]]


async def test_contents_that_were_written_in_another_term_than_their_records_are_written_again(
    stack: LocalStack, driver: DriverName, keys: KeyRing, tenant: str, database: Database
) -> None:
    lost: list[Document] = []

    async def lose(document: Document) -> None:
        await database[CONTENTS].delete_one({"_id": document["_id"]})
        lost.append(document)

    connection = TwoTerms(stack.mongo_url_for("actors"), driver=driver)
    connection.lose = lose
    log = TenantLog(connection, keys, tenant)
    commit = (await chain_in(log, keys)).commit("said once")
    await append(log, commit)
    assert len(lost) == 1
    assert await log.contents(commit.records) == {1: b"said once"}
    await connection.close()


async def test_a_source_is_a_place_in_a_message_of_a_lane(log: TenantLog, keys: KeyRing) -> None:
    chain = await chain_in(log, keys)
    await append(log, chain.commit("a", "b"))
    found = await log.committed(0, 1, 1)
    assert {Source(record.lane, record.src, record.index) for record in found} == {
        Source(0, 1, 0),
        Source(0, 1, 1),
    }


def _seq(record: Record) -> int:
    return record.seq
