"""An actor process in the test's own event loop, on a way to NATS that can be cut."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from actors.client import ActorClient
from actors.runtime.jetstream import Bus
from actors.runtime.metrics import ActorMetrics
from actors.runtime.process import ActorProcess
from actors.runtime.services import Services
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.reader import Reader
from store.rows import TenantRow
from tests.load.cuttable import Way, cuttable
from tests.support.eventually import eventually


@dataclass(frozen=True)
class InProcess:
    """The process, the way it takes to NATS, what it counts, and somebody who can talk to it."""

    process: ActorProcess
    way: Way
    client: ActorClient
    registry: CollectorRegistry

    def metric(self, name: str) -> float:
        """What the process has counted."""
        value = self.registry.get_sample_value(name)
        assert value is not None, name
        return value

    async def ready(self) -> None:
        """Return when every lane is read."""

        async def ask() -> bool | None:
            return True if self.process.ready else None

        await eventually(ask, "every lane read")


@asynccontextmanager
async def actors_in_process(stack: LocalStack, lanes: int) -> AsyncIterator[InProcess]:
    """Run an actor process that owns every shard."""
    credentials = stack.secrets.credentials_file
    async with AsyncExitStack() as closing:
        way = await closing.enter_async_context(cuttable(stack.nats_url))
        bus = await Bus.connect(way.url, credentials("actors"), "in-process")
        closing.push_async_callback(bus.close)
        gateway = await Bus.connect(stack.nats_url, credentials("gateway"), "in-process-asker")
        closing.push_async_callback(gateway.close)
        connection = MongoConnection(stack.mongo_url_for("actors"))
        closing.push_async_callback(connection.close)
        keys = KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))
        registry = CollectorRegistry()
        services = Services(
            bus=bus,
            connection=connection,
            keys=keys,
            metrics=ActorMetrics(registry),
            process="in-process",
            now_ms=lambda: time.time_ns() // 1_000_000,
        )
        process = ActorProcess(services, Reader(connection, keys), _no_events, static_epoch=1)
        client = await ActorClient.start(gateway, "in-process-asker", lambda _: lanes)
        stop = asyncio.Event()
        running = asyncio.create_task(process.run(stop), name="actor process")
        try:
            yield InProcess(process, way, client, registry)
        finally:
            stop.set()
            await running


async def _no_events(_: TenantRow) -> None:
    return
