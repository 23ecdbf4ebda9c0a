"""The cost of growth: what a long past, many rooms and many tenants do to the price of one request.

    report = await measure_growth(directory)

Each figure is taken on a small and on a grown side by turns in one run, so that only ratios matter.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from deploy.bench.growth_long_room import measure_long_room
from deploy.bench.growth_report import GrowthReport
from deploy.bench.growth_rooms import measure_rooms
from deploy.bench.growth_system import System
from deploy.bench.growth_tenants import measure_tenants
from deploy.bench.machine import machine
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.verify import verify_tenant

FEW_TENANT: Final = "few-rooms"
MANY_TENANT: Final = "many-rooms"
TENANTS_AT_LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class GrowthSizes:
    """How large "small" and "grown" are, and how thoroughly both are measured."""

    entries_small: int = 1_000
    entries_large: int = 1_000_000
    rooms_active: int = 200
    rooms: int = 10_000
    tenants: int = 50
    rounds: int = 3
    load_seconds: float = 5.0
    idle_seconds: float = 10.0


async def measure_growth(
    directory: Path,
    sizes: GrowthSizes | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> GrowthReport:
    """Grow a system of its own in every direction and measure it.

    Args:
        directory: private and empty; two stacks are made in it. The default sizes take 3 GB.
        sizes: how far to grow.
        say: is told each step, for whoever waits.

    Raises:
        BenchError: something could not be measured; says what.
        LocalError: a server or process could not be started, or ended by itself.
    """
    sizes = sizes or GrowthSizes()
    report = GrowthReport(machine(), asdict(sizes))
    for name in ("grown", "alone"):
        (directory / name).mkdir(mode=0o700)
    async with LocalStack(directory / "grown") as stack:
        few = await stack.create_tenant(FEW_TENANT, "Few rooms")
        many = await stack.create_tenant(MANY_TENANT, "Many rooms")
        system = await System.start(stack)
        await system.actors.wait_ready()
        people = await system.add_person(few), await system.add_person(many)
        await system.gateway.wait_ready()
        report.axes["long_room"] = await measure_long_room(
            system, people[0], (sizes.entries_small, sizes.entries_large), sizes.rounds, say
        )
        report.axes["many_rooms"], faults = await measure_rooms(
            system,
            people,
            (sizes.rooms_active, sizes.rooms),
            (sizes.rounds, sizes.load_seconds),
            say,
        )
        report.faults += faults
        async with LocalStack(directory / "alone") as alone:
            report.axes["many_tenants"] = await measure_tenants(
                system,
                alone,
                people[0],
                max(sizes.tenants, TENANTS_AT_LEAST),
                (sizes.rounds, sizes.idle_seconds),
                say,
            )
        say("verifying every record")
        for tenant in (FEW_TENANT, MANY_TENANT):
            report.faults += await _unverified(stack, tenant)
    return report


async def _unverified(stack: LocalStack, tenant: str) -> list[str]:
    """What the verifier finds in a tenant."""
    connection = MongoConnection(stack.mongo_url_for("auditor"))
    try:
        keys = KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))
        verdict = await verify_tenant(connection, keys, tenant)
    finally:
        await connection.close()
    return [
        f"{tenant}/{problem.room} #{problem.seq}: {problem.harm} ({problem.detail})"
        for problem in verdict.problems
    ]
