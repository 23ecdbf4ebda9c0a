"""Many tenants that do nothing beside one: making one, its first commit, idling, posting."""

import asyncio
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from deploy.bench.growth_long_room import Past
from deploy.bench.growth_report import Axis
from deploy.bench.growth_system import MIB, Person, System, side_by_side
from deploy.bench.load import Login
from deploy.bench.measure import Meter
from deploy.local.stack import LocalStack
from deploy.provision.tenants import create_tenant, open_platform
from store.rows import TenantRow

COMPARED: Final = 8
"""Tenants made first that are compared with as many made last."""
POSTS: Final = 40
SETTLE_S: Final = 5.0
"""After work, before idling is measured."""
NOBODY: Final = Login("somebody", "")
"""Whoever does not sign in."""


async def measure_tenants(
    system: System,
    alone: LocalStack,
    person: Person,
    tenants: int,
    repeat: tuple[int, float],
    say: Callable[[str], None],
) -> Axis:
    """Grow a system to `tenants`, and compare it with a stack that has one.

    Args:
        system: running, with `person` in one of its tenants.
        alone: a second stack, its servers up, without tenant and process.
        person: who posts in the grown system.
        tenants: how many there shall be.
        repeat: rounds, and seconds of idling in each.
        say: is told each step.
    """
    rounds, seconds = repeat
    axis = Axis("1 tenant", f"{tenants} tenants")
    single = await System.start(alone)
    other = await single.add_person(await alone.create_tenant("alone", "Alone"))
    await _grow(system, axis, tenants, say)
    small, grown = Past("lone", 0), Past("one-of-many", 0)
    for its, who, past in ((single, other, small), (system, person, grown)):
        await its.restart_actors()
        async with its.client(who.tenant.lanes) as client:
            await client.send(who.tenant.id, past.room, who.create(past.room))
    for number in range(rounds):
        say(f"tenants, round {number + 1} of {rounds}")
        async with single.api(other) as here, system.api(person) as there:
            await small.post(here)
            await grown.post(there)
            posted = await side_by_side(
                partial(small.post, here), partial(grown.post, there), POSTS
            )
        axis.add("warm_post_ms", *posted)
        await _idle(axis, single, system, seconds)
    return axis


async def _grow(system: System, axis: Axis, tenants: int, say: Callable[[str], None]) -> None:
    """Make tenants until there are enough; time each, and its first commit."""
    made_ms: list[float] = []
    first_commit_ms: list[float] = []
    stack = system.stack
    async with open_platform(stack.secrets, stack.nats_url, stack.mongo_url) as platform:
        present = await platform.tenants.count_documents({})
        for number in range(present, tenants):
            say(f"making tenant {number + 1} of {tenants}")
            started = time.perf_counter()
            row = await create_tenant(platform, f"more-{number}", f"One more {number}")
            made = time.perf_counter()
            await _first_commit(system, row)
            made_ms.append((made - started) * 1000)
            first_commit_ms.append((time.perf_counter() - made) * 1000)
    few = max(1, min(COMPARED, len(made_ms) // 2))
    for figure, took in (("create_ms", made_ms), ("first_commit_ms", first_commit_ms)):
        if took:
            # Not judged: the first and the last don't meet the same weather, and MongoDB itself takes
            # longer to make files the more it has.
            axis.add_linear(figure, statistics.median(took[:few]), statistics.median(took[-few:]))


async def _first_commit(system: System, row: TenantRow) -> None:
    """Make a room; that whoever asks is a user of the tenant is what the gateway would see to."""
    person = Person(row, "somebody", NOBODY)
    async with system.client(row.lanes) as client:
        await client.send(row.id, "first", person.create("first"))


async def _idle(axis: Axis, single: System, system: System, seconds: float) -> None:
    """What both systems use while nobody does anything, at the same time."""
    await asyncio.sleep(SETTLE_S)
    meters = [Meter(its.watched()) for its in (single, system)]
    await asyncio.sleep(seconds)
    small, grown = (meter.read() for meter in meters)
    for process, used_s in small.cpu_s.items():
        idle = (used / seconds * 1000 for used in (used_s, grown.cpu_s[process]))
        axis.add_linear(f"idle_{process}_ms_per_s", *idle)
        memory = (use.rss_bytes[process] / MIB for use in (small, grown))
        axis.add_linear(f"{process}_mib", *memory)
