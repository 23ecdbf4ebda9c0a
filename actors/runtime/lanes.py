"""The lanes of this process: opened when their shard is held, reopened on any doubt, put down after."""

import asyncio
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from pymongo.errors import PyMongoError

from actors.protocol.envelope import decode_batch
from actors.protocol.subjects import (
    lane_filter,
    lane_of,
    room_stream,
    shard_of,
)
from actors.runtime.jetstream import NatsError
from actors.runtime.lane import GENERATION_SHIFT, Inbound, Lane, source_number
from actors.runtime.reader import LaneReader
from actors.runtime.services import Services
from actors.runtime.tasks import end
from actors.runtime.worker import TenantWorker
from store.chain import Cursor
from store.rows import TenantRow

log = structlog.get_logger(__name__)

REOPEN_WAIT_S: Final = 0.25
OPENINGS_AT_ONCE_MAX: Final = 16

LaneKey = tuple[str, int]


class Lanes:
    """Every lane this process should read, each kept by a task of its own."""

    def __init__(
        self,
        services: Services,
        workers: Callable[[str], TenantWorker],
        on_fenced: Callable[[int, int], None],
    ) -> None:
        """`on_fenced` is given the shard and the epoch of a later owner's record."""
        self._services = services
        self._workers = workers
        self._on_fenced = on_fenced
        self._held: dict[int, int] = {}
        self._knows_held = False
        self._tenants: list[TenantRow] = []
        self._keepers: dict[LaneKey, tuple[int, asyncio.Task[None]]] = {}
        self._adjusting = asyncio.Lock()
        self._openings = asyncio.Semaphore(OPENINGS_AT_ONCE_MAX)
        self._numbers = itertools.count()
        self._open: set[LaneKey] = set()
        self._reopen = asyncio.Event()
        services.bus.on_reconnect(self._on_reconnect)

    @property
    def settled(self) -> bool:
        """Whether it is known which shards are held, and every lane of them is being read."""
        return self._knows_held and self._open >= set(self._wanted())

    async def _on_reconnect(self) -> None:
        # The server may have been another or a new one: the consumers in its memory are gone.
        self._reopen.set()
        self._reopen = asyncio.Event()

    async def set_held(self, held: dict[int, int]) -> None:
        """The shards now held, with their epochs; returns when what is not held is put down."""
        self._held = held
        await self._adjust()
        self._knows_held = True

    async def set_tenants(self, tenants: list[TenantRow]) -> None:
        """The tenants there are."""
        self._tenants = tenants
        await self._adjust()

    def _wanted(self) -> dict[LaneKey, tuple[int, TenantRow]]:
        wanted: dict[LaneKey, tuple[int, TenantRow]] = {}
        for tenant in self._tenants:
            for number in range(tenant.lanes):
                epoch = self._held.get(shard_of(tenant.id, number))
                if epoch is not None:
                    wanted[(tenant.id, number)] = (epoch, tenant)
        return wanted

    async def _adjust(self) -> None:
        # Shards and tenants change side by side; what is wanted must not grow old half-way through.
        async with self._adjusting:
            await self._adjust_alone()

    async def _adjust_alone(self) -> None:
        wanted = self._wanted()
        leaving = {
            key: task
            for key, (epoch, task) in self._keepers.items()
            if key not in wanted or wanted[key][0] != epoch
        }
        await end(leaving.values())
        for key in leaving:
            del self._keepers[key]
        for key, (epoch, tenant) in wanted.items():
            if key not in self._keepers:
                task = asyncio.create_task(
                    self._keep(tenant, key[1], epoch), name=f"lane {key[0]}/{key[1]}"
                )
                self._keepers[key] = (epoch, task)
        self._services.metrics.lanes.set(len(self._keepers))

    async def _keep(self, tenant: TenantRow, number: int, epoch: int) -> None:
        worker = self._workers(tenant.id)
        first = True
        while True:
            if not first:
                self._services.metrics.reopened.inc()
                await asyncio.sleep(REOPEN_WAIT_S)
            first = False
            reopen = self._reopen
            broken = asyncio.Event()
            fenced = partial(self._on_fenced, shard_of(tenant.id, number))
            lane = Lane(tenant.id, number, tenant.lanes, epoch, Cursor(), fenced)
            try:
                async with self._openings:
                    await self._start(worker, lane, broken)
                self._open.add((tenant.id, number))
                await self._watch(lane, broken, reopen)
            except (NatsError, PyMongoError, TimeoutError) as error:
                log.warning("lane.not_open", lane=f"{tenant.id}/{number}", error=repr(error))
            except Exception:  # a lane that nobody keeps would stay silent for ever
                log.exception("lane.failed", lane=f"{tenant.id}/{number}")
            finally:
                self._open.discard((tenant.id, number))
                await self._put_down(worker, lane)

    async def _start(self, worker: TenantWorker, lane: Lane, broken: asyncio.Event) -> None:
        stream = room_stream(lane.tenant)
        jetstream = self._services.bus.client.jetstream()
        info = await jetstream.stream_info(stream)
        generation = int((info.config.metadata or {}).get("wardroom.generation", "1"))
        committed = await worker.log.cursor(lane.number)
        seen = await worker.mailboxes.projections.lane(lane.number)
        await worker.repair(lane.number, seen)
        lane.cursor = lane.seen = max(
            committed, seen, key=lambda cursor: (cursor.src, cursor.index)
        )

        def on_message(subject: str, data: bytes, stream_seq: int) -> None:
            self._on_message(worker, lane, (subject, data), source_number(generation, stream_seq))

        def on_broken(reason: str) -> None:
            log.info("lane.broken", lane=f"{lane.tenant}/{lane.number}", reason=reason)
            broken.set()

        name = f"lane{lane.number}-e{lane.epoch}-{self._services.process}-{next(self._numbers)}"
        lane.reader = LaneReader(self._services.bus, stream, name, on_message, on_broken)
        same_stream = lane.cursor.src >> GENERATION_SHIFT == generation
        start = lane.cursor.src & ((1 << GENERATION_SHIFT) - 1) if same_stream else 1
        await lane.reader.open(lane_filter(lane.tenant, lane.number), start)

    def _on_message(
        self, worker: TenantWorker, lane: Lane, message: tuple[str, bytes], src: int
    ) -> None:
        try:
            batch = decode_batch(message[1])
            _check_rooms(lane, batch.rooms)
        except ValueError as error:
            worker.bury(lane, src, str(error), message)
            return
        worker.enqueue(
            Inbound(lane, src, batch.rooms, batch.reply_to, batch.commands, time.monotonic())
        )

    async def _watch(self, lane: Lane, broken: asyncio.Event, reopen: asyncio.Event) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (broken, reopen)]
        try:
            while not broken.is_set() and not reopen.is_set():
                await asyncio.wait(waits, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if lane.reader is not None:
                    lane.reader.check_silence()
        finally:
            for wait in waits:
                wait.cancel()

    async def _put_down(self, worker: TenantWorker, lane: Lane) -> None:
        if lane.reader is not None:
            await lane.reader.close()
        await worker.drop_lane(lane)

    async def close(self) -> None:
        """Put every lane down."""
        self._tenants = []
        await self._adjust()


def _check_rooms(lane: Lane, rooms: list[str]) -> None:
    # A room has one lane; commands that come by another would be committed by two owners at once.
    for room in set(rooms):
        if lane_of(room, lane.lanes) != lane.number:
            raise ValueError(f"room {room} is not of lane {lane.number}")
