"""Actor processes that run, and what a gateway and an external system would do with them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from nats.aio.client import Client

from actors.client import ActorClient, LanesOf
from actors.protocol.commands import Command, CreateRoom, Post
from actors.protocol.envelope import Receipt
from actors.protocol.limits import LANES_DEFAULT
from actors.runtime.jetstream import Bus
from deploy.local.children import Child
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.entries import StoredEntry
from store.keys import KeyRing, RootKey
from store.tenant_reader import TenantReader
from store.verify import TenantVerdict, verify_tenant
from tests.actors.people import OWNER, Person


def lanes_known(_: str) -> int:
    """What a process knows once it has read the list of tenants."""
    return LANES_DEFAULT


@dataclass
class Running:
    """A stack, the connections of a gateway and of an auditor, and one actor process at a time."""

    stack: LocalStack
    bus: Bus
    client: ActorClient
    auditor: MongoConnection
    gateway: MongoConnection
    keys: KeyRing
    children: list[Child] = field(default_factory=list)

    @property
    def child(self) -> Child:
        """The actor process of now."""
        return self.children[-1]

    async def launch(self, **options: str) -> Child:
        """Start another actor process; it is ready later."""
        name = f"actors-{secrets.token_hex(4)}"
        self.children.append(await self.stack.start_process("actors", name, options))
        return self.child

    async def start(self, **options: str) -> Child:
        """Start another actor process and wait until it reads every lane it should."""
        child = await self.launch(**options)
        await child.wait_ready()
        return child

    async def restart(self) -> None:
        """Stop the actor process in order and start another."""
        await self.child.stop()
        await self.start()

    def reader(self, tenant: str) -> TenantReader:
        """What is stored of a tenant."""
        return TenantReader(self.gateway, self.keys, tenant)

    async def verdict(self, tenant: str) -> TenantVerdict:
        """What the verification says of a tenant's chains."""
        return await verify_tenant(self.auditor, self.keys, tenant)


@dataclass(frozen=True)
class Place:
    """A tenant of one test on running actors."""

    running: Running
    tenant: str

    async def do(self, room: str, command: Command) -> Receipt:
        """Have a command committed."""
        return await self.running.client.send(self.tenant, room, command)

    async def create(self, room: str, who: Person = OWNER, **fields: Any) -> Receipt:
        """Open a room."""
        given = {"client_id": "create", "actor": who.name, "role": who.role, "name": room}
        return await self.do(room, CreateRoom(**{**given, **fields}))

    async def ready(self, rooms: list[str]) -> None:
        """Return when a new room has been made under each of these names."""
        await asyncio.gather(*(self.create(room) for room in rooms))

    async def post(self, room: str, number: int, who: Person = OWNER, body: str = "") -> Receipt:
        """Say something with a client_id and a text of its own."""
        text = body or f"text {number}"
        command = Post(client_id=f"m{number}", actor=who.name, role=who.role, body=text)
        return await self.do(room, command)

    async def entries(self, room: str, **selection: Any) -> list[StoredEntry]:
        """What is stored of a room."""
        return await self.running.reader(self.tenant).entries(
            room, **{"limit": 10_000, **selection}
        )

    async def letters(self) -> list[dict[str, Any]]:
        """The dead letters, newest first."""
        return [dict(letter) for letter in await self.running.reader(self.tenant).dead_letters(99)]

    @asynccontextmanager
    async def external_system(self) -> AsyncIterator[Client]:
        """A connection with the tenant's own credentials."""
        client = Client()
        path = self.running.stack.secrets.tenant_credentials_file(self.tenant)
        await client.connect(self.running.stack.nats_url, user_credentials=str(path))
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def running_on(stack: LocalStack, lanes: LanesOf = lanes_known) -> AsyncIterator[Running]:
    """Connections to a stack; no actor process yet."""
    async with AsyncExitStack() as closing:
        bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("gateway"), "tests")
        closing.push_async_callback(bus.close)
        gateway = MongoConnection(stack.mongo_url_for("gateway"))
        closing.push_async_callback(gateway.close)
        auditor = MongoConnection(stack.mongo_url_for("auditor"))
        closing.push_async_callback(auditor.close)
        keys = KeyRing(gateway, RootKey.from_file(stack.secrets.root_key_file))
        client = await ActorClient.start(bus, "tests", lanes)
        running = Running(stack, bus, client, auditor, gateway, keys)
        yield running
        for child in running.children:
            if child.process.returncode is None:
                await child.stop()


def json_of(value: Any) -> bytes:
    """As an external system would send it."""
    return orjson.dumps(value)
