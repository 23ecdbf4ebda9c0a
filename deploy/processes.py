"""The processes, wired: settings in, a running process out. Nothing else builds these objects."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from actors.client import ActorClient
from actors.ingest.worker import IngestWorker
from actors.runtime.jetstream import Bus
from actors.runtime.metrics import ActorMetrics
from actors.runtime.process import ActorProcess
from actors.runtime.services import Services
from deploy.failpoints import armed
from deploy.settings import ProcessSettings
from deploy.telemetry import Check, configure_logs, health_app, health_server
from store.driver import MongoConnection
from store.keys import KeyRing
from store.rows import TenantRow

log = structlog.get_logger(__name__)


def now_ms() -> int:
    """The wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def run_actors(settings: ProcessSettings) -> None:
    """Run an actor process until it is asked to stop."""
    configure_logs(settings.log_level, settings.log_format, settings.process_name)
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        bus, connection, keys = await _connections(settings, stack)
        registry = CollectorRegistry()
        services = Services(
            bus=bus,
            connection=connection,
            keys=keys,
            metrics=ActorMetrics(registry),
            process=settings.process_name,
            now_ms=now_ms,
            reach=armed(settings.failpoints),
        )
        client = await ActorClient.start(bus, settings.process_name)

        async def ingest(tenant: TenantRow) -> None:
            await IngestWorker(services, client, tenant).run()

        process = ActorProcess(services, ingest, static_epoch=settings.static_epoch)

        async def check_lanes() -> None:
            if not process.ready:
                raise RuntimeError("not every lane of the held shards is read yet")

        checks = {**base_checks(bus, connection.ping), "lanes": check_lanes}
        await _serve_health(settings, checks, registry, stack)
        await process.run(stop)
    log.info("actors.stopped")


def base_checks(bus: Bus, ping: Callable[[], Awaitable[None]]) -> dict[str, Check]:
    """The checks that every process has."""

    async def check_nats() -> None:
        if not bus.is_connected:
            raise RuntimeError("not connected")
        await bus.client.flush()

    return {"nats": check_nats, "mongodb": ping}


async def _connections(
    settings: ProcessSettings, stack: AsyncExitStack
) -> tuple[Bus, MongoConnection, KeyRing]:
    url, credentials = settings.require_nats()
    mongo_url, root = settings.require_mongo(), settings.require_root_key()
    bus = await Bus.connect(url, credentials, settings.process_name)
    stack.push_async_callback(bus.close)
    connection = MongoConnection(
        mongo_url, driver=settings.store_driver, app_name=settings.process_name
    )
    stack.push_async_callback(connection.close)
    return bus, connection, KeyRing(connection, root)


async def _serve_health(
    settings: ProcessSettings,
    checks: dict[str, Check],
    registry: CollectorRegistry,
    stack: AsyncExitStack,
) -> None:
    if not settings.health_port:
        return
    server = health_server(health_app(checks, registry), settings.health_port)
    serving = asyncio.create_task(server.serve(), name="health")

    async def stop_serving() -> None:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)

    stack.push_async_callback(stop_serving)
