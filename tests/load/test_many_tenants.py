"""Tenants and their rooms share the memory of a process; each costs NATS as many consumers as lanes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest
from nats.aio.client import Client

from actors.protocol.commands import CreateRoom, Post
from actors.protocol.limits import LANES_DEFAULT
from actors.protocol.subjects import room_stream
from actors.runtime import process
from deploy.local.stack import LocalStack
from tests.actors.people import OWNER
from tests.load.in_process import InProcess, actors_in_process
from tests.support.eventually import eventually

TENANTS: Final = ("alpha", "beta", "gamma")
CUTS: Final = 3
ROOMS: Final = 30
KEPT: Final = 7


@pytest.fixture(scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """A stack of its own: a process that owns everything would read every other test's tenants."""
    async with LocalStack(tmp_path_factory.mktemp("tenants")) as stack:
        for tenant in TENANTS:
            await stack.create_tenant(tenant, tenant)
        yield stack


@pytest.fixture
async def jetstream(tenants: LocalStack) -> AsyncIterator[Client]:
    """A connection that may look at streams."""
    client = Client()
    path = tenants.secrets.credentials_file("provisioner")
    await client.connect(tenants.nats_url, user_credentials=str(path))
    yield client
    await client.close()


async def consumers(client: Client) -> dict[str, int]:
    """How many consumers read each tenant's commands."""
    found = {
        tenant: await client.jetstream().consumers_info(room_stream(tenant)) for tenant in TENANTS
    }
    return {tenant: len(infos) for tenant, infos in found.items()}


async def test_a_tenant_has_one_consumer_a_lane_however_often_the_connection_broke(
    tenants: LocalStack, jetstream: Client
) -> None:
    wanted = dict.fromkeys(TENANTS, LANES_DEFAULT)
    reopened = "wardroom_lanes_reopened_total"

    async def as_wanted() -> bool | None:
        return True if await consumers(jetstream) == wanted else None

    async with actors_in_process(tenants, LANES_DEFAULT) as one:
        await one.ready()
        assert await consumers(jetstream) == wanted
        for cut in range(1, CUTS + 1):
            one.way.cut()

            async def all_reopened(least: int = cut * sum(wanted.values())) -> bool | None:
                return True if one.metric(reopened) >= least else None

            await eventually(all_reopened, f"every lane reopened after cut {cut}")
            await one.ready()
            await say_something(one, "alpha", f"room-{cut}")
        await eventually(as_wanted, "one consumer a lane")
    assert sum((await consumers(jetstream)).values()) == 0


async def test_the_rooms_of_all_tenants_together_stay_within_the_limit_of_the_process(
    tenants: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ROOMS_IN_MEMORY_MAX", KEPT), ("PASSIVATE_S", 0.2), ("GAUGES_S", 0.1)):
        monkeypatch.setattr(process, name, value)
    async with actors_in_process(tenants, LANES_DEFAULT) as one:
        await one.ready()
        rooms = [(tenant, f"many-{number}") for tenant in TENANTS for number in range(ROOMS)]
        await asyncio.gather(*(say_something(one, tenant, room) for tenant, room in rooms))

        async def few() -> bool | None:
            in_memory = one.metric("wardroom_rooms_in_memory")
            return True if 0 < in_memory <= KEPT else None

        await eventually(few, "the surplus put down")
        receipts = await asyncio.gather(
            *(say(one, tenant, room, "again") for tenant, room in rooms)
        )
        assert set(receipts) == {3}


async def say_something(one: InProcess, tenant: str, room: str) -> None:
    """Open a room and talk in it."""
    await one.client.send(tenant, room, OWNER.asks(CreateRoom, name=room))
    await say(one, tenant, room, "first")


async def say(one: InProcess, tenant: str, room: str, client_id: str) -> int:
    """Talk in a room; the seq of what was said."""
    post = OWNER.asks(Post, body="x", client_id=client_id)
    return (await one.client.send(tenant, room, post)).seq
