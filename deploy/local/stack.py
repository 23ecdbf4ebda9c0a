"""The whole system on one machine: servers, provisioning, processes. Tests and `up` use the same."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from deploy.local.binaries import MONGOD, NATS_SERVER, find_binary
from deploy.local.children import Child, ProcessKind, start_child, stop_all
from deploy.local.mongo import MongoServer
from deploy.local.nats import NatsServer
from deploy.local.process import free_port
from deploy.provision.mongo_access import url_for
from deploy.provision.nats_config import server_config
from deploy.provision.nats_identity import ensure_all_credentials
from deploy.provision.secrets import MongoUser, NatsUser, Secrets
from deploy.provision.tenants import create_tenant, open_platform, provision_platform
from store.driver import MongoConnection
from store.rows import TenantRow

MONGO_USERS: Final[dict[ProcessKind, MongoUser]] = {"gateway": "gateway", "actors": "actors"}
NATS_USERS: Final[dict[ProcessKind, NatsUser]] = {
    "gateway": "gateway",
    "actors": "actors",
    "connectors": "connectors",
    "provisioner": "provisioner",
}


@dataclass(frozen=True, slots=True)
class GivenServers:
    """Servers that run already; None for those that are to be started here."""

    nats_url: str | None = None
    mongo_url: str | None = None


@dataclass(slots=True)
class LocalStack:
    """Servers and processes over one data directory.

    `secrets` are in the directory unless given. `options` is put into every process's environment.
    """

    directory: Path
    given: GivenServers = field(default_factory=GivenServers)
    options: Mapping[str, str] = field(default_factory=dict)
    secrets_dir: Path | None = None
    nats: NatsServer | None = None
    mongo: MongoServer | None = None
    children: list[Child] = field(default_factory=list)

    @property
    def secrets(self) -> Secrets:
        """Keys and credentials."""
        return Secrets(self.secrets_dir or self.directory / "secrets")

    @property
    def nats_url(self) -> str:
        """Where NATS is."""
        if self.nats is not None:
            return self.nats.url
        return self.given.nats_url or ""

    @property
    def mongo_url(self) -> str:
        """Where MongoDB is, for its administrator. Holds the password."""
        if self.mongo is not None:
            return self.mongo.url
        return self.given.mongo_url or ""

    def mongo_url_for(self, user: MongoUser) -> str:
        """Where MongoDB is, for one of our own users. Holds the password."""
        return url_for(self.mongo_url, user, self.secrets)

    async def __aenter__(self) -> Self:
        try:
            await self.start_servers()
        except BaseException:
            # __aexit__ is not called for what fails here.
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start_servers(self) -> None:
        """Start what is not given, side by side, and provision the platform."""
        secrets = self.secrets
        ensure_all_credentials(secrets)
        async with asyncio.TaskGroup() as tasks:
            if self.given.nats_url is None:
                config = server_config(secrets, Path("accounts"))
                self.nats = NatsServer(
                    find_binary(NATS_SERVER).path, self.directory / "nats", config
                )
                tasks.create_task(self.nats.start())
            if self.given.mongo_url is None:
                password = secrets.mongo_password("admin")
                self.mongo = MongoServer(
                    find_binary(MONGOD).path, self.directory / "mongo", password
                )
                tasks.create_task(self.mongo.start())
        await self.provision()

    async def provision(self) -> list[TenantRow]:
        """Make or repair users, streams, keys and every known tenant."""
        admin = MongoConnection(self.mongo_url)
        try:
            async with open_platform(self.secrets, self.nats_url, self.mongo_url) as platform:
                return await provision_platform(platform, admin)
        finally:
            await admin.close()

    async def create_tenant(self, tenant: str, name: str) -> TenantRow:
        """Make a tenant; running processes notice."""
        async with open_platform(self.secrets, self.nats_url, self.mongo_url) as platform:
            return await create_tenant(platform, tenant, name)

    def environment_of(self, kind: ProcessKind) -> dict[str, str]:
        """What a process of ours is told."""
        environment = {
            "WARDROOM_NATS_URL": self.nats_url,
            "WARDROOM_NATS_CREDENTIALS": str(self.secrets.credentials_file(NATS_USERS[kind])),
            "WARDROOM_LOG_FORMAT": "json",
            **self.options,
        }
        if kind in MONGO_USERS:
            environment["WARDROOM_MONGO_URL"] = self.mongo_url_for(MONGO_USERS[kind])
            environment["WARDROOM_ROOT_KEY_FILE"] = str(self.secrets.root_key_file)
        if kind == "provisioner":
            environment["WARDROOM_SECRETS_DIR"] = str(self.secrets.directory)
            environment["WARDROOM_MONGO_URL"] = self.mongo_url_for("provisioner")
        return environment

    async def start_process(
        self, kind: ProcessKind, name: str, more: Mapping[str, str] | None = None
    ) -> Child:
        """Start a process of ours; it is ready later."""
        environment = {**self.environment_of(kind), **(more or {})}
        if kind == "gateway":
            environment.setdefault("WARDROOM_PORT", str(free_port()))
        logs = self.directory / "logs"
        logs.mkdir(mode=0o700, exist_ok=True)
        child = await start_child(name, kind, logs, environment)
        self.children.append(child)
        return child

    async def stop(self) -> None:
        """Stop in order: who takes work, who does it, where it is kept."""
        for kind in ("gateway", "connectors", "provisioner", "actors"):
            running = [child for child in self.children if child.kind == kind]
            await stop_all([child for child in running if child.process.returncode is None])
        for server in (self.nats, self.mongo):
            if server is not None and server.running:
                await server.stop()
