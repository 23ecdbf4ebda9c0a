"""The commit of one tenant: one at a time; what arrives meanwhile is planned as the next one.

decide -> seal -> insert contents -> insert records -> project -> publish -> answer

A commit is told (publish, answer) while MongoDB writes the one after it, if that one is planned already.
"""

import asyncio
import time
from collections import deque
from typing import Final

import structlog
from pymongo.errors import PyMongoError

from actors.runtime.announce import Announcer
from actors.runtime.batch import Batch, Queued, queued
from actors.runtime.deadletter import bury_command, bury_message
from actors.runtime.lane import Inbound, Lane
from actors.runtime.mailbox import Mailbox
from actors.runtime.mailboxes import Mailboxes
from actors.runtime.plan import Plan
from actors.runtime.projector import project
from actors.runtime.recovery import Recovery
from actors.runtime.services import Services
from store.chain import Cursor, Head
from store.errors import KeyMissing, WrongPlace
from store.log import TenantLog

log = structlog.get_logger(__name__)

RETRY_WAIT_MIN_S: Final = 0.02
RETRY_WAIT_MAX_S: Final = 1.0
PUT_DOWN_S: Final = 3.0
"""How long a lane that is no longer ours may wait for the commit that holds some of it."""
PUT_DOWN_AT_ONCE: Final = 256
"""Rooms that leave the memory between two commits."""
LANE_SAVE_S: Final = 1.0
"""How often it is noted how far the lanes are seen through."""


