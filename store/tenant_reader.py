"""Reading of one tenant: history, rooms, users. A reader belongs to it from birth and can't leave it."""

from collections.abc import Mapping
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson

from store.driver import Database, Document, MongoConnection
from store.entries import Selection, StoredEntry, stored
from store.keys import KeyRing
from store.mongo import (
    DEAD_LETTERS,
    RECORDS,
    ROOMS,
    SESSIONS,
    USERS,
    sides_of_kinds,
    tenant_database,
)
from store.nats_credentials import NatsCredentials
from store.opening import open_contents
from store.people import PeopleReader
from store.record import Record, place, record_of
from store.rows import (
    RoomRow,
    SessionRow,
    UserRow,
    user_row_of,
)
from store.sealing import bound_to
from store.tenant_secrets import TenantSecrets

WITHOUT_STATE: Final = {"state": 0}
"""What an actor keeps in its room's row is for nobody else, and may be large."""


class TenantReader:
    """One tenant's readings."""

    def __init__(self, connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
        self.tenant = tenant
        self._keys = keys
        self._database: Database = connection.database(tenant_database(tenant))
        self.nats_credentials = NatsCredentials(connection, keys, tenant)
        self.secrets = TenantSecrets(tenant, keys.tenant_cipher)
        self.people = PeopleReader(self._database, keys, tenant)

    async def room(self, room: str) -> RoomRow | None:
        """A room's row."""
        document = await self._database[ROOMS].find_one({"_id": room}, WITHOUT_STATE)
        return await self._room_row(document) if document and "kind" in document else None

    async def rooms_for(
        self, user: str, role: str, *, after: str, limit: int, clearance: int = 0
    ) -> list[RoomRow]:
        """Rooms that a user of a clearance may enter, by id, from the one after `after`."""
        documents = (
            await self._database[ROOMS]
            .find(
                {
                    "_id": {"$gt": after},
                    "kind": {"$exists": True},
                    "clearance": {"$not": {"$gt": clearance}},
                    "$or": [{"members": user}, {"open_to": role}],
                },
                WITHOUT_STATE,
            )
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        rows = [await self._room_row(document) for document in documents]
        # What was searched is plain and could have been altered; what was opened could not.
        return [
            row
            for row in rows
            if row.clearance <= clearance and (user in row.members or role in row.open_to)
        ]

    async def _room_row(self, document: Document) -> RoomRow:
        fields = await self._opened("row", document["_id"], document["sealed"])
        open_to, applied = tuple(fields["open_to"]), document["applied"]
        return RoomRow(**{**fields, "open_to": open_to, "applied": applied})

    async def head(self, room: str) -> int:
        """The last seq of a room; 0 where nothing is."""
        newest = (
            await self._database[RECORDS]
            .find({"_id": {"$gte": f"{room}/", "$lt": f"{room}0"}}, {"seq": 1})
            .sort([("_id", -1)])
            .limit(1)
            .to_list(1)
        )
        return int(newest[0]["seq"]) if newest else 0

    async def entries(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        kind: str | None = None,
    ) -> list[StoredEntry]:
        """A page of a room, ascending.

        Args:
            room: the room.
            after: only later seqs.
            before: only earlier seqs; alone (with `after` 0) it means the page that ends there.
            limit: how many at most.
            kind: only entries of this kind.
        """
        upper = f"{room}0" if before is None else place(room, before)
        condition: dict[str, Any] = {"_id": {"$gt": place(room, after), "$lt": upper}}
        if kind is not None:
            condition["kind"] = kind
        backwards = before is not None and after == 0
        documents = (
            await self._database[RECORDS]
            .find(condition)
            .sort([("_id", -1 if backwards else 1)])
            .limit(limit)
            .to_list(limit)
        )
        if backwards:
            documents.reverse()
        return await self._with_contents([record_of(document) for document in documents])

    async def newest(self, room: str, wanted: Selection, limit: int) -> list[StoredEntry]:
        """The last records of a selection, descending. Of the common kind there are none in it."""
        condition: dict[str, Any] = {
            "_id": {"$gte": place(room, wanted.first), "$lt": place(room, wanted.before)}
        }
        if wanted.actor is not None:
            # With the room, so that MongoDB may take the index of commands for somebody who did little.
            condition |= {"room": room, "actor": wanted.actor}
        if wanted.kinds is None:
            documents = await self._last(condition, limit)
        else:
            sides = [side for side in sides_of_kinds(wanted.kinds) if side]
            found = [
                await self._last({**condition, "kind": {"$in": side}}, limit) for side in sides
            ]
            documents = sorted(chain(*found), key=itemgetter("_id"), reverse=True)[:limit]
        records = [record_of(document) for document in reversed(documents)]
        return (await self._with_contents(records))[::-1]

    async def _last(self, condition: Mapping[str, Any], limit: int) -> list[Document]:
        records = self._database[RECORDS]
        return await records.find(condition).sort([("_id", -1)]).limit(limit).to_list(limit)

    async def seq_since(self, room: str, at_ms: int) -> int:
        """The first seq that is not older than a time (Unix milliseconds); one after the last if none
        is. Time never runs backwards in a chain, so it is searched by halves."""
        first, beyond = 1, await self.head(room) + 1
        while first < beyond:
            middle = (first + beyond) // 2
            condition = {"_id": place(room, middle)}
            document = await self._database[RECORDS].find_one(condition, {"at": 1})
            if document is not None and document["at"] < at_ms:
                first = middle + 1
            else:
                beyond = middle
        return first

    async def by_client_id(self, room: str, actor: str, client_id: str) -> StoredEntry | None:
        """The entry that a command made."""
        document = await self._database[RECORDS].find_one(
            {"room": room, "actor": actor, "client_id": client_id}
        )
        if document is None:
            return None
        return (await self._with_contents([record_of(document)]))[0]

    async def headers(self, room: str, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        """Headers as they are hashed, each with its hash, ascending."""
        documents = (
            await self._database[RECORDS]
            .find({"_id": {"$gt": place(room, after), "$lt": f"{room}0"}})
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        records = [record_of(document) for document in documents]
        return [{**record.header(), "hash": record.hash.hex()} for record in records]

    async def _with_contents(self, records: list[Record]) -> list[StoredEntry]:
        contents = await open_contents(self._database, self._keys, self.tenant, records)
        return [stored(record, contents.get(record.seq)) for record in records]

    async def user(self, user: str) -> UserRow | None:
        """A user's row."""
        document = await self._database[USERS].find_one({"_id": user})
        return await self._user_row(document) if document else None

    async def users(self, *, after: str, limit: int, deleted: bool = False) -> list[UserRow]:
        """Users by id, from the one after `after`: those that are there, or those that are deleted."""
        chosen: Any = True if deleted else {"$ne": True}
        documents = (
            await self._database[USERS]
            .find({"_id": {"$gt": after}, "deleted": chosen})
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        return [await self._user_row(document) for document in documents]

    async def _user_row(self, document: Document) -> UserRow:
        fields = await self._opened("user", document["_id"], document["sealed"])
        return user_row_of(fields)

    async def session(self, session: str) -> SessionRow | None:
        """A sign-in; None once it is forgotten."""
        document = await self._database[SESSIONS].find_one({"_id": session})
        if document is None:
            return None
        expires_ms = round(document["expires"].timestamp() * 1000)
        return SessionRow(session, document["user"], expires_ms, ended=document["ended"])

    async def session_active(self, session: str) -> bool:
        """Whether a sign-in has not ended."""
        row = await self.session(session)
        return row is not None and not row.ended

    async def dead_letters(self, limit: int) -> list[Mapping[str, Any]]:
        """The newest bodies that could not be read: reason, subject, time and body."""
        cipher = await self._keys.tenant_cipher(self.tenant)
        documents = (
            await self._database[DEAD_LETTERS]
            .find({})
            .sort([("at", -1)])
            .limit(limit)
            .to_list(limit)
        )
        return [
            {
                "id": document["_id"],
                "at": document["at"],
                "reason": document["reason"],
                "subject": document["subject"],
                "body": cipher.open(
                    document["sealed"], bound_to("dead_letter", self.tenant, document["_id"])
                ),
            }
            for document in documents
        ]

    async def _opened(self, what: str, key: str, sealed: bytes) -> dict[str, Any]:
        cipher = await self._keys.tenant_cipher(self.tenant)
        fields: dict[str, Any] = orjson.loads(cipher.open(sealed, bound_to(what, self.tenant, key)))
        return fields
