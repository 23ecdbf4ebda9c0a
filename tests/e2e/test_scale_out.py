"""Two gateways and three actor processes on one stack, and what happens when a part is killed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from actors.protocol.limits import LANES_DEFAULT
from deploy.local.children import Child
from deploy.local.stack import LocalStack
from tests.e2e.clients import Client, rest
from tests.e2e.persistent import Member, all_within, assert_nothing_is_lost_or_doubled, living
from tests.e2e.system import Company, Gateway, System, found_company, running
from tests.support.eventually import eventually

pytestmark = pytest.mark.slow

COMPANIES: Final = 4
KILLS: Final = 2
TAKEOVER_S: Final = 8.0
"""How soon everything must flow again after an actor process was killed."""
FLOWS_S: Final = 20.0
"""How soon everything flows at all, a restart of a server included."""


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A stack of this module's own: its servers are killed."""
    async with (
        LocalStack(tmp_path_factory.mktemp("scale-out")) as stack,
        running(stack, actors=3, gateways=2) as system,
    ):
        yield system


@dataclass
class Load:
    """Companies with a room each, in which one member talks and listens at each gateway."""

    companies: list[Company]
    readers: dict[str, Client]
    members: list[Member]

    async def flows(self, seconds: float = FLOWS_S) -> None:
        """See that everybody gets through to everybody."""
        await all_within(seconds, self.members, Member.gets_through)

    async def settles(self) -> None:
        """Let everybody finish, hear everything, and compare it with the chains."""
        await all_within(FLOWS_S, self.members, Member.falls_silent)
        for room, reader in self.readers.items():
            members = [member for member in self.members if member.room == room]
            head = (await reader.call("GET", f"/rooms/{room}"))["head"]
            await all_within(FLOWS_S, members, partial(Member.hears, seq=head))
            await assert_nothing_is_lost_or_doubled(reader, members)


@asynccontextmanager
async def load(system: System, *gateways: Gateway) -> AsyncIterator[Load]:
    """People who talk and listen meanwhile at two gateways; at the end nothing may be lost or
    doubled."""
    companies = [await found_company(system) for _ in range(COMPANIES)]
    made = Load(companies, {}, [])
    doors = [gateway.http for gateway in gateways or system.gateways]
    for company in companies:
        ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
        room = await ana.open_room(members={bob.user: "member"})
        made.readers[room] = ana
        made.members += [Member(ana, room, doors), Member(bob, room, doors[::-1])]
    async with living(made.members):
        await made.flows()
        yield made
        await made.flows()
        await made.settles()


async def lanes_owned(child: Child) -> int:
    """How many lanes an actor process reads."""
    async with rest(child.health_url) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    name = "wardroom_lanes_owned "
    return next((int(float(line.split()[1])) for line in lines if line.startswith(name)), 0)


async def spread(actors: list[Child], tenants: int) -> None:
    """Wait until every lane of so many tenants is read, and every process reads some."""

    async def ask() -> bool | None:
        owned = [await lanes_owned(child) for child in actors]
        return (sum(owned) == tenants * LANES_DEFAULT and min(owned) > 0) or None

    await eventually(ask, f"{tenants} tenants' lanes spread over {len(actors)} processes")


def alive(system: System) -> list[Child]:
    """The actor processes that run."""
    return [child for child in system.stack.children if _runs(child) and child.kind == "actors"]


def _runs(child: Child) -> bool:
    return child.process.returncode is None


async def test_rooms_spread_and_an_actor_process_that_is_killed_is_replaced_in_time(
    system: System,
) -> None:
    async with load(system) as people:
        await spread(alive(system), len(people.companies))
        system.actors[0].process.kill()
        await people.flows(TAKEOVER_S)
        await spread(alive(system), len(people.companies))


async def test_an_actor_process_that_is_stopped_hands_over(system: System) -> None:
    async with load(system) as people:
        another = await system.stack.start_process("actors", "actors-another")
        await another.wait_ready()
        await people.flows()
        assert await system.actors[1].stop() == 0
        await people.flows(TAKEOVER_S)


async def test_a_gateway_that_is_killed_is_left_for_the_other(system: System) -> None:
    async with (
        system.another_gateway() as doomed,
        load(system, doomed, system.gateways[1]) as people,
    ):
        doomed.child.process.kill()
        await people.flows()
        assert all(member.returns > 0 for member in people.members[::2])


async def test_nats_server_is_killed_and_comes_back(system: System) -> None:
    nats = system.stack.nats
    assert nats is not None
    async with load(system) as people:
        for _ in range(KILLS):
            nats.kill()
            await nats.process.wait()
            await nats.start()
            await people.flows()


async def test_mongod_is_killed_and_comes_back(system: System) -> None:
    mongod = system.stack.mongo
    assert mongod is not None
    async with load(system) as people:
        for _ in range(KILLS):
            mongod.kill()
            await mongod.process.wait()
            await mongod.start()
            await people.flows()
