"""The actors of one tenant in memory: loaded from snapshot and chain, left when they fall silent."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from pymongo.errors import PyMongoError

from actors.protocol.codec import event_of, recorded_fingerprint
from actors.protocol.events import EventType
from actors.protocol.limits import ROOMS_IN_MEMORY_MAX, SNAPSHOT_EVERY_RECORDS
from actors.runtime.behaviour import behaviour_of
from actors.runtime.mailbox import Mailbox
from actors.runtime.projector import project, save_snapshot
from actors.runtime.services import Services
from store.log import TenantLog
from store.projections import Projections
from store.record import Record

LOADS_AT_ONCE_MAX: Final = 32
"""Rooms that are loaded side by side."""


class RoomUnreadable(Exception):
    """A room's state can't be rebuilt: content that membership rests on is missing or broken."""


class Mailboxes:
    """Least recently used first."""

    def __init__(self, services: Services, tenant: str, log: TenantLog) -> None:
        self._services = services
        self._tenant = tenant
        self._log = log
        self._projections = Projections(services.connection, services.keys, tenant)
        self._known: OrderedDict[str, Mailbox] = OrderedDict()
        self._loading = asyncio.Semaphore(LOADS_AT_ONCE_MAX)

    @property
    def projections(self) -> Projections:
        """The tenant's projections."""
        return self._projections

    def __len__(self) -> int:
        return len(self._known)

    def active_since(self, moment: float) -> list[Mailbox]:
        """Mailboxes that were used after a moment of the monotonic clock."""
        return [mailbox for mailbox in self._known.values() if mailbox.used_at >= moment]

    async def get_all(self, rooms: Iterable[str]) -> dict[str, Mailbox | RoomUnreadable]:
        """The mailboxes of rooms, loaded where they are not in memory.

        Raises:
            pymongo.errors.PyMongoError: MongoDB can't be reached.
        """
        found: dict[str, Mailbox | RoomUnreadable] = {}
        missing: list[str] = []
        now = time.monotonic()
        for room in rooms:
            mailbox = self._known.get(room)
            if mailbox is None:
                missing.append(room)
            else:
                await self._renew_key(mailbox)
                mailbox.used_at = now
                self._known.move_to_end(room)
                found[room] = mailbox
        for room, loaded in zip(
            missing, await asyncio.gather(*map(self._load, missing)), strict=True
        ):
            if isinstance(loaded, Mailbox):
                # Somebody else may have loaded it meanwhile, and be at work with it.
                mailbox = self._known.setdefault(room, loaded)
                mailbox.used_at = now
                found[room] = mailbox
            else:
                found[room] = loaded
        return found

    def at_hand(self, room: str) -> Mailbox | None:
        """The mailbox of a room that can be worked with at once."""
        mailbox = self._known.get(room)
        if mailbox is None or self._needs_new_key(mailbox):
            return None
        mailbox.used_at = time.monotonic()
        self._known.move_to_end(room)
        return mailbox

    def _needs_new_key(self, mailbox: Mailbox) -> bool:
        return mailbox.key.is_spent(mailbox.head.seq + 1, self._services.now_ms())

    async def _renew_key(self, mailbox: Mailbox) -> None:
        if self._needs_new_key(mailbox):
            seq = mailbox.head.seq + 1
            keys = self._services.keys
            mailbox.key = await keys.current_room_key(self._tenant, mailbox.room, seq)

    async def _load(self, room: str) -> Mailbox | RoomUnreadable:
        async with self._loading:
            try:
                return await self._read(room)
            except PyMongoError:
                raise
            except Exception as error:  # one room's fault must not stop the tenant's commits
                return RoomUnreadable(f"room {room} can't be loaded: {error!r}")

    async def _read(self, room: str) -> Mailbox:
        behaviour = behaviour_of(room)
        head = await self._log.head(room)
        key = await self._services.keys.current_room_key(self._tenant, room, head.seq + 1)
        mailbox = Mailbox(room, behaviour, head, key, self._services.posts_per_second_author)
        snapshot = await self._projections.snapshot(room)
        if snapshot is not None and snapshot.applied <= head.seq:
            mailbox.state = behaviour.from_bytes(snapshot.state)
            mailbox.applied = snapshot.applied
        folded = await self._fold(mailbox)
        mailbox.settle(head, mailbox.state)
        if folded:
            # The last owner was cut off between its commit and its projections.
            await project(self._projections, mailbox, folded)
        return mailbox

    async def _fold(self, mailbox: Mailbox) -> list[tuple[int, EventType]]:
        since = await self._log.since(mailbox.room, mailbox.applied, mailbox.behaviour.state_kinds)
        # Another owner may have written since the head was read; the state must not run ahead of it.
        records = [record for record in since if record.seq <= mailbox.head.seq]
        contents = await self._log.contents(records)
        folded: list[tuple[int, EventType]] = []
        for record in records:
            content = contents.get(record.seq)
            if content is None:
                raise ValueError(f"the content of entry {record.seq} is missing or broken")
            event = event_of(record.kind, content, record.target)
            if event is not None:
                mailbox.state = mailbox.behaviour.evolve(
                    mailbox.state, event, record.actor, record.at
                )
                mailbox.changed = record.seq
                folded.append((record.seq, event))
        return folded

    async def remember(self, mailbox: Mailbox, records: list[Record]) -> None:
        """Teach a mailbox commands that were committed longer ago than it remembers."""
        contents: dict[int, bytes] = {}
        for record in records:
            contents |= await self._log.contents([record])
        for record in records:
            mark = recorded_fingerprint(record.kind, contents.get(record.seq), record.target)
            mailbox.remember(record, mark)

    def forget(self, rooms: Iterable[str]) -> None:
        """Drop mailboxes whose last commit failed or whose lane went to another owner."""
        for room in rooms:
            self._known.pop(room, None)

    async def save_long_tails(self, rooms: Iterable[str]) -> None:
        """Save the state of rooms that have grown much since the last time."""
        known = (self._known.get(room) for room in rooms)
        long = [
            mailbox
            for mailbox in known
            if mailbox is not None
            and mailbox.committed.seq - mailbox.applied >= SNAPSHOT_EVERY_RECORDS
        ]
        # Rooms that are equally busy come to it in the same commit.
        await asyncio.gather(*(save_snapshot(self._projections, mailbox) for mailbox in long))

    def forget_lane(self, lane: int) -> None:
        """Drop the mailboxes of a lane: the next owner's writes make them stale."""
        self.forget([mailbox.room for mailbox in self.of_lane(lane)])

    def silent(self, rooms_max: int | None = None) -> list[Mailbox]:
        """Those that nobody has needed for long, and the longest silent of those that are too many:
        more than `rooms_max` (None: all that a process may keep)."""
        silent_since = time.monotonic() - self._services.room_idle_s
        surplus = len(self._known) - (ROOMS_IN_MEMORY_MAX if rooms_max is None else rooms_max)
        return [
            mailbox
            for position, mailbox in enumerate(self._known.values())
            if (position < surplus or mailbox.used_at < silent_since) and not mailbox.is_ahead
        ]

    def of_lane(self, lane: int) -> list[Mailbox]:
        """Those of a lane, and those whose lane is not known yet."""
        return [mailbox for mailbox in self._known.values() if mailbox.lane in (lane, -1)]

    async def put_down(self, mailbox: Mailbox) -> None:
        """Drop an actor that no commit under way is working with; save what reading it again would
        have to fold, so that many that only talked are dropped at no cost."""
        if self._known.get(mailbox.room) is not mailbox:
            # Forgotten since: its last commit failed, and its state is not what the chain says.
            return
        if mailbox.changed > mailbox.applied:
            await save_snapshot(self._projections, mailbox)
        self.forget([mailbox.room])
