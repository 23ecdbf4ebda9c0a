"""Reading pages of a room from a real MongoDB."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.stack import LocalStack
from store.contents import BLOCK_ITEMS_MAX
from store.driver import Database, MongoConnection
from store.entries import StoredEntry
from store.keys import KeyRing, RootKey
from store.log import TenantLog
from store.mongo import CONTENTS, ROOM_KEYS
from store.reader import Reader
from store.record import RECORD_DOMAIN
from store.tenant_reader import TenantReader
from tests.support.chains import Chain, Commit


@dataclass
class Room:
    """A room that is written as an actor would write it."""

    log: TenantLog
    chain: Chain

    async def commit(self, *bodies: str, kind: str = "message") -> Commit:
        """Commit bodies together."""
        made = self.chain.commit(*bodies, kind=kind)
        await self.log.append(made.documents, made.contents)
        return made


@pytest.fixture
async def room(log: TenantLog, keys: KeyRing) -> Room:
    """An empty room."""
    key = await keys.current_room_key(log.tenant, "war-room", 1)
    return Room(log, Chain(log.tenant, "war-room", key=key))


def seqs(entries: Sequence[StoredEntry]) -> list[int]:
    """The seqs of a page."""
    return [entry.seq for entry in entries]


def said(entries: Sequence[StoredEntry]) -> list[bytes | None]:
    """The contents of a page."""
    return [entry.content for entry in entries]


async def test_an_entry_is_the_record_with_its_content(room: Room, reader: TenantReader) -> None:
    record = (await room.commit("Grüße")).records[0]
    assert await reader.entries("war-room") == [
        StoredEntry(
            room="war-room",
            seq=1,
            kind="message",
            actor="ana",
            at_ms=record.at,
            client_id=record.client_id,
            target=None,
            prev=bytes(32),
            hash=record.hash,
            content="Grüße".encode(),
        )
    ]


async def test_pages_follow_each_other_upwards_without_gap_or_overlap(
    room: Room, reader: TenantReader
) -> None:
    for number in range(4):
        await room.commit(*(f"{number}.{position}" for position in range(3)))
    pages, after = [], 0
    while page := await reader.entries("war-room", after=after, limit=5):
        pages.append(seqs(page))
        after = page[-1].seq
    assert pages == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]


PAGES: dict[tuple[int, int | None, int], list[int]] = {
    (0, None, 3): [1, 2, 3],
    (9, None, 100): [10],
    (10, None, 100): [],
    (99, None, 100): [],
    (0, 11, 3): [8, 9, 10],
    (0, 3, 100): [1, 2],
    (0, 1, 100): [],
    (4, 7, 100): [5, 6],
    (4, 9, 2): [5, 6],
    (7, 4, 100): [],
}
"""After, before, limit: what a page of ten entries is."""


async def test_a_page_lies_between_after_and_before(room: Room, reader: TenantReader) -> None:
    await room.commit(*(f"entry {seq}" for seq in range(1, 11)))
    for (after, before, limit), expected in PAGES.items():
        page = await reader.entries("war-room", after=after, before=before, limit=limit)
        assert seqs(page) == expected, (after, before, limit)
        assert said(page) == [f"entry {seq}".encode() for seq in expected]


async def test_a_page_of_one_kind_holds_that_kind_only(room: Room, reader: TenantReader) -> None:
    await room.commit("a")
    await room.commit("b", kind="note")
    await room.commit("c", "d")
    await room.commit("e", kind="note")
    page = await reader.entries("war-room", kind="note")
    assert (seqs(page), said(page)) == ([2, 5], [b"b", b"e"])
    assert seqs(await reader.entries("war-room", kind="note", after=2)) == [5]
    assert seqs(await reader.entries("war-room", kind="note", before=5, limit=1)) == [2]
    assert await reader.entries("war-room", kind="unknown") == []


async def test_a_page_may_begin_in_the_middle_of_a_block(room: Room, reader: TenantReader) -> None:
    await room.commit("first")
    await room.commit(*(f"entry {seq}" for seq in range(2, BLOCK_ITEMS_MAX + 2)))
    last = BLOCK_ITEMS_MAX + 1
    for after in (1, 2, 100, last - 1):
        page = await reader.entries("war-room", after=after, limit=2)
        assert said(page)[0] == f"entry {after + 1}".encode()
    assert said(await reader.entries("war-room", before=last + 1, limit=1)) == [
        f"entry {last}".encode()
    ]


async def test_what_is_rare_is_read_without_all_that_lies_between(
    room: Room, reader: TenantReader, database: Database
) -> None:
    for _ in range(3):
        await room.commit("rare", kind="note")
        for _ in range(4):
            await room.commit(*("x" for _ in range(BLOCK_ITEMS_MAX)))
    await database.command("profile", 2)
    page = await reader.entries("war-room", kind="note")
    await database.command("profile", 0)
    assert said(page) == [b"rare"] * 3
    reads = (
        await database["system.profile"].find({"ns": f"{database.name}.{CONTENTS}"}).to_list(None)
    )
    assert sum(read["docsExamined"] for read in reads) == 3


async def test_a_content_that_is_gone_or_broken_is_none_and_the_rest_is_read(
    room: Room, reader: TenantReader, database: Database
) -> None:
    blocks = [(await room.commit(body)).contents[0]["_id"] for body in ("a", "b", "c", "d", "e")]
    contents = database[CONTENTS]
    await contents.delete_one({"_id": blocks[1]})
    await contents.update_one({"_id": blocks[2]}, {"$set": {"items.0": b"broken"}})
    await contents.update_one({"_id": blocks[3]}, {"$set": {"items": "no list"}})
    assert said(await reader.entries("war-room")) == [b"a", None, None, None, b"e"]


async def test_a_room_without_its_key_shows_its_headers(
    room: Room,
    connection: MongoConnection,
    root: RootKey,
    database: Database,
) -> None:
    await room.commit("a", "b")
    await database[ROOM_KEYS].delete_many({})
    reader = TenantReader(connection, KeyRing(connection, root), room.log.tenant)
    page = await reader.entries("war-room")
    assert (seqs(page), said(page)) == ([1, 2], [None, None])


async def test_headers_are_what_was_hashed(room: Room, reader: TenantReader) -> None:
    records = (await room.commit("a", "b", "c")).records
    headers: list[dict[str, Any]] = await reader.headers("war-room", after=1, limit=1)
    assert headers == [{**records[1].header(), "hash": records[1].hash.hex()}]
    assert RECORD_DOMAIN == b"wardroom/record/v1\0"


async def test_the_entry_of_a_command_is_found(room: Room, reader: TenantReader) -> None:
    record = (await room.commit("a", "b")).records[1]
    found = await reader.by_client_id("war-room", "ana", record.client_id)
    assert found is not None
    assert (found.seq, found.content) == (2, b"b")
    assert await reader.by_client_id("war-room", "bob", record.client_id) is None
    assert await reader.by_client_id("other", "ana", record.client_id) is None


async def test_the_head_is_the_last_seq(room: Room, reader: TenantReader) -> None:
    assert await reader.head("war-room") == 0
    await room.commit("a", "b")
    assert await reader.head("war-room") == 2
    assert await reader.head("war") == 0


async def test_a_reader_of_one_tenant_sees_nothing_of_another(
    room: Room, connection: MongoConnection, keys: KeyRing
) -> None:
    await room.commit("secret")
    other = TenantReader(connection, keys, "somebody-else")
    assert await other.entries("war-room") == []
    assert await other.head("war-room") == 0


async def test_a_tenant_that_does_not_exist_has_no_reader(
    connection: MongoConnection, keys: KeyRing
) -> None:
    assert await Reader(connection, keys).tenant("nobody") is None


async def test_the_platform_answers_and_lists_its_tenants(
    connection: MongoConnection, keys: KeyRing, stack: LocalStack
) -> None:
    made = await stack.create_tenant(f"t{uuid4().hex[:12]}", "Listed")
    reader = Reader(connection, keys)
    await reader.ping()
    assert made in await reader.tenants()
    found = await reader.tenant(made.id)
    assert found is not None
    assert found.tenant == made.id
