"""The processes, wired: settings in, a running process out. Nothing else builds these objects."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import structlog
import uvicorn
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry
from pymongo.errors import PyMongoError

from actors.client import ActorClient
from actors.ingest.worker import IngestWorker
from actors.protocol.limits import WORKER_TTL_S
from actors.protocol.subjects import TENANTS_CHANGED, WORKER_ALIVE
from actors.runtime.jetstream import Bus, NatsError, PublishFailed
from actors.runtime.metrics import ActorMetrics
from actors.runtime.process import ActorProcess
from actors.runtime.services import Services
from connectors.fetching import Fetcher
from connectors.runner import Connector
from connectors.runner import run_connectors as run_all
from connectors.vendors.demo_siem import DemoSiem
from deploy.failpoints import armed
from deploy.provision.credentials import CredentialKeeper
from deploy.provision.errors import ProvisionError
from deploy.provision.mongo_access import url_for
from deploy.provision.nats_identity import ensure_credentials
from deploy.provision.nats_uses import NatsUses
from deploy.provision.provisioner import Provisioner, ensure_platform_tenant
from deploy.provision.secrets import Secrets
from deploy.provision.tenants import open_platform
from deploy.settings import ProcessSettings, SettingMissing
from deploy.telemetry import Check, configure_logs, health_app, health_server
from deploy.token_keys import load_token_keys
from gateway.app import GatewayServices, create_app, server_config
from gateway.metrics import GatewayMetrics
from gateway.rest.access import Verifier
from gateway.settings import GatewaySettings
from gateway.tokens import TokenKeys
from store.driver import MongoConnection
from store.errors import StoreError
from store.keys import KeyRing, RootKey
from store.reader import Reader
from store.rows import TenantRow
from store.verify import RoomVerdict
from store.verify import Verifier as Verification

VERSION: Final = "0.1.0"
USES_EVERY_S: Final = 5.0
"""How often the NATS servers are asked who uses which credential."""

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
    settings = settings.incarnated()
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
            room_idle_s=settings.room_idle_s,
            posts_per_second_author=settings.posts_per_second_author,
        )
        reader = Reader(connection, keys)
        client = await ActorClient.start(bus, settings.process_name, reader.lanes_of)
        stack.push_async_callback(client.drain)

        async def ingest(tenant: TenantRow) -> None:
            await IngestWorker(services, client, tenant).run()

        process = ActorProcess(services, reader, ingest, static_epoch=settings.static_epoch)

        async def check_lanes() -> None:
            if not process.ready:
                raise RuntimeError("not every lane of the held shards is read yet")

        checks = {**base_checks(bus, connection.ping), "lanes": check_lanes}
        await _serve_health(settings, checks, registry, stack)
        await process.run(stop)
    log.info("actors.stopped")


async def run_connectors(settings: ProcessSettings) -> None:
    """Run a connector process until it is asked to stop."""
    settings = settings.incarnated()
    configure_logs(settings.log_level, settings.log_format, settings.process_name)
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        url, credentials = settings.require_nats()
        bus = await Bus.connect(url, credentials, settings.process_name)
        stack.push_async_callback(bus.close)
        client = await ActorClient.start(bus, settings.process_name)
        connectors: dict[str, Connector] = {}
        if settings.demo_tenant:
            connectors["demo-siem"] = DemoSiem(client, settings.demo_tenant).run

        checks = {"nats": nats_check(bus)}
        await _serve_health(settings, checks, CollectorRegistry(), stack)
        await run_all(connectors, stop)


async def run_provisioner(settings: ProcessSettings) -> None:
    """Run a provisioner until it is asked to stop."""
    settings = settings.incarnated()
    configure_logs(settings.log_level, settings.log_format, settings.process_name)
    stop = stop_on_signals()
    secrets, mongo_url = Secrets(settings.require_secrets_dir()), settings.require_mongo()
    nats_url = settings.nats_url
    if not nats_url:
        raise SettingMissing("WARDROOM_NATS_URL", "where NATS is, as nats://host:port")
    reach = armed(settings.failpoints)
    async with AsyncExitStack() as stack:
        credentials = ensure_credentials(secrets, "provisioner")
        bus = await Bus.connect(nats_url, credentials, settings.process_name)
        stack.push_async_callback(bus.close)
        own_url = url_for(mongo_url, "provisioner", secrets)
        connection = MongoConnection(own_url, app_name=settings.process_name)
        stack.push_async_callback(connection.close)
        keys = KeyRing(connection, RootKey(secrets.root_key()))
        reader = Reader(connection, keys)
        client = await ActorClient.start(bus, settings.process_name)
        provisioner = Provisioner(reader, client, now_ms)
        keeper = CredentialKeeper(connection, keys, client, now_ms)
        system_credentials = ensure_credentials(secrets, "system")
        system = await Bus.connect(nats_url, system_credentials, f"{settings.process_name}-system")
        stack.push_async_callback(system.close)
        uses = NatsUses(connection)
        founded = False

        async def settle() -> None:
            nonlocal founded
            if founded and await provisioner.is_settled() and await keeper.is_settled():
                return
            replicas = settings.stream_replicas
            async with open_platform(
                secrets, nats_url, mongo_url, replicas=replicas, reach=reach
            ) as platform:
                await ensure_platform_tenant(platform)
                founded = True
                await provisioner.settle(platform)
                await keeper.settle(platform)

        async def check_platform() -> None:
            if not founded:
                raise RuntimeError("the platform's own tenant is not there yet")

        checks = {**base_checks(bus, connection.ping), "platform": check_platform}
        await _serve_health(settings, checks, CollectorRegistry(), stack)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_every(settings.provision_every_s, settle, stop))
            tasks.create_task(_every(USES_EVERY_S, lambda: uses.look(system.client), stop))
    log.info("provisioner.stopped")


async def _every(seconds: float, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await work()
        except (ProvisionError, PyMongoError, NatsError, StoreError, OSError) as error:
            log.warning("provisioner.put_off", error=repr(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()


async def run_gateway(settings: ProcessSettings) -> None:
    """Run a gateway until it is asked to stop."""
    settings = settings.incarnated()
    configure_logs(settings.log_level, settings.log_format, settings.process_name)
    async with AsyncExitStack() as stack:
        bus, connection, keys = await _connections(settings, stack)
        reader = Reader(connection, keys)
        await follow_tenants(bus, reader)
        chosen = GatewaySettings(
            version=VERSION,
            allowed_origins=frozenset(filter(None, settings.allowed_origins.split(","))),
            argon2_memory_kib=settings.argon2_memory_kib,
            argon2_passes=settings.argon2_passes,
            login_failures_account=settings.login_failures_account,
            login_failures_address=settings.login_failures_address,
            newcomers_at_once_address=settings.newcomers_at_once_address,
            requests_per_second_session=settings.requests_per_second_session,
            requests_per_second_address=settings.requests_per_second_address,
            directory_tenant=settings.directory_tenant,
            directory_sync_s=settings.directory_sync_s,
            directory_loopback=settings.directory_loopback,
            public_url=settings.public_url or _local_url(settings),
            identity_provider_loopback=settings.identity_provider_loopback,
            trusted_proxies=settings.trusted_proxies,
            tenant_deletion_days=settings.tenant_deletion_days,
        )
        reach = armed(settings.failpoints)
        client = await ActorClient.start(bus, settings.process_name, reader.lanes_of, reach)
        stack.push_async_callback(client.drain)

        async def read_token_keys() -> TokenKeys:
            return await load_token_keys(connection, keys.root, settings.issuer)

        services = GatewayServices(
            reader=reader,
            actors=client,
            token_keys=await read_token_keys(),
            settings=chosen,
            checks={
                **base_checks(bus, connection.ping),
                "actors": (await ActorsAlive.listen(bus)).check,
            },
            verifier=room_verifier(connection, keys),
            metrics=GatewayMetrics(CollectorRegistry()),
            unavailable=(PyMongoError, PublishFailed),
            reach=reach,
            read_token_keys=read_token_keys,
            fetch=Fetcher(
                list(filter(None, settings.identity_provider_networks.split(","))),
                loopback=settings.identity_provider_loopback,
            ).fetch,
        )
        config = server_config(create_app(services), chosen, host=settings.host, port=settings.port)
        # uvicorn takes SIGTERM and SIGINT itself, and closes its sockets before it returns.
        await uvicorn.Server(config).serve()


def _local_url(settings: ProcessSettings) -> str:
    # Only whoever is on this machine reaches it, and there is no other way to it.
    local = settings.host in ("127.0.0.1", "localhost")
    return f"http://{settings.host}:{settings.port}" if local and settings.port else ""


async def follow_tenants(bus: Bus, reader: Reader) -> None:
    """Have a reader know the tenants, and new ones at once: their people may sign in right away."""

    async def on_tenants_changed(_: Msg) -> None:
        try:
            await reader.tenants()
        except PyMongoError as error:
            # It looks again by itself when somebody asks for a tenant that it does not know.
            log.warning("tenants.unreadable", error=repr(error))

    await bus.client.subscribe(TENANTS_CHANGED, cb=on_tenants_changed)


class ActorsAlive:
    """Whether any actor process has said lately that it lives."""

    def __init__(self) -> None:
        self._heard = float("-inf")

    @classmethod
    async def listen(cls, bus: Bus) -> "ActorsAlive":
        """Listen from now on."""
        alive = cls()
        await bus.client.subscribe(WORKER_ALIVE, cb=alive._on_alive)
        return alive

    async def _on_alive(self, _: Msg) -> None:
        self._heard = time.monotonic()

    async def check(self) -> None:
        """Fail if none has."""
        if time.monotonic() - self._heard > WORKER_TTL_S:
            raise RuntimeError("no actor process is running")


def room_verifier(connection: MongoConnection, keys: KeyRing) -> Verifier:
    """What the gateway runs to verify one room, telling how it goes."""

    async def verify(tenant: str, room: str) -> AsyncIterator[dict[str, Any]]:
        verdict = RoomVerdict(room)
        async for checked in Verification(connection, keys, tenant).check_room(verdict):
            yield {"type": "progress", "room": room, "checked": checked}
        problem = verdict.first_problem
        yield {
            "type": "verdict",
            "room": room,
            "verified": problem is None,
            "records": verdict.records,
            "head": verdict.head.seq,
            "hash": verdict.head.hash.hex(),
            "first_problem": {
                "seq": problem.seq,
                "code": str(problem.harm),
                "detail": problem.detail,
            }
            if problem
            else None,
        }

    return verify


def base_checks(bus: Bus, ping: Callable[[], Awaitable[None]]) -> dict[str, Check]:
    """The checks that every process has."""

    return {"nats": nats_check(bus), "mongodb": ping}


def nats_check(bus: Bus) -> Check:
    """Whether NATS answers."""

    async def check() -> None:
        if not bus.is_connected:
            raise RuntimeError("not connected")
        await bus.client.flush()

    return check


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
