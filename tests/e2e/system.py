"""The whole system as processes, and companies that use it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import uuid4

import httpx

from actors.client import ActorClient
from actors.protocol.commands import CreateUser
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from deploy.local.children import Child, stop_all
from deploy.local.stack import LocalStack
from deploy.people import OPERATOR, operator_client
from gateway.passwords import hash_password
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.reader import Reader
from tests.e2e.clients import Client, rest

ARGON2_MEMORY_KIB: Final = 1024
CHEAP_PASSWORDS: Final = {
    "WARDROOM_ARGON2_MEMORY_KIB": str(ARGON2_MEMORY_KIB),
    "WARDROOM_ARGON2_PASSES": "1",
}
MANY_MISTAKES: Final = {
    "WARDROOM_LOGIN_FAILURES_ACCOUNT": "100000",
    "WARDROOM_LOGIN_FAILURES_ADDRESS": "100000",
    "WARDROOM_NEWCOMERS_AT_ONCE_ADDRESS": "100000",
    "WARDROOM_REQUESTS_PER_SECOND_ADDRESS": "100000",
    "WARDROOM_REQUESTS_PER_SECOND_SESSION": "100000",
}
"""All tests come from one address in no time, and many of them fail to sign in on purpose."""
PASSWORD: Final = "correct horse battery staple"
ROLES: Final = {
    "ana": Role.ANALYST,
    "bob": Role.ANALYST,
    "vera": Role.VIEWER,
    "tom": Role.TENANT_ADMIN,
}
"""The people of every company."""


@lru_cache(maxsize=1)
def _password_hash() -> str:
    return hash_password(PASSWORD, memory_kib=ARGON2_MEMORY_KIB)


@dataclass(frozen=True)
class Gateway:
    """A gateway process and HTTP to it."""

    child: Child
    http: httpx.AsyncClient


@dataclass(frozen=True)
class System:
    """Actors and gateways that run on one stack."""

    stack: LocalStack
    actors: Sequence[Child]
    gateways: Sequence[Gateway]
    operator: ActorClient

    @asynccontextmanager
    async def another_gateway(self, **environment: str) -> AsyncIterator[Gateway]:
        """One more gateway, for a test that does something to it."""
        async with AsyncExitStack() as held:
            [gateway] = await _start_gateways(
                self.stack, held, [f"gw-{uuid4().hex[:8]}"], environment
            )
            yield gateway

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """The store as a gateway reads it, for what no surface shows yet."""
        connection = MongoConnection(self.stack.mongo_url_for("gateway"))
        try:
            root = RootKey.from_file(self.stack.secrets.root_key_file)
            yield Reader(connection, KeyRing(connection, root))
        finally:
            await connection.close()


@asynccontextmanager
async def running(stack: LocalStack, *, actors: int, gateways: int) -> AsyncIterator[System]:
    """Processes on a stack, stopped again afterwards."""
    async with AsyncExitStack() as held:
        mark = uuid4().hex[:8]
        workers = [await stack.start_process("actors", f"actors-{mark}-{n}") for n in range(actors)]
        held.push_async_callback(_stop, workers)
        names = [f"gateway-{mark}-{n}" for n in range(gateways)]
        # Side by side: each waits for the actors to say that they live.
        doors = asyncio.create_task(_start_gateways(stack, held, names, {}))
        await asyncio.gather(doors, *(worker.wait_ready() for worker in workers))
        operator = await held.enter_async_context(operator_client(stack.nats_url, stack.secrets))
        yield System(stack, workers, doors.result(), operator)


async def _start_gateways(
    stack: LocalStack, held: AsyncExitStack, names: list[str], environment: dict[str, str]
) -> list[Gateway]:
    settings = {**CHEAP_PASSWORDS, **MANY_MISTAKES, **environment}
    children = [await stack.start_process("gateway", name, settings) for name in names]
    held.push_async_callback(_stop, children)
    clients = [await held.enter_async_context(rest(child.health_url)) for child in children]
    await asyncio.gather(*(child.wait_ready() for child in children))
    return [Gateway(child, http) for child, http in zip(children, clients, strict=True)]


async def _stop(children: Sequence[Child]) -> None:
    await stop_all([child for child in children if child.process.returncode is None])


@dataclass(frozen=True)
class Company:
    """A tenant and its people: ana and bob are analysts, vera views, tom administers."""

    system: System
    tenant: str

    def user(self, name: str) -> str:
        """The id of one of its people."""
        return f"usr_{name}_{self.tenant}"

    def username(self, name: str) -> str:
        """What one of its people signs in with; nobody of another company has it."""
        return f"{name}.{self.tenant}"

    def email(self, name: str) -> str:
        """The e-mail of one of its people."""
        return f"{name}@{self.tenant}.example"

    async def hire(self, name: str, role: Role, username: str | None = None) -> str:
        """Make a user; the id."""
        user = self.user(name)
        command = CreateUser(
            client_id=f"hire-{user}",
            actor=OPERATOR,
            role=Role.SYSTEM,
            user=user,
            username=username or self.username(name),
            email=self.email(name),
            display_name=name.title(),
            user_role=role,
            password_hash=_password_hash(),
        )
        await self.system.operator.send(self.tenant, TENANT_ROOM, command)
        return user

    async def sign_in(self, name: str, gateway: int = 0) -> Client:
        """One of its people, signed in at one of the gateways."""
        http = self.system.gateways[gateway].http
        return await Client.sign_in(http, self.username(name), PASSWORD)


async def found_company(system: System) -> Company:
    """A tenant that nobody knows yet, with its people."""
    company = Company(system, f"t{uuid4().hex[:12]}")
    await system.stack.create_tenant(company.tenant, "A tenant of one test")
    await asyncio.gather(*(company.hire(name, role) for name, role in ROLES.items()))
    return company
