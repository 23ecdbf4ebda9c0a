"""The log of a tenant: the only writer of records and contents. Insert and find, nothing else."""

from collections.abc import Callable, Iterable

from pymongo.errors import BulkWriteError

from store.chain import Cursor, Head
from store.driver import Document, MongoConnection
from store.errors import WrongPlace
from store.keys import KeyRing
from store.mongo import CONTENTS, DUPLICATE_KEY, RECORDS, tenant_database
from store.opening import open_contents
from store.record import Record, place, record_of


class TenantLog:
    """The chains of one tenant. Every query is born with its tenant: it is the database."""

    def __init__(self, connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
        self.tenant = tenant
        self._keys = keys
        self._database = connection.database(tenant_database(tenant))
        self._records = self._database[RECORDS]
        self._contents = self._database[CONTENTS]

    async def append(
        self,
        records: list[Document],
        contents: list[Document],
        reach: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Commit: contents first, then records in order, each majority and journaled.

        After an error a prefix of the records may stand; read again what is there. `reach` is told
        of every point at which a crash makes a difference.

        Raises:
            WrongPlace: a record's place, command or source is taken.
            pymongo.errors.PyMongoError: no answer; the outcome is unknown.
        """
        await self._contents.insert_many(contents, ordered=False)
        reach("contents_written")
        try:
            await self._records.insert_many(records, ordered=True)
        except BulkWriteError as error:
            details = error.details or {}
            if any(item.get("code") == DUPLICATE_KEY for item in details.get("writeErrors", ())):
                raise WrongPlace("a place of this batch is taken") from error
            raise

    async def head(self, room: str) -> Head:
        """The end of a room's chain."""
        newest = (
            await self._records.find({"_id": {"$gte": f"{room}/", "$lt": f"{room}0"}})
            .sort([("_id", -1)])
            .limit(1)
            .to_list(1)
        )
        if not newest:
            return Head()
        record = record_of(newest[0])
        return Head(record.seq, record.hash, record.epoch, record.at)

    async def cursor(self, lane: int) -> Cursor:
        """How far a lane is committed."""
        newest = (
            await self._records.find({"lane": lane}, {"src": 1, "index": 1})
            .sort([("lane", 1), ("src", -1), ("index", -1)])
            .limit(1)
            .to_list(1)
        )
        return Cursor(newest[0]["src"], newest[0]["index"]) if newest else Cursor()

    async def rooms_after(self, lane: int, src: int) -> list[str]:
        """Rooms of a lane with records from later sources than `src`."""
        documents = await self._records.find(
            {"lane": lane, "src": {"$gt": src}}, {"room": 1}
        ).to_list(None)
        return sorted({document["room"] for document in documents})

    async def committed(self, lane: int, first_src: int, last_src: int) -> list[Record]:
        """The records of a lane that came from the given sources (inclusive)."""
        documents = await self._records.find(
            {"lane": lane, "src": {"$gte": first_src, "$lte": last_src}}
        ).to_list(None)
        return [record_of(document) for document in documents]

    async def by_commands(self, room: str, actor: str, client_ids: list[str]) -> list[Record]:
        """The records that an actor's commands made in a room, as far as they made any."""
        documents = await self._records.find(
            {"room": room, "actor": actor, "client_id": {"$in": client_ids}}
        ).to_list(None)
        return [record_of(document) for document in documents]

    async def since(self, room: str, after: int, kinds: Iterable[str]) -> list[Record]:
        """A room's records of the given kinds after a seq, ascending."""
        documents = (
            await self._records.find(
                {
                    "_id": {"$gt": place(room, after), "$lt": f"{room}0"},
                    "kind": {"$in": sorted(kinds)},
                }
            )
            .sort([("_id", 1)])
            .to_list(None)
        )
        return [record_of(document) for document in documents]

    async def contents(self, records: list[Record]) -> dict[int, bytes]:
        """The opened contents of records of one room, by seq; what is not whole is left out."""
        return await open_contents(self._database, self._keys, self.tenant, records)
