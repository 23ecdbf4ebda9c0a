"""The log of a tenant: the only writer of records and contents. Insert and find, nothing else."""

from collections.abc import Iterable
from typing import Final

from pymongo.errors import WriteError

from store.chain import Cursor, Head
from store.driver import COMMIT_TIMEOUT_MS, Document, MongoConnection
from store.errors import WrongPlace
from store.keys import KeyRing
from store.mongo import CONTENTS, DUPLICATE_KEY, RECORDS, of_kinds, tenant_database
from store.opening import open_contents
from store.record import Record, place, record_of

DURABLE: Final = {"w": "majority", "j": True, "wtimeout": COMMIT_TIMEOUT_MS}
AT_THE_PRIMARY: Final = {"w": 1}

COMMAND_BYTES_MAX: Final = 12 * 1024 * 1024
"""Documents of one insert; MongoDB takes a command of 16 MiB, and the client does not split it."""
HEADER_BYTES_MAX: Final = 1024
"""No record, and no content document without its items, is larger."""
ITEM_OVERHEAD_BYTES: Final = 16
"""What BSON adds to one item of an array."""


class TenantLog:
    """The chains of one tenant. Every query is born with its tenant: it is the database."""

    def __init__(self, connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
        self.tenant = tenant
        self._connection = connection
        self._keys = keys
        self._database = connection.database(tenant_database(tenant))
        self._records = self._database[RECORDS]
        self._unsecured: list[Document] = []

    async def append(self, records: list[Document], contents: list[Document]) -> None:
        """Commit: contents first, then records in order, majority and journaled.

        Both travel together on one connection, where mongod runs them one after the other. The
        contents are acknowledged by the primary alone: they stand before the records in the same
        oplog and journal, so what makes the records durable makes them durable. That holds while
        both went to the same primary in the same term (`electionId`); where that is not certain,
        the contents are written again, majority, before this returns or anything is settled.

        After an error a prefix of the records may stand; call `secure`, then read what is there.
        Nothing is repeated by the driver: after a lost answer only the caller can know what is
        right.

        Raises:
            WrongPlace: a record's place is taken, or its command is recorded.
            pymongo.errors.PyMongoError: no answer, or not enough members; the outcome is unknown.
        """
        # What an earlier commit left unsecured must not be forgotten with the success of this one.
        await self.secure()
        self._unsecured.extend(contents)
        first, *rest = parts_of(records)
        together = [
            _insert(CONTENTS, part, AT_THE_PRIMARY, ordered=False) for part in parts_of(contents)
        ]
        terms = await self._run([*together, _insert(RECORDS, first, DURABLE, ordered=True)])
        if len(terms) == 1 and None not in terms:
            self._unsecured.clear()
        await self.secure()
        for part in rest:
            # Alone: after a part that failed, this one would leave a hole in a chain.
            await self._run([_insert(RECORDS, part, DURABLE, ordered=True)])

    async def _run(self, inserts: list[Document]) -> set[object]:
        """Run inserts; returns the terms they were done in, None for one that was not told."""
        answers = await self._connection.run_together(self._database.name, inserts)
        for insert, answer in zip(inserts, answers, strict=True):
            _check(insert["insert"], answer)
        return {answer.get("electionId") for answer in answers}

    async def secure(self) -> None:
        """Write contents again that a change of primary may have lost. What is there stays as it is.

        Raises:
            pymongo.errors.PyMongoError: they are not safe yet; call again before anything else.
        """
        while self._unsecured:
            part = parts_of(self._unsecured)[0]
            answer = await self._database.command(_insert(CONTENTS, part, DURABLE, ordered=False))
            errors = [e for e in answer.get("writeErrors", ()) if e["code"] != DUPLICATE_KEY]
            if errors or "writeConcernError" in answer:
                raise WriteError("contents are not safe yet", details=answer)
            del self._unsecured[: len(part)]

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
            .sort([("lane", -1), ("src", -1), ("index", -1)])
            .limit(1)
            .to_list(1)
        )
        return Cursor(newest[0]["src"], newest[0]["index"]) if newest else Cursor()

    async def rooms_after(self, lane: int, src: int) -> list[str]:
        """Rooms of a lane with records from later sources than `src`."""
        # Found where they are: there may be many records, and there are few rooms.
        return sorted(await self._records.distinct("room", {"lane": lane, "src": {"$gt": src}}))

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
                of_kinds({"_id": {"$gt": place(room, after), "$lt": f"{room}0"}}, kinds)
            )
            .sort([("_id", 1)])
            .to_list(None)
        )
        return [record_of(document) for document in documents]

    async def contents(self, records: list[Record]) -> dict[int, bytes]:
        """The opened contents of records of one room, by seq; what is not whole is left out."""
        return await open_contents(self._database, self._keys, self.tenant, records)


def parts_of(documents: list[Document]) -> list[list[Document]]:
    """Documents in as many parts as inserts are needed for them, in order."""
    parts: list[list[Document]] = []
    size = COMMAND_BYTES_MAX
    for document in documents:
        items = document.get("items", ())
        bytes_here = HEADER_BYTES_MAX + sum(len(item) + ITEM_OVERHEAD_BYTES for item in items)
        size += bytes_here
        if size > COMMAND_BYTES_MAX:
            parts.append([])
            size = bytes_here
        parts[-1].append(document)
    return parts


def _insert(
    collection: str, documents: list[Document], concern: Document, *, ordered: bool
) -> Document:
    # The bare command: `insert_many` spends three times as much on each document.
    return {
        "insert": collection,
        "ordered": ordered,
        "writeConcern": concern,
        "documents": documents,
    }


def _check(collection: str, answer: Document) -> None:
    errors = answer.get("writeErrors", ())
    if any(error["code"] == DUPLICATE_KEY for error in errors):
        raise WrongPlace(f"a place of this batch is taken in {collection}")
    if errors or "writeConcernError" in answer:
        raise WriteError(f"{collection} was not written as a whole", details=answer)
