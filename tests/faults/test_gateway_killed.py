"""A gateway is killed at every point of a post's way through it, in the middle of load, again and again."""

import asyncio
import random
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
import pytest

from actors.protocol.roles import Role
from deploy.local.children import Child, stop_all
from deploy.local.process import LOOPBACK, free_port
from deploy.local.stack import LocalStack
from tests.e2e.clients import CUT, Client, rest
from tests.e2e.persistent import Member, all_within, assert_nothing_is_lost_or_doubled, living
from tests.e2e.system import CHEAP_PASSWORDS, MANY_MISTAKES, Company, System, found_company
from tests.e2e.system import running as running_system
from tests.faults.load import PATIENCE_S

pytestmark = [pytest.mark.servers, pytest.mark.slow]

POINTS: Final = (
    "command_taken",
    "command_published",
    "command_stored",
    "event_received",
    "delivered",
)
"""The way of a post through a gateway."""
ROUNDS: Final = 2
"""Kills of each of two gateways."""
REACHED_MAX: Final = 40


@pytest.fixture(scope="module")
async def system(field: LocalStack) -> AsyncIterator[System]:
    """Actors, and a gateway that nobody kills."""
    async with running_system(field, actors=1, gateways=1) as system:
        yield system


@dataclass(frozen=True)
class Door:
    """A port behind which one gateway after another dies."""

    stack: LocalStack
    port: int
    http: httpx.AsyncClient

    async def open(self, fatal: str = "") -> Child:
        """Start a gateway there; it is ready later."""
        settings = {
            **CHEAP_PASSWORDS,
            **MANY_MISTAKES,
            "WARDROOM_PORT": str(self.port),
            "WARDROOM_FAILPOINTS": fatal,
        }
        return await self.stack.start_process("gateway", f"gw-{secrets.token_hex(4)}", settings)

    async def dies(self, point: str, counts: list[int]) -> None:
        """Let one gateway after another die when it comes to a point for the nth time."""
        for nth in counts:
            doomed = await self.open(f"{point}:kill:{nth}")
            assert await doomed.process.wait() == -signal.SIGKILL


@asynccontextmanager
async def door(system: System) -> AsyncIterator[Door]:
    """A door; whatever is open there at the end is closed."""
    port = free_port()
    async with rest(f"http://{LOOPBACK}:{port}") as http:
        try:
            yield Door(system.stack, port, http)
        finally:
            behind = [c for c in system.stack.children if c.health_url.endswith(f":{port}")]
            await stop_all([child for child in behind if child.process.returncode is None])


async def members_at(company: Company, *doors: httpx.AsyncClient) -> tuple[Client, list[Member]]:
    """Four people in one room: one at a gateway that lives, one at each of the doors whatever
    happens there, and one who leaves a door that is shut for the other."""
    lives = company.system.gateways[0].http
    ana, bob, tom = [await company.sign_in(name) for name in ("ana", "bob", "tom")]
    await company.hire("eva", Role.ANALYST)
    eva = await company.sign_in("eva")
    others = {client.user: "member" for client in (bob, tom, eva)}
    room = await ana.open_room(members=others)
    first, second = doors
    return ana, [
        Member(ana, room, [lives]),
        Member(bob, room, [first]),
        Member(tom, room, [second]),
        Member(eva, room, [first, second]),
    ]


@pytest.mark.parametrize("point", POINTS)
async def test_what_was_acknowledged_survives_kills_of_gateways_at(
    system: System, point: str
) -> None:
    chance = random.Random(point)  # noqa: S311 - the same kills in every run
    async with AsyncExitStack() as held:
        doors = [await held.enter_async_context(door(system)) for _ in range(2)]
        company = await found_company(system)
        reader, members = await members_at(company, *(each.http for each in doors))
        async with living(members):
            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
                for each in doors:
                    counts = [chance.randrange(1, REACHED_MAX) for _ in range(ROUNDS)]
                    tasks.create_task(each.dies(point, counts))
            for each in doors:
                await each.open()
            await all_within(PATIENCE_S, members, Member.gets_through)
            await all_within(PATIENCE_S, members, Member.falls_silent)
            head = (await reader.call("GET", f"/rooms/{members[0].room}"))["head"]
            await all_within(PATIENCE_S, members, partial(Member.hears, seq=head))
            await assert_nothing_is_lost_or_doubled(reader, members)
        assert members[0].returns == 0


@pytest.mark.parametrize("point", POINTS)
async def test_a_post_is_lost_only_while_nobody_else_has_it_when_a_gateway_is_killed_at(
    system: System, point: str
) -> None:
    company = await found_company(system)
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with door(system) as doomed:
        child = await doomed.open(f"{point}:kill:1")
        await child.wait_ready()
        async with ana.at(doomed.http).socket() as socket:
            if point == "delivered":
                # For the others the answer is a reply: among events a beacon could be the first.
                await socket.follow(room, after=None)
            await socket.say(room, "hello", "c-1")
            assert await socket.closed() == CUT
        assert await child.process.wait() == -signal.SIGKILL
    heard = [frame for frame in socket.seen if frame["type"] == "entry"]
    assert len(heard) == (1 if point == "delivered" else 0)

    again = await ana.ask("POST", f"/rooms/{room}/entries", {"client_id": "c-1", "body": "hello"})

    assert again.status_code == (201 if point == "command_taken" else 200)
    receipt = again.json()
    assert all((receipt["seq"], receipt["hash"]) == (e["seq"], e["hash"]) for e in heard)
    assert [entry["kind"] for entry in await ana.entries(room)] == ["room_created", "message"]
