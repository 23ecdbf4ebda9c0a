"""Many rooms of which few are active, beside as few rooms that are all active."""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from deploy.bench.growth_report import Axis
from deploy.bench.growth_system import Person, System, in_parts
from deploy.bench.load import LoadJob, LoadResult, run_load
from deploy.bench.measure import count_rows
from store.mongo import RECORDS, tenant_database

IN_FLIGHT: Final = 4
RATE_PER_S: Final = 100.0
"""Everyday load over all active rooms."""
WARMUP_S: Final = 1.0
COUNTED_S: Final = 1.5
"""The process counts its rooms once a second."""
TURNS: Final = ("first", "second", "third")
"""A process that kept anything of a room would grow from turn to turn."""


async def measure_rooms(
    system: System,
    people: tuple[Person, Person],
    counts: tuple[int, int],
    repeat: tuple[int, float],
    say: Callable[[str], None],
) -> tuple[Axis, list[str]]:
    """Make few rooms in one tenant and many in another, and measure as many of both.

    Args:
        system: running.
        people: of the tenant with few rooms, and of the one with many.
        counts: of few rooms and of many.
        repeat: rounds, and seconds of one load.
        say: is told each step.

    Returns:
        The axis, and what went wrong with any message.
    """
    few, many = counts
    rounds, seconds = repeat
    axis = Axis(f"{few:,} rooms, all active", f"{many:,} rooms, {few:,} active")
    sides: list[list[str]] = []
    for person, count in zip(people, counts, strict=True):
        say(f"making {count:,} rooms")
        rooms = [f"{person.tenant.id}-{number}" for number in range(count)]
        async with system.client(person.tenant.lanes) as client:
            asked = [(room, person.create(room)) for room in rooms]
            axis.facts[f"made_{count}_rooms_s"] = await in_parts(client, person.tenant.id, asked)
        sides.append(rooms)
    await _memory(system, people, (sides[0], sides[1]), axis, say)
    faults: list[str] = []
    for number in range(rounds):
        say(f"many rooms, round {number + 1} of {rounds}")
        found: dict[str, dict[int, float]] = {}
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            for figure, value in (
                await _loads(system, people[side], sides[side][:few], seconds, faults)
            ).items():
                found.setdefault(figure, {})[side] = value
        for figure, values in found.items():
            axis.add(figure, values[0], values[1])
    return axis, faults


async def _memory(
    system: System,
    people: tuple[Person, Person],
    sides: tuple[list[str], list[str]],
    axis: Axis,
    say: Callable[[str], None],
) -> None:
    """What the actor process holds while all rooms are in memory, and when they have fallen silent."""
    await system.restart_actors()
    axis.facts["actors_mib_fresh"] = system.resident_mib("actors")
    for person, rooms, which in zip(people, sides, ("few", "many"), strict=True):
        await _touch(system, person, rooms)
        axis.facts[f"actors_mib_{which}_in_memory"] = system.resident_mib("actors")
    several = len(sides[1]) - len(sides[0])
    grew_mib = axis.facts["actors_mib_many_in_memory"] - axis.facts["actors_mib_few_in_memory"]
    axis.facts["actors_kib_a_room"] = grew_mib * 1024 / several
    for turn in TURNS:
        say(f"all rooms fall silent, the {turn} time")
        await _touch(system, people[1], sides[1])
        axis.facts[f"rooms_in_memory_{turn}"] = await _most_rooms(system)
        axis.facts[f"actors_mib_touched_{turn}"] = system.resident_mib("actors")
        await system.passive()
        axis.facts[f"actors_mib_silent_{turn}"] = system.resident_mib("actors")


async def _touch(system: System, person: Person, rooms: Sequence[str]) -> None:
    """Say something in every room."""
    async with system.client(person.tenant.lanes) as client:
        asked = [(room, person.post(number)) for number, room in enumerate(rooms)]
        await in_parts(client, person.tenant.id, asked)


async def _most_rooms(system: System) -> float:
    await asyncio.sleep(COUNTED_S)
    return float(await system.rooms_in_memory())


async def _loads(
    system: System, person: Person, rooms: Sequence[str], seconds: float, faults: list[str]
) -> dict[str, float]:
    """Costs of a post in active rooms: as fast as it goes, and at an everyday rate."""
    full = await _load(system, person, rooms, (seconds, None))
    everyday = await _load(system, person, rooms, (seconds, RATE_PER_S))
    for result, run in (full, everyday):
        faults += await asyncio.to_thread(_faults, system, person, rooms, result, run)
    return {
        "ms_per_message_at_full_speed": 1000 / max(full[0].messages_per_s, 1e-9),
        "post_p50_ms": everyday[0].p50_ms or 0.0,
        "post_p99_ms": everyday[0].p99_ms or 0.0,
    }


async def _load(
    system: System, person: Person, rooms: Sequence[str], pace: tuple[float, float | None]
) -> tuple[LoadResult, str]:
    seconds, rate_per_s = pace
    run = secrets.token_hex(4)
    job = LoadJob(
        url=system.gateway.health_url,
        run=run,
        rooms=tuple(rooms),
        clients=1,
        seconds=seconds,
        in_flight=IN_FLIGHT,
        rate_per_s=rate_per_s,
        warmup_s=WARMUP_S,
        logins=(person.login,),
        watch=system.watched(),
    )
    return await run_load(job), run


def _faults(
    system: System, person: Person, rooms: Sequence[str], result: LoadResult, run: str
) -> list[str]:
    """What is wrong between what was acknowledged and what is stored."""
    acknowledged: set[str] = set()
    for trail in result.trails:
        acknowledged |= trail.acknowledged_ids()
    with MongoClient[dict[str, Any]](system.stack.mongo_url) as mongo:
        records = mongo[tenant_database(person.tenant.id)].get_collection(
            RECORDS, read_concern=ReadConcern("majority")
        )
        stored = count_rows(records, run, rooms, acknowledged)
    counts = {
        "lost": result.lost + stored.lost,
        "doubled": result.doubled + stored.doubled,
        "reordered": result.reordered,
        "altered": result.altered,
        "unacknowledged": result.unacknowledged,
    }
    return [f"{person.tenant.id}: {count} {what}" for what, count in counts.items() if count]
