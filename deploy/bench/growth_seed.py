"""Makes a room with a long past, fast and genuine: what an actor would have written, by the same functions.

Everything is linked, sealed and appended by the store with the room's own key, and the verifier finds
nothing to say about it. Only the hours in which people would have talked are left out.
"""

import asyncio
import base64
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from actors.protocol.codec import content_of
from actors.protocol.events import MESSAGE, RoomCreated
from actors.protocol.limits import SNAPSHOT_EVERY_RECORDS
from actors.protocol.roles import RoomRole
from actors.protocol.subjects import lane_of
from actors.room.evolve import evolve
from actors.room.state import RoomState, state_to_bytes
from actors.runtime.lane import GENERATION_SHIFT
from actors.runtime.projector import room_row
from store.chain import Cursor, Draft, Head, Source, head_of, link
from store.contents import blocks
from store.driver import Document, MongoConnection
from store.keys import KeyRing, RoomKey
from store.log import TenantLog
from store.mongo import RECORDS, tenant_database
from store.projections import Projections
from store.record import SALT_BYTES, Record
from store.rows import TenantRow
from store.sealing import seal_content

COMMIT_RECORDS: Final = 16
"""Records that one commit puts into the room: a content document holds as many."""
APPEND_RECORDS: Final = 5_000
"""Records of one append."""
BODY_BYTES: Final = 256
NOISE_BYTES: Final = 1 << 20
NOISE_STEP_BYTES: Final = 104_729
"""Bodies are slices of noise, each far from the one before, so that nothing on disk compresses."""
EPOCH: Final = 1
"""The first that ever owned the room; whoever comes later has a greater one."""
MS_A_RECORD: Final = 1


@dataclass(frozen=True, slots=True)
class LongRoom:
    """A room to be: its `members` (user ids; the first is its owner) take turns."""

    room: str
    entries: int
    members: tuple[str, ...]
    name: str = "A long talk"


@dataclass(slots=True)
class _Chain:
    """A room's chain as it grows in memory, from one append to the next."""

    tenant: str
    room: LongRoom
    key: RoomKey = field(repr=False)
    lane: int
    src: int
    """The last source number that the lane has used."""
    at_ms: int
    state: RoomState = field(default_factory=RoomState)
    head: Head = field(default_factory=Head)

    def commit(self, bodies: list[bytes], kind: str) -> tuple[list[Record], list[Document]]:
        """Link and seal what one message of the lane brought."""
        self.src += 1
        records: list[Record] = []
        sealed: list[bytes] = []
        members = self.room.members
        for index, body in enumerate(bodies):
            salt = os.urandom(SALT_BYTES)
            self.at_ms += MS_A_RECORD
            draft = Draft(
                kind=kind,
                actor=members[self.head.seq % len(members)],
                client_id=f"seed-{self.src}-{index}",
                target=None,
                content=body,
                source=Source(self.lane, self.src, index),
            )
            record = link((self.tenant, self.room.room, EPOCH), self.head, draft, self.at_ms, salt)
            sealed.append(seal_content(self.key.cipher, record, salt, body))
            records.append(record)
            self.head = head_of(record)
        return records, blocks(records, sealed, self.key)

    def create(self) -> tuple[list[Record], list[Document]]:
        """The first entry, and the state it makes."""
        owner, *others = self.room.members
        event = RoomCreated(
            name=self.room.name,
            room_kind="standing",
            incident=None,
            members={owner: RoomRole.OWNER, **dict.fromkeys(others, RoomRole.MEMBER)},
            open_to=(),
        )
        made = self.commit([content_of(event, "seeded")], RoomCreated.kind)
        self.state = evolve(self.state, event, owner, self.at_ms)
        return made


async def seed_room(
    connection: MongoConnection, keys: KeyRing, tenant: TenantRow, room: LongRoom
) -> Head:
    """Write a room that is not there yet.

    Its source numbers are of the stream's generation 0, which no living stream has, so that a lane is
    read on from where it was. Its snapshot is as old as an actor ever lets it become.

    Args:
        connection: with the rights of an actor process.
        keys: the tenant's keys.
        tenant: whose room it is.
        room: what is written; no actor may have it in memory.

    Returns:
        The end of its chain.

    Raises:
        WrongPlace: the room was there, or somebody else seeds the same lane.
    """
    log = TenantLog(connection, keys, tenant.id)
    lane = lane_of(room.room, tenant.lanes)
    chain = _Chain(
        tenant.id,
        room,
        await keys.current_room_key(tenant.id, room.room, 1),
        lane,
        await _last_source(connection, tenant.id, lane),
        time.time_ns() // 1_000_000 - room.entries * MS_A_RECORD,
    )
    records, contents = chain.create()
    await log.append([record.document() for record in records], contents)
    await _append_messages(log, chain)
    await _project(Projections(connection, keys, tenant.id), chain)
    return chain.head


async def _append_messages(log: TenantLog, chain: _Chain) -> None:
    bodies = _bodies()
    writing: asyncio.Task[None] | None = None
    while (left := chain.room.entries - chain.head.seq) > 0:
        documents: list[Document] = []
        contents: list[Document] = []
        for start in range(0, min(left, APPEND_RECORDS), COMMIT_RECORDS):
            size = min(COMMIT_RECORDS, left - start)
            records, made = chain.commit([next(bodies) for _ in range(size)], MESSAGE)
            documents += [record.document() for record in records]
            contents += made
        # The next batch is made while this one is written.
        if writing is not None:
            await writing
        writing = asyncio.create_task(log.append(documents, contents))
        await asyncio.sleep(0)
    if writing is not None:
        await writing


async def _project(projections: Projections, chain: _Chain) -> None:
    applied = max(1, chain.head.seq - SNAPSHOT_EVERY_RECORDS + 1)
    row = room_row(chain.room.room, chain.state, applied)
    await projections.save_room(row, state_to_bytes(chain.state))
    await projections.save_heads({chain.room.room: chain.head})
    await projections.save_lane(chain.lane, Cursor(chain.src, COMMIT_RECORDS))


async def _last_source(connection: MongoConnection, tenant: str, lane: int) -> int:
    """The greatest source number of generation 0 in a lane."""
    newest = (
        await connection.database(tenant_database(tenant))[RECORDS]
        .find({"lane": lane, "src": {"$lt": 1 << GENERATION_SHIFT}}, {"src": 1})
        .sort([("lane", -1), ("src", -1), ("index", -1)])
        .limit(1)
        .to_list(1)
    )
    return int(newest[0]["src"]) if newest else 0


def _bodies() -> Iterator[bytes]:
    noise = base64.b64encode(os.urandom(NOISE_BYTES * 3 // 4))
    start = 0
    while True:
        start = (start + NOISE_STEP_BYTES) % (len(noise) - BODY_BYTES)
        yield noise[start : start + BODY_BYTES]
