"""The system whose growth is measured: a stack with one actor process and one gateway."""

import asyncio
import itertools
import secrets as random_secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from actors.client import ActorClient
from actors.protocol.commands import CreateRoom, Post
from actors.protocol.roles import Role, RoomRole
from actors.runtime.jetstream import Bus
from connectors.http import http_client
from deploy.api import Api
from deploy.bench.errors import BenchError
from deploy.bench.load import Login
from deploy.bench.measure import Watched, resident_bytes
from deploy.context import User
from deploy.local.children import Child
from deploy.local.stack import LocalStack
from deploy.people import create_user, new_password, operator_client
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.rows import TenantRow

UNLIMITED: Final = {
    "WARDROOM_REQUESTS_PER_SECOND_SESSION": "1000000",
    "WARDROOM_REQUESTS_PER_SECOND_ADDRESS": "1000000",
}
"""One person at one address asks for everything that is measured."""
MIB: Final = 1024**2
COMMANDS_AT_ONCE: Final = 256
ROOM_IDLE_S: Final = 20.0
"""Silence after which a room leaves the memory: long enough to touch every room in, and not so long
as the five minutes of everyday."""
PASSIVE_CHECKS_MAX: Final = 240
PASSIVE_CHECK_S: Final = 0.5
ROOMS_METRIC: Final = "wardroom_rooms_in_memory"

Action = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Person:
    """A user who is in all rooms that are measured. `user` is his id."""

    tenant: TenantRow
    user: str
    login: Login

    def create(self, room: str) -> CreateRoom:
        """The command that makes a room of his."""
        return CreateRoom(
            client_id=f"create-{room}",
            actor=self.user,
            role=Role.ANALYST,
            name=room,
            members={self.user: RoomRole.OWNER},
        )

    def post(self, number: int, text: str = "still here") -> Post:
        """The command of a message."""
        client_id = f"touch-{number}-{random_secrets.token_hex(4)}"
        return Post(client_id=client_id, actor=self.user, role=Role.ANALYST, body=text)


@dataclass(slots=True)
class System:
    """A running stack. Everything in it can be looked at from below."""

    stack: LocalStack
    actors: Child
    gateway: Child
    _starts: "itertools.count[int]" = field(default_factory=lambda: itertools.count(2))

    @classmethod
    async def start(cls, stack: LocalStack) -> "System":
        """Start the processes; each is ready when `stack` has a tenant."""
        gateway = await stack.start_process("gateway", "gateway-1", UNLIMITED)
        return cls(stack, await _start_actors(stack, 1), gateway)

    async def restart_actors(self) -> None:
        """End the actor process and start another, which has no room in memory."""
        await self.actors.stop()
        self.actors = await _start_actors(self.stack, next(self._starts))
        await self.actors.wait_ready()

    async def add_person(self, tenant: TenantRow) -> Person:
        """Make an analyst of a tenant."""
        user = User(f"{tenant.id}-analyst", "analyst", new_password())
        async with operator_client(self.stack.nats_url, self.stack.secrets) as client:
            user_id, _ = await create_user(client, tenant.id, user)
        return Person(tenant, user_id, Login(user.username, user.password))

    def api(self, person: Person) -> Api:
        """The public surface, for a person; to be entered."""
        return Api(self.gateway.health_url, person.login.username, person.login.password)

    @asynccontextmanager
    async def client(self, lanes: int) -> AsyncIterator[ActorClient]:
        """What a gateway talks to actors with, for more commands than HTTP could carry."""
        name = f"growth-{random_secrets.token_hex(4)}"
        credentials = self.stack.secrets.credentials_file("gateway")
        bus = await Bus.connect(self.stack.nats_url, credentials, name)
        try:
            yield await ActorClient.start(bus, name, lambda _: lanes)
        finally:
            await bus.close()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[tuple[MongoConnection, KeyRing]]:
        """The database with the rights of an actor process."""
        connection = MongoConnection(self.stack.mongo_url_for("actors"))
        root = RootKey.from_file(self.stack.secrets.root_key_file)
        try:
            yield connection, KeyRing(connection, root)
        finally:
            await connection.close()

    def watched(self) -> tuple[Watched, ...]:
        """Every process of the system."""
        nats, mongo = self.stack.nats, self.stack.mongo
        if nats is None or mongo is None:
            raise BenchError("the bench measures servers of its own")
        return (
            Watched("actors", self.actors.process.pid),
            Watched("gateway", self.gateway.process.pid),
            Watched("nats", nats.process.pid),
            Watched("mongod", mongo.process.pid),
        )

    def resident_mib(self, name: str) -> float:
        """Memory of a process that is in RAM."""
        return sum(resident_bytes(each) for each in self.watched() if each.name == name) / MIB

    async def rooms_in_memory(self) -> int:
        """Rooms that the actor process holds, as it says itself."""
        async with http_client(self.actors.health_url) as http:
            text = (await http.get("/metrics")).text
        for family in text_string_to_metric_families(text):
            if family.name == ROOMS_METRIC:
                return int(family.samples[0].value)
        raise BenchError(f"the actor process tells no {ROOMS_METRIC}")

    async def passive(self) -> None:
        """Wait until no room is in memory.

        Raises:
            BenchError: one stays.
        """
        for _ in range(PASSIVE_CHECKS_MAX):
            if await self.rooms_in_memory() == 0:
                return
            await asyncio.sleep(PASSIVE_CHECK_S)
        raise BenchError(f"rooms stay in memory that were silent for {ROOM_IDLE_S:.0f} s")


async def _start_actors(stack: LocalStack, number: int) -> Child:
    idle = {"WARDROOM_ROOM_IDLE_S": str(ROOM_IDLE_S)}
    return await stack.start_process("actors", f"actors-{number}", idle)


async def in_parts(client: ActorClient, tenant: str, asked: Sequence[tuple[str, Any]]) -> float:
    """Have commands (room, command) committed, some hundred at a time; the seconds it took."""
    started = time.perf_counter()
    for start in range(0, len(asked), COMMANDS_AT_ONCE):
        part = asked[start : start + COMMANDS_AT_ONCE]
        await asyncio.gather(*(client.send(tenant, room, command) for room, command in part))
    return time.perf_counter() - started


async def milliseconds(action: Action) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    await action()
    return (time.perf_counter() - started) * 1000


async def side_by_side(small: Action, grown: Action, times: int) -> tuple[float, float]:
    """The median milliseconds of two actions, done by turns so that both meet the same weather."""
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(times):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            took[side].append(await milliseconds((small, grown)[side]))
    return statistics.median(took[0]), statistics.median(took[1])