class TenantWorker:
    """Commits the commands of one tenant."""

    def __init__(self, services: Services, tenant: str) -> None:
        self.tenant = tenant
        self.log = TenantLog(services.connection, services.keys, tenant)
        self.mailboxes = Mailboxes(services, tenant, self.log)
        self._services = services
        self._announcer = Announcer(services.bus, tenant)
        self._recovery = Recovery(self.log, self.mailboxes, self._announcer)
        self._waiting: deque[Queued] = deque()
        self._ahead = Batch(tenant)
        self._is_writing = False
        self._untold: Batch | None = None
        self._wakeup = asyncio.Event()
        self._committing = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()
        self._lanes_saved_at = 0.0
        self._lanes: set[Lane] = set()
        self._graves: deque[tuple[str, str, bytes]] = deque()

    def enqueue(self, message: Inbound) -> None:
        """Take a message; its lane must be live when its turn comes."""
        self._waiting.append(queued(message))
        if self._is_writing:
            self._ahead.take_ready(self._waiting, self.mailboxes.at_hand, self._services.now_ms())
        self._idle.clear()
        self._wakeup.set()

    def bury(self, lane: Lane, src: int, reason: str, message: tuple[str, bytes]) -> None:
        """Take a message that can't be read: it becomes a dead letter in its turn."""
        self._graves.append((reason, *message))
        self.enqueue(Inbound(lane, src, [], "", [], time.monotonic()))

    async def repair(self, lane: int, seen: Cursor) -> None:
        """Bring the projections of a lane's rooms up to date after another owner was cut off."""
        await self.mailboxes.get_all(await self.log.rooms_after(lane, seen.src))

    def oldest_waiting_s(self) -> float:
        """Age of the oldest message that waits, in seconds."""
        oldest = next(iter(self._ahead.taken or self._waiting), None)
        return 0.0 if oldest is None else time.monotonic() - oldest.message.arrived

    async def run(self) -> None:
        """Commit for ever."""
        while True:
            await self._wakeup.wait()
            self._wakeup.clear()
            while self._waiting or self._ahead.taken:
                started = time.monotonic()
                async with self._committing:
                    batch, self._ahead = self._ahead, Batch(self.tenant)
                    batch.take(self._waiting)
                    count = await self._commit(batch)
                    await self._bury_messages()
                    await self._tell()
                    self._untold = batch
                    if not self._waiting and not self._ahead.taken:
                        await self._tell()
                if count:
                    self._services.metrics.commit_seconds.observe(time.monotonic() - started)
                    self._services.metrics.commit_records.observe(count)
            self._idle.set()

    async def drained(self) -> None:
        """Wait until everything taken is committed."""
        await self._idle.wait()

    async def drop_lane(self, lane: Lane) -> None:
        """Forget what a lane brought, and wait for the commit that may hold some of it."""
        lane.live = False
        self._plan_nothing_ahead()
        self._waiting = deque(queued for queued in self._waiting if queued.message.lane is not lane)
        try:
            async with asyncio.timeout(PUT_DOWN_S), self._committing:
                await self._tell()
                await self._save_lanes()
                await self._put_down(self.mailboxes.of_lane(lane.number))
        except (TimeoutError, PyMongoError, KeyMissing) as error:
            log.warning("lane.not_put_down", tenant=self.tenant, error=repr(error))
            self.mailboxes.forget_lane(lane.number)
        self._lanes.discard(lane)

    async def passivate(self, rooms_max: int | None = None) -> None:
        """Put down the actors that nobody has needed for long, or that are too many."""
        more = True
        while more:
            # Between commits: the state in memory runs ahead of the chain while one is under way.
            async with self._committing:
                await self._tell()
                silent = self.mailboxes.silent(rooms_max)[:PUT_DOWN_AT_ONCE]
                await self._put_down(silent)
            more = len(silent) == PUT_DOWN_AT_ONCE

    async def _put_down(self, mailboxes: list[Mailbox]) -> None:
        await self._note_heads([(mailbox, mailbox.committed) for mailbox in mailboxes])
        for mailbox in mailboxes:
            await self.mailboxes.put_down(mailbox)

    def _plan_nothing_ahead(self) -> None:
        # What was planned rests on a commit that did not come, or on commands that are no longer ours.
        ahead, self._ahead = self._ahead, Batch(self.tenant)
        self._waiting.extendleft(reversed(ahead.taken))
        self.mailboxes.forget(ahead.rooms)

    async def _commit(self, batch: Batch) -> int:
        wait_s = RETRY_WAIT_MIN_S
        unsettled = False
        batch.drop_dead_lanes()
        while batch.items:
            try:
                if unsettled:
                    batch.start_over(await self._recovery.settle(batch.items))
                    unsettled = False
                await self._plan(batch)
                await self._write(batch.plan)
                return len(batch.plan.records)
            except (WrongPlace, PyMongoError) as error:
                unsettled = True
                await self._tell()
                self._count_failure(error)
                self.mailboxes.forget(batch.rooms)
                self._plan_nothing_ahead()
                await asyncio.sleep(wait_s)
                wait_s = min(RETRY_WAIT_MAX_S, wait_s * 2)
                batch.start_over(batch.items)
                batch.drop_dead_lanes()
        if unsettled:
            await self._secure_what_was_left()
        return 0

    async def _secure_what_was_left(self) -> None:
        # The next owner settles the records; their contents only this process can write again.
        try:
            await self.log.secure()
        except PyMongoError as error:
            log.warning("contents.not_secured_yet", tenant=self.tenant, error=repr(error))

    def _count_failure(self, error: Exception) -> None:
        metrics = self._services.metrics
        if isinstance(error, WrongPlace):
            metrics.conflicts.inc()
        else:
            metrics.retries.inc()
            log.warning("commit.unknown_outcome", tenant=self.tenant, error=repr(error))

    async def _plan(self, batch: Batch) -> None:
        rooms = batch.unplanned_rooms
        if not all(map(self.mailboxes.at_hand, rooms)):
            # Nobody should wait for an answer because a room of other people must be loaded.
            await self._tell()
        mailboxes = await self.mailboxes.get_all(rooms)
        batch.plan_rest(mailboxes, self._services.now_ms())
        self._services.reach("planned")

    async def _write(self, plan: Plan) -> None:
        services = self._services
        if plan.refused:
            await self._tell()
            await self._recovery.confirm(plan)
        if plan.records:
            await self._append(plan)
            services.metrics.records.inc(len(plan.records))
            for part in plan.rooms.values():
                part.mailbox.settle(part.head, part.state)
            services.reach("records_written")
            await self._project(plan)
            services.reach("projected")
        for unreadable in plan.unreadable:
            services.metrics.dead_letters.labels("room").inc()
            await bury_command(self.mailboxes.projections, unreadable)

    async def _append(self, plan: Plan) -> None:
        contents = plan.contents()
        self._is_writing = True
        telling = asyncio.create_task(self._tell())
        try:
            await self.log.append(plan.records, contents)
        finally:
            self._is_writing = False
            await telling

    async def _tell(self) -> None:
        """Tell what was committed last, if nobody has been told yet."""
        batch, self._untold = self._untold, None
        if batch is None:
            return
        plan = batch.plan
        await self._announcer.announce(plan)
        for replies in plan.replies.values():
            for reply in replies:
                if reply.code is not None:
                    self._services.metrics.refused.labels(reply.code).inc()
        await self._save_long_tails(plan)
        for mailbox in plan.mailboxes.values():
            mailbox.trim()
        await self._see_through(batch)

    async def _save_long_tails(self, plan: Plan) -> None:
        try:
            self._services.reach("published")
            await self.mailboxes.save_long_tails(plan.rooms)
        except PyMongoError as error:
            # The chain has it all; the next commit tries again.
            log.warning("snapshots.not_saved", tenant=self.tenant, error=repr(error))

    async def _project(self, plan: Plan) -> None:
        for mailbox, events in plan.changed():
            await project(self.mailboxes.projections, mailbox, events)

    async def _bury_messages(self) -> None:
        while self._graves:
            reason, subject, body = self._graves[0]
            try:
                await bury_message(self.mailboxes.projections, reason, subject, body)
            except PyMongoError as error:
                log.warning("dead_letter.not_kept", tenant=self.tenant, error=repr(error))
                await asyncio.sleep(RETRY_WAIT_MAX_S)
                continue
            self._graves.popleft()
            self._services.metrics.dead_letters.labels("room").inc()
            log.warning("dead_letter", tenant=self.tenant, subject=subject, reason=reason)

    async def _see_through(self, batch: Batch) -> None:
        for message, _ in batch.taken:
            lane = message.lane
            if not lane.abandoned:
                lane.seen = Cursor(message.src, len(message.commands))
            if lane.live:
                self._lanes.add(lane)
                if lane.reader is not None:
                    await lane.reader.consumed(1)
        if time.monotonic() - self._lanes_saved_at > LANE_SAVE_S:
            await self._save_lanes()

    async def _save_lanes(self) -> None:
        self._lanes_saved_at = time.monotonic()
        try:
            save = self.mailboxes.projections.save_lane
            await asyncio.gather(*(save(lane.number, lane.seen) for lane in self._lanes))
        except PyMongoError as error:
            log.warning("lanes.not_saved", tenant=self.tenant, error=repr(error))

    async def announce_heads(self, active_for_s: float) -> None:
        """Say where the heads of active rooms are, so that a lost last event is noticed, and note
        them, so that a chain that is cut later is noticed too."""
        active = self.mailboxes.active_since(time.monotonic() - active_for_s)
        heads = [(mailbox, mailbox.committed) for mailbox in active if mailbox.committed.seq]
        for mailbox, head in heads:
            await self._announcer.announce_head(mailbox.room, head.seq)
        await self._note_heads(heads)

    async def _note_heads(self, heads: list[tuple[Mailbox, Head]]) -> None:
        moved = [(mailbox, head) for mailbox, head in heads if head.seq > mailbox.noted]
        await self.mailboxes.projections.save_heads({box.room: head for box, head in moved})
        for mailbox, head in moved:
            mailbox.noted = max(mailbox.noted, head.seq)
