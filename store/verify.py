"""Verification of a live database: every record of every room against the chain and its content.

It names the first bad record of each kind of harm. What a chain alone can't show is said too: whoever
may rewrite the database and knows the format can rewrite a chain from some record on, and the noted
heads with it; only heads kept elsewhere (receipts, checkpoints) show that.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from store.chain import Head, head_of
from store.contents import BLOCK_ITEMS_MAX, BlockIndex, content_range, is_genuine, key_epochs
from store.driver import Collection, Document, MongoConnection
from store.errors import KeyMissing, StoreError
from store.keys import KeyRing
from store.mongo import CONTENTS, RECORDS, ROOMS, tenant_database
from store.record import Record, place, record_of, seq_of
from store.sealing import Cipher

PAGE_RECORDS: Final = 1_000
PROBLEMS_MAX: Final = 100
"""Problems named for one room; the first is the one that counts."""


class Harm(StrEnum):
    """What is wrong with a record or a content."""

    MALFORMED = "malformed"
    MISPLACED = "misplaced"
    GAP = "gap"
    HASH = "hash_mismatch"
    LINK = "broken_link"
    EPOCH = "epoch_regression"
    TIME = "time_regression"
    CONTENT_MISSING = "content_missing"
    CONTENT_BROKEN = "content_broken"
    CONTENT_FOREIGN = "content_foreign"
    CUT = "tail_missing"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, with the seq where it shows."""

    room: str
    seq: int
    harm: Harm
    detail: str


@dataclass(slots=True)
class RoomVerdict:
    """What verification found in one room. `unclaimed` counts contents of interrupted commits."""

    room: str
    records: int = 0
    contents: int = 0
    unclaimed: int = 0
    head: Head = field(default_factory=Head)
    problems: list[Problem] = field(default_factory=list)

    @property
    def first_problem(self) -> Problem | None:
        """The problem at the lowest seq; of several there, the one found first."""
        return min(self.problems, key=lambda problem: problem.seq, default=None)

    def add(self, seq: int, harm: Harm, detail: str) -> None:
        """Note a problem."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(self.room, seq, harm, detail))


class ChainCheck:
    """Pure: takes the documents of a room in the order of their keys."""

    def __init__(self, tenant: str, verdict: RoomVerdict) -> None:
        self._tenant = tenant
        self._verdict = verdict

    def take(self, document: Document) -> Record | None:
        """Check one record against the one before; None if it can't even be read."""
        verdict = self._verdict
        expected = verdict.head.seq + 1
        try:
            record = record_of(document)
            computed = record.computed_hash()
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            verdict.add(expected, Harm.MALFORMED, f"not a record: {error!r}")
            return None
        if computed != record.hash:
            detail = f"computed {computed.hex()}, stored {record.hash.hex()}"
            verdict.add(seq_of(document["_id"]), Harm.HASH, detail)
        self._check_place(document, record, expected)
        self._check_link(record)
        verdict.records += 1
        verdict.head = head_of(record)
        return record

    def _check_place(self, document: Document, record: Record, expected: int) -> None:
        verdict = self._verdict
        key = document["_id"]
        at = seq_of(key)
        if at > expected:
            verdict.add(expected, Harm.GAP, f"entries {expected} to {at - 1} are missing")
        if key != place(record.room, record.seq) or record.tenant != self._tenant:
            detail = f"{record.tenant}/{record.room}/{record.seq} stands at {key}"
            verdict.add(at, Harm.MISPLACED, detail)

    def _check_link(self, record: Record) -> None:
        verdict, before = self._verdict, self._verdict.head
        if record.prev != before.hash:
            detail = f"prev is {record.prev.hex()}, the entry before has {before.hash.hex()}"
            verdict.add(record.seq, Harm.LINK, detail)
        if record.epoch < before.epoch:
            verdict.add(record.seq, Harm.EPOCH, f"epoch {record.epoch} after {before.epoch}")
        if record.at < before.at:
            verdict.add(record.seq, Harm.TIME, f"time {record.at} after {before.at}")


