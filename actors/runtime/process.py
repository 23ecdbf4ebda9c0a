"""One actor process: owns shards, reads lanes, commits, ingests, and puts everything down in order."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from nats.aio.msg import Msg
from pymongo.errors import PyMongoError

from actors.protocol.limits import HEAD_BEACON_S, ROOMS_IN_MEMORY_MAX, SHARDS
from actors.protocol.subjects import TENANTS_CHANGED
from actors.runtime.jetstream import NatsError
from actors.runtime.lanes import Lanes
from actors.runtime.ownership import Ownership
from actors.runtime.services import Services
from actors.runtime.tasks import end
from actors.runtime.worker import TenantWorker
from store.reader import Reader
from store.rows import TenantRow

log = structlog.get_logger(__name__)

TENANTS_READ_S: Final = 5.0
"""How often the list of tenants is read, should word of a new one get lost."""
PASSIVATE_S: Final = 15.0
GAUGES_S: Final = 1.0
ACTIVE_FOR_S: Final = 60.0
"""How long after its last command a room's head is still announced."""

TenantTask = Callable[[TenantRow], Coroutine[Any, Any, None]]


class ActorProcess:
    """Everything an actor process runs. `per_tenant` is run for every tenant besides the commits."""

    def __init__(
        self,
        services: Services,
        reader: Reader,
        per_tenant: TenantTask,
        *,
        static_epoch: int | None = None,
    ) -> None:
        """`static_epoch` (fault tests only) claims every shard at that epoch and asks nobody."""
        self._services = services
        self._per_tenant = per_tenant
        self._static_epoch = static_epoch
        self._reader = reader
        self._workers: dict[str, TenantWorker] = {}
        self._tenants: dict[str, TenantRow] = {}
        self._knows_tenants = False
        self._events: dict[str, asyncio.Task[None]] = {}
        self._spawned: list[asyncio.Task[None]] = []
        self._changed = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._lanes = Lanes(services, self._worker, self._on_fenced)
        self._ownership = Ownership(services.bus, services.process, self._lanes.set_held)

    @property
    def ready(self) -> bool:
        """Whether it is known what there is to read, and every lane of it is being read."""
        return self._knows_tenants and self._lanes.settled

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then put everything down."""
        await self._services.bus.client.subscribe(TENANTS_CHANGED, cb=self._on_tenants_changed)
        passivate_s = min(PASSIVATE_S, self._services.room_idle_s)
        async with self._group:
            loops = [
                self._group.create_task(loop, name=name)
                for name, loop in (
                    ("tenants", self._follow_tenants()),
                    ("ownership", self._own()),
                    ("beacon", self._every(HEAD_BEACON_S, self._announce_heads)),
                    ("passivation", self._every(passivate_s, self._passivate)),
                    ("gauges", self._every(GAUGES_S, self._measure)),
                )
            ]
            await stop.wait()
            log.info("actors.stopping")
            await end(loops)
            await self._ownership.release()
            await self._lanes.close()
            await end(self._spawned)

    async def _own(self) -> None:
        if self._static_epoch is None:
            await self._ownership.run()
        else:
            await self._lanes.set_held(dict.fromkeys(range(SHARDS), self._static_epoch))

    def _on_fenced(self, shard: int, seen: int) -> None:
        log.warning("ownership.fenced", shard=shard, seen=seen)
        self._ownership.raise_epoch(shard, seen)

    def _worker(self, tenant: str) -> TenantWorker:
        worker = self._workers.get(tenant)
        if worker is None:
            worker = self._workers[tenant] = TenantWorker(self._services, tenant)
            self._spawn(worker.run(), f"commits of {tenant}")
        return worker

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._spawned.append(self._group.create_task(work, name=name))

    async def _on_tenants_changed(self, _: Msg) -> None:
        self._changed.set()

    async def _follow_tenants(self) -> None:
        while True:
            self._changed.clear()
            try:
                await self._take_tenants(await self._reader.tenants())
            except PyMongoError as error:
                log.warning("tenants.unreadable", error=repr(error))
            try:
                async with asyncio.timeout(TENANTS_READ_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _take_tenants(self, rows: list[TenantRow]) -> None:
        for row in rows:
            if row.id not in self._tenants:
                self._tenants[row.id] = row
                self._spawn(self._per_tenant(row), f"events of {row.id}")
                self._events[row.id] = self._spawned[-1]
        gone = self._tenants.keys() - {row.id for row in rows}
        await end([self._events.pop(tenant) for tenant in gone])
        await self._lanes.set_tenants(rows)
        for tenant in gone:
            del self._tenants[tenant]
            # Again, now that nobody works for it: what was put down may have asked for its keys.
            self._services.keys.forget(tenant)
        self._knows_tenants = True

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except (PyMongoError, NatsError) as error:
                log.warning("periodic_work.put_off", error=repr(error))

    async def _announce_heads(self) -> None:
        for worker in list(self._workers.values()):
            await worker.announce_heads(ACTIVE_FOR_S)

    async def _passivate(self) -> None:
        workers = list(self._workers.values())
        known = sum(len(worker.mailboxes) for worker in workers)
        for worker in workers:
            # The limit is the process's: of too many rooms every tenant keeps the same share.
            share = len(worker.mailboxes) / known if known > ROOMS_IN_MEMORY_MAX else 1
            await worker.passivate(int(share * ROOMS_IN_MEMORY_MAX))

    async def _measure(self) -> None:
        workers = self._workers.values()
        metrics = self._services.metrics
        metrics.rooms.set(sum(len(worker.mailboxes) for worker in workers))
        oldest = max((worker.oldest_waiting_s() for worker in workers), default=0.0)
        metrics.oldest_uncommitted.set(oldest)
