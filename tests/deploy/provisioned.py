"""Real servers for the provisioning tests, and NATS connections that remember what was refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from nats.aio.client import Client

from deploy.local.binaries import MONGOD, NATS_SERVER, find_binary
from deploy.local.mongo import MongoServer
from deploy.local.nats import NatsServer
from deploy.provision.mongo_access import url_for
from deploy.provision.nats_config import server_config
from deploy.provision.nats_identity import ensure_credentials, ensure_tenant_credentials
from deploy.provision.secrets import MongoUser, NatsUser, Secrets
from deploy.provision.tenants import Platform, open_platform, provision_platform
from store.driver import MongoConnection

ACCOUNTS_DIRECTORY = Path("accounts")


def new_tenant() -> str:
    """A tenant id that no other test uses."""
    return f"t{uuid4().hex[:12]}"


async def settled(client: Client) -> None:
    """Return when the server has dealt with all that was sent.

    Twice, because nats-py 2.16 writes the ping of a flush ahead of what waits to be written.
    """
    await client.flush()
    await client.flush()


@dataclass
class Session:
    """A NATS connection, the violations that the server has reported on it, and its end."""

    client: Client
    violations: list[str] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def may_publish(self, subject: str, body: bytes = b"{}", reply: str = "") -> bool:
        """Publish, and tell whether the server let it pass: it complains before it answers a ping."""
        before = len(self.violations)
        await self.client.publish(subject, body, reply=reply)
        await settled(self.client)
        return len(self.violations) == before

    async def may_subscribe(self, subject: str) -> bool:
        """Subscribe, and tell whether the server allowed it."""
        before = len(self.violations)
        subscription = await self.client.subscribe(subject)
        await settled(self.client)
        await subscription.unsubscribe()
        return len(self.violations) == before


@asynccontextmanager
async def session(url: str, credentials: Path) -> AsyncIterator[Session]:
    """Sign in with a credentials file."""
    opened = Session(client=Client())

    async def remember(error: Exception) -> None:
        opened.violations.append(str(error))

    async def end() -> None:
        opened.closed.set()

    try:
        await opened.client.connect(
            url,
            user_credentials=str(credentials),
            error_cb=remember,
            closed_cb=end,
            allow_reconnect=False,
        )
        yield opened
    finally:
        await opened.client.close()


@dataclass(frozen=True)
class NatsStack:
    """A nats-server with the provisioned configuration."""

    secrets: Secrets
    server: NatsServer

    @asynccontextmanager
    async def sign_in(self, user: NatsUser) -> AsyncIterator[Session]:
        """A connection as one of our own processes."""
        async with session(self.server.url, ensure_credentials(self.secrets, user)) as opened:
            yield opened

    @asynccontextmanager
    async def sign_in_tenant(self, tenant: str) -> AsyncIterator[Session]:
        """A connection as an external system of a tenant."""
        path = ensure_tenant_credentials(self.secrets, tenant)
        async with session(self.server.url, path) as opened:
            yield opened


@dataclass(frozen=True)
class Stack(NatsStack):
    """Both servers and a provisioned platform."""

    mongod: MongoServer
    admin: MongoConnection
    platform: Platform

    @asynccontextmanager
    async def mongo(self, user: MongoUser) -> AsyncIterator[MongoConnection]:
        """A MongoDB connection as one of the users."""
        connection = MongoConnection(url_for(self.mongod.url, user, self.secrets))
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def another_provisioner(self) -> AsyncIterator[Platform]:
        """Connections of a second provisioner with the same secrets."""
        async with open_platform(
            Secrets(self.secrets.directory), self.server.url, self.mongod.url
        ) as platform:
            yield platform


@asynccontextmanager
async def nats_stack(directory: Path) -> AsyncIterator[NatsStack]:
    """A nats-server over a directory."""
    secrets = Secrets(directory / "secrets")
    config = server_config(secrets, ACCOUNTS_DIRECTORY)
    binary = find_binary(NATS_SERVER).path
    async with NatsServer(binary, directory / "nats", config) as server:
        yield NatsStack(secrets, server)


@asynccontextmanager
async def whole_stack(directory: Path) -> AsyncIterator[Stack]:
    """Both servers over a directory, provisioned, with no tenant."""
    async with nats_stack(directory) as half:
        secrets = half.secrets
        binary = find_binary(MONGOD).path
        async with MongoServer(
            binary, directory / "mongo", secrets.mongo_password("admin")
        ) as mongod:
            admin = MongoConnection(mongod.url)
            try:
                async with open_platform(secrets, half.server.url, mongod.url) as platform:
                    await provision_platform(platform, admin)
                    yield Stack(secrets, half.server, mongod, admin, platform)
            finally:
                await admin.close()
