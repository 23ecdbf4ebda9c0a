"""A tenant that has lived a little, and what an administrator of MongoDB can do to it.

The administrator knows the format of the chain, and has no key.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from actors.client import ActorClient
from actors.protocol.commands import (
    Command,
    CreateRoom,
    CreateUser,
    EndSession,
    OpenSession,
    Post,
    PutMember,
    RecordFinding,
    RenameRoom,
)
from actors.protocol.findings import Finding, Severity
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from store.driver import Database, Document
from store.mongo import CONTENTS, RECORDS, ROOMS
from store.record import Record, place, record_of, seq_of
from tests.support.eventually import eventually

ANA: dict[str, Any] = {"actor": "u_ana", "role": Role.ANALYST}

WAR, SIDE, QUIET = "war", "side", "quiet"
HEADS = {WAR: 16, SIDE: 7, QUIET: 4, TENANT_ROOM: 3}
"""The last seq of every room after `live`."""
TOGETHER = (2, 9)
"""First and last seq of the messages of `war` that one commit put into one block."""
LATER = (13, 16)
"""Likewise, of a later commit."""


async def live(client: ActorClient, tenant: str) -> None:
    """Thirty entries in four chains, of most kinds."""
    await asyncio.gather(
        _live_in_war(client, tenant),
        _live_in_side(client, tenant),
        _live_in_quiet(client, tenant),
        _live_in_tenant(client, tenant),
    )


async def _live_in_war(client: ActorClient, tenant: str) -> None:
    finding = Finding(
        source="qradar",
        source_id="17",
        title="Beaconing to a rare domain",
        severity=Severity.HIGH,
        status="open",
        time_ms=1_795_000_000_000,
        raw={"id": 17, "magnitude": 8},
    )
    await send(client, tenant, WAR, CreateRoom(client_id="c", name="War", **ANA))
    await send(client, tenant, WAR, *posts("early", 8))
    await send(
        client,
        tenant,
        WAR,
        PutMember(client_id="put", user="u_bob", **ANA),
        RecordFinding(client_id="fact", finding=finding, actor="qradar", role=Role.EXTERNAL),
        RenameRoom(client_id="name", name="War room", **ANA),
    )
    await send(client, tenant, WAR, *posts("late", 4))


async def _live_in_side(client: ActorClient, tenant: str) -> None:
    await send(client, tenant, SIDE, CreateRoom(client_id="c", name="Side", **ANA))
    await send(client, tenant, SIDE, *posts("aside", 5))
    await send(client, tenant, SIDE, RenameRoom(client_id="name", name="Side room", **ANA))


async def _live_in_quiet(client: ActorClient, tenant: str) -> None:
    await send(client, tenant, QUIET, CreateRoom(client_id="c", name="Quiet", **ANA))
    await send(client, tenant, QUIET, *posts("psst", 3))


async def _live_in_tenant(client: ActorClient, tenant: str) -> None:
    user = CreateUser(
        client_id="u",
        user="u_ana",
        username="ana",
        display_name="Ana",
        user_role=Role.ANALYST,
        password_hash="$argon2id$...",
        actor="operator",
        role=Role.SYSTEM,
    )
    session = OpenSession(
        client_id="s",
        session="s_1",
        user="u_ana",
        refresh="0" * 64,
        expires_ms=1_895_000_000_000,
        **ANA,
    )
    await send(client, tenant, TENANT_ROOM, user)
    await send(client, tenant, TENANT_ROOM, session)
    await send(client, tenant, TENANT_ROOM, EndSession(client_id="e", session="s_1", **ANA))


async def send(client: ActorClient, tenant: str, room: str, *commands: Command) -> None:
    """Have commands committed; messages that are sent together are committed together."""
    await asyncio.gather(*(client.send(tenant, room, command) for command in commands))


def posts(mark: str, count: int) -> list[Post]:
    """Messages to be sent together."""
    return [Post(client_id=f"{mark}{n}", body=f"{mark} {n}", **ANA) for n in range(count)]


@dataclass(frozen=True)
class Scene:
    """The database of a tenant, for an administrator."""

    tenant: str
    database: Database

    async def document(self, room: str, seq: int) -> Document:
        """A record's document."""
        found = await self.database[RECORDS].find_one({"_id": place(room, seq)})
        assert found is not None
        return found

    async def records(self, room: str, first: int) -> list[Record]:
        """The records of a room from a seq on."""
        found = self.database[RECORDS].find(
            {"_id": {"$gte": place(room, first), "$lt": f"{room}0"}}
        )
        return [record_of(document) for document in await found.sort([("_id", 1)]).to_list(None)]

    async def edit(self, room: str, seq: int, fields: Document) -> None:
        """Overwrite fields of a record."""
        await self.database[RECORDS].update_one({"_id": place(room, seq)}, {"$set": fields})

    async def put(self, *documents: Document) -> None:
        """Put documents in the place of those with their keys; other unique fields may change hands."""
        records = self.database[RECORDS]
        await records.delete_many({"_id": {"$in": [document["_id"] for document in documents]}})
        await records.insert_many(list(documents))

    async def relink(self, records: Sequence[Record]) -> list[Record]:
        """Write records of a room anew as a chain of right hashes that follows what is before them."""
        first = records[0]
        before = await self.records(first.room, first.seq - 1)
        linked, prev = [], before[0].hash
        for record in records:
            link = replace(record, prev=prev)
            link.hash = prev = link.computed_hash()
            linked.append(link)
        await self.put(*(record.document() for record in linked))
        return linked

    async def forge(self, room: str, seq: int) -> Record:
        """A record that nobody wrote, with a right hash, as a successor of the one before `seq`."""
        before = record_of(await self.document(room, seq - 1))
        forged = replace(
            before,
            seq=seq,
            prev=before.hash,
            actor="u_bob",
            client_id=uuid4().hex,
            commit=bytes(32),
            src=before.src + 2**39,
        )
        forged.hash = forged.computed_hash()
        return forged

    async def block(self, room: str, seq: int) -> Document:
        """The content document that holds an entry."""
        found = self.database[CONTENTS].find({"_id": {"$gte": place(room, 1), "$lt": f"{room}0"}})
        for document in await found.to_list(None):
            first = seq_of(document["_id"])
            if first <= seq < first + len(document["items"]):
                return document
        raise AssertionError(f"{room} has no content for {seq}")

    async def put_block(self, document: Document) -> None:
        """Put a content document in the place of the one with its key, or add it."""
        await self.database[CONTENTS].replace_one({"_id": document["_id"]}, document, upsert=True)

    async def drop_index(self, name: str) -> None:
        """Drop a unique index that stands in the way."""
        await self.database.command("dropIndexes", RECORDS, index=name)

    async def heads_noted(self, *rooms: str) -> None:
        """Wait until the actors have noted the heads of rooms."""

        async def ask() -> bool | None:
            rows = await self.database[ROOMS].find({"_id": {"$in": list(rooms)}}).to_list(None)
            noted = {row["_id"]: row.get("head") for row in rows}
            return True if noted == {room: HEADS[room] for room in rooms} else None

        await eventually(ask, f"the heads of {rooms} are noted")
