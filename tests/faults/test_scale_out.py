"""Three actor processes share the lanes; one is killed, and the others take over what it read."""

import asyncio
from uuid import uuid4

import pytest

from actors.protocol.limits import LANES_DEFAULT
from deploy.local.children import Child
from deploy.local.process import polled
from deploy.local.stack import LocalStack
from tests.actors.running import Place, Running
from tests.faults.load import PATIENCE_S, load_on, metric

pytestmark = [pytest.mark.servers, pytest.mark.slow]

TENANTS = 5
TAKEOVER_S = 8.0
"""What is required of a takeover."""


async def lanes_of(children: list[Child]) -> list[float | None]:
    """How many lanes each process reads."""
    return [await metric(child, "wardroom_lanes_owned") for child in children]


async def shared(children: list[Child], lanes: int) -> None:
    """Return when the processes read all lanes between them, and each reads some."""

    async def spread() -> bool | None:
        counts = [count or 0 for count in await lanes_of(children)]
        return True if min(counts) > 0 and sum(counts) == lanes else None

    await polled(spread)


async def test_lanes_spread_over_processes_and_those_of_a_killed_one_are_taken_over(
    field: LocalStack, running: Running, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = [target, *(f"t{uuid4().hex[:12]}" for _ in range(TENANTS - 1))]
    for tenant in tenants[1:]:
        await field.create_tenant(tenant, "Another tenant")
    children = [await running.start() for _ in range(3)]
    lanes = TENANTS * LANES_DEFAULT
    async with asyncio.timeout(PATIENCE_S):
        await shared(children, lanes)
    places = [Place(running, tenant) for tenant in tenants]
    rooms = [f"room{number}" for number in range(4 * LANES_DEFAULT)]
    async with load_on(running, target, monkeypatch) as load:
        children[0].process.kill()
        await children[0].process.wait()
        async with asyncio.timeout(TAKEOVER_S):
            await shared(children[1:], lanes)
            # So many rooms of each tenant that there are some in every lane.
            await asyncio.gather(*(place.ready(rooms) for place in places[1:]))
        await load.progress(200)
    for place in places:
        assert (await running.verdict(place.tenant)).verified
