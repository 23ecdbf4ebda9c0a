"""Verification of a live database: every record of every room against the chain and its content.

It names the first bad record of each kind of harm. What it can't show, README.md lists: above all, a
chain whose end was cut together with its contents and the note of its head stands as if it had never
been longer. Only heads kept elsewhere show that.
"""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from store.checks import ChainCheck, ContentCheck
from store.contents import BLOCK_ITEMS_MAX
from store.driver import Collection, Document, MongoConnection
from store.keys import KeyRing
from store.mongo import CONTENTS, RECORDS, ROOMS, tenant_database
from store.opening import open_ciphers
from store.record import Record, place
from store.verdict import (
    NOWHERE,
    PROBLEMS_MAX,
    Harm,
    Problem,
    RoomVerdict,
    TenantVerdict,
)

PAGE_RECORDS: Final = 1_000
NAMES_A_ROOM: Final = "^[^/]+/"
"""What the key of every record and content begins with."""


class Verifier:
    """Verifies one tenant. Reads only."""

    def __init__(
        self, connection: MongoConnection, keys: KeyRing, tenant: str, *, headers_only: bool = False
    ) -> None:
        """`headers_only`: the keys are destroyed, so that contents can be judged by nobody."""
        self._headers_only = headers_only
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
        return sorted(
            {*(room for room in noted if isinstance(room, str)), *in_records, *in_contents}
        )

    async def run(self) -> AsyncIterator[RoomVerdict]:
        """The verdict on every room; last, if there are any, on documents that belong to none.

        Raises:
            KeyMissing, SealBroken: the tenant's key is gone, or the root key is another one. Nothing
                can be said then.
        """
        if not self._headers_only:
            await self._keys.tenant_cipher(self.tenant)
        for room in await self.rooms():
            verdict = RoomVerdict(room)
            async for _ in self.check_room(verdict):
                pass
            yield verdict
        strays = await self._strays()
        if strays.problems:
            yield strays

    async def check_room(self, verdict: RoomVerdict) -> AsyncIterator[int]:
        """Fill a verdict; yields the records checked so far after each page."""
        # Read before the chain, so that it can only have grown since.
        noted = _Noted(await self._rooms.find_one({"_id": verdict.room}))
        chain, contents = ChainCheck(self.tenant, verdict), ContentCheck(verdict)
        low, after, hash_at_note = f"{verdict.room}/", f"{verdict.room}/", None
        while documents := await self._page(verdict.room, after):
            after = documents[-1]["_id"]
            first = verdict.head.seq + 1
            records = [record for document in documents if (record := chain.take(document))]
            hash_at_note = hash_at_note or _hash_at(noted.head, records)
            back = place(verdict.room, max(0, first - BLOCK_ITEMS_MAX + 1))
            high = place(verdict.room, verdict.head.seq + 1)
            await self._check_contents(contents, records, (min(low, back), low, high))
            low = high
            yield verdict.records
        await self._check_contents(contents, [], (low, low, f"{verdict.room}0"))
        noted.check(verdict, hash_at_note)

    async def _page(self, room: str, after: str) -> list[Document]:
        return (
            await self._records.find({"_id": {"$gt": after, "$lt": f"{room}0"}})
            .sort([("_id", 1)])
            .limit(PAGE_RECORDS)
            .to_list(PAGE_RECORDS)
        )

    async def _check_contents(
        self, check: ContentCheck, records: list[Record], keys: tuple[str, str, str]
    ) -> None:
        """Check records against the contents from the first key on, up to the third; those before
        the second key were judged with the records before."""
        if self._headers_only:
            return
        start, low, high = keys
        documents = (
            await self._contents.find({"_id": {"$gte": start, "$lt": high}})
            .sort([("_id", 1)])
            .to_list(None)
        )
        found = check.read(documents, low)
        room = check.room
        check.take(records, found, await open_ciphers(self._keys, self.tenant, room, found), low)

    async def _strays(self) -> RoomVerdict:
        """Documents among records and contents whose keys name no room: no chain has them, and yet a
        query by another field would find them."""
        verdict = RoomVerdict(NOWHERE)
        for collection in (self._records, self._contents):
            strays = (
                await collection.find({"_id": {"$not": {"$regex": NAMES_A_ROOM}}}, {"_id": 1})
                .limit(PROBLEMS_MAX)
                .to_list(PROBLEMS_MAX)
            )
            for stray in strays:
                detail = f"{collection.name}: {stray['_id']!r} is no place in a chain"
                verdict.add(0, Harm.MISPLACED, detail)
        return verdict


class _Noted:
    """The head of a room as its actors noted it; 0 where they noted nothing that can be read."""

    def __init__(self, row: Document | None) -> None:
        self.head, self._applied = (_number(row, name) for name in ("head", "applied"))
        self._hash: Any = (row or {}).get("head_hash")

    def check(self, verdict: RoomVerdict, hash_there: bytes | None) -> None:
        """Compare with the chain; `hash_there` is the hash of the record at the noted seq."""
        seen = max(self.head, self._applied)
        if verdict.head.seq < seen:
            detail = f"the chain ends at {verdict.head.seq}, and {seen} entries were committed"
            verdict.add(verdict.head.seq + 1, Harm.CUT, detail)
        elif hash_there is not None and hash_there != self._hash:
            committed = self._hash.hex() if isinstance(self._hash, bytes) else repr(self._hash)
            verdict.add(self.head, Harm.HASH, f"it was committed as {committed}")


def _number(row: Document | None, name: str) -> int:
    value = (row or {}).get(name)
    return value if isinstance(value, int) else 0


def _hash_at(seq: int, records: list[Record]) -> bytes | None:
    return next((record.hash for record in records if record.seq == seq), None)


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
        after = found[0]["_id"]
        room, slash, _ = after.partition("/")
        # A key without a room must not hide the rooms behind it.
        if room and slash:
            rooms.append(room)
            after = f"{room}0"


async def verify_tenant(
    connection: MongoConnection, keys: KeyRing, tenant: str, *, headers_only: bool = False
) -> TenantVerdict:
    """Verify every room of a tenant; of one whose keys are destroyed the headers only.

    Raises:
        KeyMissing, SealBroken: the tenant's key is gone, or the root key is another one.
    """
    started = time.monotonic()
    verifier = Verifier(connection, keys, tenant, headers_only=headers_only)
    rooms = [verdict async for verdict in verifier.run()]
    return TenantVerdict(tenant, rooms, time.monotonic() - started, headers_only)


__all__ = ["Harm", "Problem", "RoomVerdict", "TenantVerdict", "Verifier", "verify_tenant"]
