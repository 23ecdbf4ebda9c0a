"""The gateway behind a real server on loopback, over a world in memory."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import orjson
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import gateway.app
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from gateway.app import GatewayServices, create_app, server_config
from gateway.metrics import GatewayMetrics
from gateway.passwords import hash_password
from gateway.rest.health import Check
from gateway.settings import GatewaySettings
from gateway.tokens import Principal, TokenKeys, Tokens, new_principal
from tests.gateway.world import NOW_MS, World, eventually, room_command, tenant_command

ROOM = "room_1"
PASSWORD = "correct horse battery staple"
PASSWORD_HASH = hash_password(PASSWORD, memory_kib=8)
"""Made once: hashing is slow by design, and these tests are not about its cost."""
PEOPLE = {"ana": Role.ANALYST, "bob": Role.ANALYST, "vera": Role.VIEWER, "tom": Role.TENANT_ADMIN}


class Unreachable(Exception):
    """What a library of a server underneath raises when that server is away."""


@dataclass
class Served:
    """A gateway that runs."""

    world: World
    port: int
    http: httpx.AsyncClient
    tokens: Tokens
    metrics: GatewayMetrics
    server: uvicorn.Server
    checks: dict[str, Check]
    keys: TokenKeys

    def principal(self, name: str, tenant: str = "acme") -> Principal:
        """Somebody who signed in."""
        known = self.world.at(tenant, TENANT_ROOM).state.users.get(f"usr_{name}")
        clearance = known.clearance if known is not None else 0
        session = f"ses_{name}"
        return new_principal(tenant, f"usr_{name}", PEOPLE[name], session, clearance=clearance)

    def token(self, name: str, tenant: str = "acme") -> str:
        """An access token of somebody."""
        return self.tokens.access_token(self.principal(name, tenant))

    def headers(self, name: str, tenant: str = "acme") -> dict[str, str]:
        """The headers of a request that somebody makes."""
        return {"Authorization": f"Bearer {self.token(name, tenant)}"}

    @asynccontextmanager
    async def socket(self, query: str = "", **options: Any) -> AsyncIterator["Client"]:
        """A socket that has said nothing yet."""
        url = f"ws://127.0.0.1:{self.port}/ws/v1{query}"
        async with connect(url, compression=None, **options) as connection:
            yield Client(connection)

    @asynccontextmanager
    async def signed_in(self, name: str, tenant: str = "acme") -> AsyncIterator["Client"]:
        """A socket of somebody, welcomed."""
        async with self.socket() as client:
            await client.send(type="hello", token=self.token(name, tenant))
            assert (await client.get())["type"] == "welcome"
            yield client


@dataclass
class Client:
    """A client of the WebSocket."""

    connection: ClientConnection
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self.connection.send(orjson.dumps(frame).decode())

    async def send_raw(self, data: str | bytes) -> None:
        """Send a message as it is."""
        await self.connection.send(data)

    async def get(self) -> dict[str, Any]:
        """The next frame."""
        async with asyncio.timeout(5):
            frame: dict[str, Any] = orjson.loads(await self.connection.recv())
        self.seen.append(frame)
        return frame

    async def get_until(self, type_: str) -> list[dict[str, Any]]:
        """All frames up to the first of a type."""
        frames = [await self.get()]
        while frames[-1]["type"] != type_:
            frames.append(await self.get())
        return frames

    async def follow(self, room: str = ROOM, after: int | None = None) -> list[dict[str, Any]]:
        """Subscribe to a room and take what is replayed."""
        more = {} if after is None else {"after": after}
        await self.send(type="subscribe", room=room, **more)
        return await self.get_until("caught_up")

    async def closed(self) -> int:
        """The code with which the server closes; frames before it are in `seen`."""
        frame = None
        try:
            while True:
                await self.get()
        except ConnectionClosed as closed:
            frame = closed.rcvd
        assert frame is not None, "the connection was cut without a close frame"
        return int(frame.code)


def peopled(*tenants: str) -> World:
    """Tenants with people who are signed in, and one room of ana's and bob's each."""
    world = World(*tenants)
    for tenant in tenants:
        for name, role in PEOPLE.items():
            user = {"user": f"usr_{name}", "username": name, "display_name": name.title()}
            facts = {"email": f"{name}@{tenant}.example", "password_hash": PASSWORD_HASH}
            create = tenant_command(type="create_user", user_role=role, **user, **facts)
            world.commit(tenant, TENANT_ROOM, create)
            opened = {"session": f"ses_{name}", "refresh": "0" * 64}
            session = {"user": f"usr_{name}", "expires_ms": NOW_MS * 2, **opened}
            world.commit(tenant, TENANT_ROOM, tenant_command(type="open_session", **session))
        members = {"usr_bob": "member"}
        create_room = {"type": "create_room", "name": "War room", "actor": "usr_ana"}
        world.commit(tenant, ROOM, room_command(**create_room, members=members))
    return world


def new_keys() -> TokenKeys:
    """Keys that sign tokens."""
    key = Ed25519PrivateKey.generate()
    return TokenKeys("wardroom", "k1", key, {"k1": key.public_key()})


@asynccontextmanager
async def served(
    world: World | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
    keys: TokenKeys | None = None,
    **settings: Any,
) -> AsyncIterator[Served]:
    """A gateway over a world, on a free port; `clock` is the one by which failures are forgiven,
    `wall_clock` the one that codes are of. Gateways with the same `keys` believe each other's tokens."""
    world = world or peopled("acme")
    keys = keys or new_keys()
    metrics = GatewayMetrics(CollectorRegistry())
    options = GatewaySettings(argon2_memory_kib=8, **settings)
    checks: dict[str, Check] = {}
    app = create_app(
        GatewayServices(
            reader=world.reader,
            actors=world.actors,
            token_keys=keys,
            settings=options,
            checks=checks,
            verifier=_verify,
            metrics=metrics,
            unavailable=(Unreachable,),
            clock=clock,
            wall_clock=wall_clock,
        )
    )
    _share_routes(app)
    config = server_config(app, options, host="127.0.0.1", port=0)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # Its main loop would add a tenth of a second for noticing that it should stop.
    await server.startup()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        # Nothing is encrypted here, and reading every authority takes longer than a usual test.
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=trust) as http:
            yield Served(world, port, http, Tokens(keys), metrics, server, checks, keys)
    finally:
        await _stop(server)


@cache
def _compiled() -> list[BaseRoute]:
    return []


def _share_routes(app: FastAPI) -> None:
    """Let all applications have the routes of the first: FastAPI compiles them at the first request.

    They find what is an application's own in the request.
    """
    if not _compiled():
        _compiled().append(app.router.routes[0])
    assert vars(app.router.routes[0])["original_router"] is gateway.app._api()
    app.router.routes[0] = _compiled()[0]


async def _stop(server: uvicorn.Server) -> None:
    """What its `shutdown` does, without the tenth of a second that it waits in any case."""
    for listening in server.servers:
        listening.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    await eventually(lambda: not state.connections and not state.tasks)
    await server.lifespan.shutdown()


async def _verify(tenant: str, room: str) -> AsyncIterator[dict[str, Any]]:
    yield {"type": "progress", "room": room, "checked": 1}
    if room == "room_broken":
        raise RuntimeError("the chain could not be read")
    yield {"type": "verdict", "room": room, "verified": tenant == "acme"}