class Verifier:
    """Verifies one tenant. Reads only."""

    def __init__(self, connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
        database = connection.database(tenant_database(tenant))
        self.tenant = tenant
        self._keys = keys
        self._records = database[RECORDS]
        self._contents = database[CONTENTS]
        self._rooms = database[ROOMS]

    async def rooms(self) -> list[str]:
        """Every room that has left a trace."""
        noted = [row["_id"] for row in await self._rooms.find({}, {"_id": 1}).to_list(None)]
        in_records = await _rooms_in(self._records)
        in_contents = await _rooms_in(self._contents)
        return sorted({*noted, *in_records, *in_contents})

    async def run(self) -> AsyncIterator[RoomVerdict]:
        """The verdict on every room."""
        for room in await self.rooms():
            verdict = RoomVerdict(room)
            async for _ in self.check_room(verdict):
                pass
            yield verdict

    async def check_room(self, verdict: RoomVerdict) -> AsyncIterator[int]:
        """Fill a verdict; yields the records checked so far after each page."""
        # Read before the chain, so that it can only have grown since.
        noted = await self._rooms.find_one({"_id": verdict.room})
        check = ChainCheck(self.tenant, verdict)
        after = ""
        hashes_at: dict[int, bytes] = {}
        wanted = int(noted.get("head", 0)) if noted else 0
        while documents := await self._page(verdict.room, after):
            after = documents[-1]["_id"]
            records = [record for document in documents if (record := check.take(document))]
            hashes_at.update((r.seq, r.hash) for r in records if r.seq == wanted)
            first, last = seq_of(documents[0]["_id"]), seq_of(after)
            await self._check_contents(verdict, records, (first, last))
            yield verdict.records
        await self._check_unclaimed_after(verdict)
        self._check_tail(verdict, noted or {}, hashes_at.get(wanted))

    async def _page(self, room: str, after: str) -> list[Document]:
        return (
            await self._records.find({"_id": {"$gt": after or f"{room}/", "$lt": f"{room}0"}})
            .sort([("_id", 1)])
            .limit(PAGE_RECORDS)
            .to_list(PAGE_RECORDS)
        )

    async def _check_contents(
        self, verdict: RoomVerdict, records: list[Record], span: tuple[int, int]
    ) -> None:
        first, last = span
        fetched = content_range(verdict.room, max(1, first - BLOCK_ITEMS_MAX + 1), last)
        documents = await self._contents.find(fetched).to_list(None)
        ciphers = await self._ciphers(verdict.room, documents)
        genuine = []
        for document in documents:
            if self._is_genuine(verdict, document, ciphers, first):
                genuine.append(document)
        index = BlockIndex(genuine, ciphers)
        claimed = {record.seq: self._claim(verdict, index, record) for record in records}
        for document in genuine:
            start = seq_of(document["_id"])
            mine = range(max(start, first), start + len(document["items"]))
            verdict.unclaimed += start >= first and not any(claimed.get(seq) for seq in mine)

    def _is_genuine(
        self, verdict: RoomVerdict, document: Document, ciphers: dict[int, Cipher], first: int
    ) -> bool:
        try:
            start = seq_of(document["_id"])
            cipher = ciphers.get(document["key"])
            genuine = cipher is not None and is_genuine(document, cipher)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            start, genuine = verdict.head.seq, False
        if not genuine and start >= first:
            detail = f"content {document['_id']} was not written by Wardroom as it stands"
            verdict.add(start, Harm.CONTENT_FOREIGN, detail)
        return genuine

    def _claim(self, verdict: RoomVerdict, index: BlockIndex, record: Record) -> bool:
        try:
            content = index.open(record)
        except StoreError as error:
            verdict.add(record.seq, Harm.CONTENT_BROKEN, str(error))
            return False
        if content is None:
            verdict.add(
                record.seq, Harm.CONTENT_MISSING, "no content, and no record of its erasure"
            )
            return False
        verdict.contents += 1
        return True

    async def _check_unclaimed_after(self, verdict: RoomVerdict) -> None:
        beyond = {
            "_id": {"$gte": place(verdict.room, verdict.head.seq + 1), "$lt": f"{verdict.room}0"}
        }
        documents = await self._contents.find(beyond).to_list(None)
        ciphers = await self._ciphers(verdict.room, documents)
        for document in documents:
            if self._is_genuine(verdict, document, ciphers, verdict.head.seq + 1):
                verdict.unclaimed += 1

    def _check_tail(
        self, verdict: RoomVerdict, noted: dict[str, Any], hash_there: bytes | None
    ) -> None:
        seen = max(int(noted.get("head", 0)), int(noted.get("applied", 0)))
        if verdict.head.seq < seen:
            detail = f"the chain ends at {verdict.head.seq}, and {seen} entries were committed"
            verdict.add(verdict.head.seq + 1, Harm.CUT, detail)
        elif hash_there is not None and hash_there != noted["head_hash"]:
            detail = f"entry {noted['head']} was committed as {noted['head_hash'].hex()}"
            verdict.add(int(noted["head"]), Harm.HASH, detail)

    async def _ciphers(self, room: str, documents: list[Document]) -> dict[int, Cipher]:
        ciphers: dict[int, Cipher] = {}
        for epoch in key_epochs([document for document in documents if "key" in document]):
            try:
                ciphers[epoch] = (await self._keys.room_key(self.tenant, room, epoch)).cipher
            except KeyMissing:
                continue
        return ciphers


async def _rooms_in(collection: Collection) -> list[str]:
    """The rooms in a collection, by skipping from one room's first key to the next room's."""
    rooms: list[str] = []
    after = ""
    while True:
        found = (
            await collection.find({"_id": {"$gt": after}}, {"_id": 1})
            .sort([("_id", 1)])
            .limit(1)
            .to_list(1)
        )
        if not found:
            return rooms
        room = str(found[0]["_id"]).split("/", 1)[0]
        rooms.append(room)
        after = f"{room}0"


@dataclass(frozen=True, slots=True)
class TenantVerdict:
    """The verdict on a tenant."""

    tenant: str
    rooms: list[RoomVerdict]
    seconds: float

    @property
    def problems(self) -> list[Problem]:
        """The first problem of every room that has one."""
        return [problem for room in self.rooms if (problem := room.first_problem)]

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


async def verify_tenant(connection: MongoConnection, keys: KeyRing, tenant: str) -> TenantVerdict:
    """Verify every room of a tenant."""
    started = time.monotonic()
    rooms = [verdict async for verdict in Verifier(connection, keys, tenant).run()]
    return TenantVerdict(tenant, rooms, time.monotonic() - started)
