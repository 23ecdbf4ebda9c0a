"""A measurement: rounds in which every workload runs beside the limits it is compared with."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from deploy.bench.errors import BenchError
from deploy.bench.limits import Limit, limits
from deploy.bench.load import WARMUP_S, LoadJob, LoadResult, run_load
from deploy.bench.machine import durability, machine, versions
from deploy.bench.measure import StoredRows, count_rows
from deploy.bench.mongo_limits import Scratch
from deploy.bench.report import BenchReport, Figures
from deploy.bench.setup import make_rooms
from deploy.bench.targets import CLIENTS, ROOMS, BenchTargets, Workload, chosen
from store.mongo import RECORDS, tenant_database

LIMIT_S: Final = 2.0
"""A round of a limit; a limit settles much faster than a workload."""
CONNECT_TIMEOUT_S: Final = 5
ROUND: Final = (
    "w1_k1",
    "insert_one_journaled",
    "w2_200",
    "record_cpu",
    "fanout",
    "insert_many",
    "w1_k16",
    "insert_pair",
    "jetstream_publish",
)
"""Each workload stands beside the limits it is compared with. Every other round runs backwards, so
that what slowly changes (a filling disk, a warm processor) touches both sides alike."""
_MIB: Final = 1024**2


async def run_bench(
    targets: BenchTargets,
    workloads: Sequence[str] = (),
    rounds: int = 3,
    seconds: float = 10.0,
    say: Callable[[str], None] = lambda line: None,
) -> BenchReport:
    """Measure a running system and the limits under it.

    Args:
        targets: the system.
        workloads: names from `targets.WORKLOADS`; none means all.
        rounds: how often everything is measured.
        seconds: the measured part of each load, after its warm-up.
        say: is told each step, for whoever waits.

    Raises:
        BenchError: something could not be measured; says what.
    """
    loads = {load.name: load for load in chosen(workloads)}
    run = secrets.token_hex(3)
    async with _connected(targets) as (mongo, nc), _scratch(mongo, f"bench_{run}") as scratch:
        names = [f"bench-{run}-{number}" for number in range(ROOMS)]
        rooms = await make_rooms(targets.url, targets.admin, targets.users, names)
        series = _Series(targets, mongo, rooms, limits(scratch, nc), seconds)
        report = BenchReport(
            machine(),
            await versions(targets.url, mongo, nc),
            await durability(mongo, targets.nats_monitoring_url),
            workloads={name: [] for name in loads},
        )
        for number in range(rounds):
            report.limits.append({})
            for step in ROUND if number % 2 == 0 else reversed(ROUND):
                if step in series.limits:
                    say(f"round {number + 1} of {rounds}: limit {step}")
                    report.limits[-1].update(await series.limit(step))
                elif load := loads.get(step):
                    say(f"round {number + 1} of {rounds}: workload {step}")
                    await series.load(report, load, f"{run}{number}{step}")
        return report


@dataclass(frozen=True, slots=True)
class _Series:
    """What all rounds of one measurement share."""

    targets: BenchTargets
    mongo: MongoClient[dict[str, Any]]
    rooms: tuple[str, ...]
    limits: dict[str, Limit]
    seconds: float

    async def limit(self, name: str) -> dict[str, float]:
        """One round of a limit."""
        try:
            return await self.limits[name](min(LIMIT_S, self.seconds))
        except (PyMongoError, NatsError) as error:
            raise BenchError(f"the limit {name} could not be measured: {error}") from error

    async def load(self, report: BenchReport, workload: Workload, run: str) -> None:
        """One round of a workload, and the count of what it left in the database."""
        result = await run_load(
            LoadJob(
                url=self.targets.url,
                run=run,
                rooms=self.rooms,
                clients=CLIENTS,
                seconds=self.seconds,
                in_flight=workload.in_flight,
                rate_per_s=workload.rate_per_s,
                warmup_s=min(WARMUP_S, self.seconds),
                logins=self.targets.users,
                watch=self.targets.processes,
            )
        )
        stored = await asyncio.to_thread(self._count, result, run)
        report.workloads[workload.name].append(_figures(result, stored))
        for what, codes in (("refused", result.rejected), ("fault", result.faults)):
            for code, times in codes.items():
                report.notes.append(f"{workload.name}: {what} {code}: {times} times")

    def _count(self, result: LoadResult, run: str) -> StoredRows:
        records = self.mongo[tenant_database(self.targets.tenant)].get_collection(
            RECORDS, read_concern=ReadConcern("majority")
        )
        acknowledged: set[str] = set()
        for trail in result.trails:
            acknowledged |= trail.acknowledged_ids()
        return count_rows(records, run, self.rooms, acknowledged)


@asynccontextmanager
async def _connected(
    targets: BenchTargets,
) -> AsyncIterator[tuple[MongoClient[dict[str, Any]], Client]]:
    """The database and the broker beneath the system."""
    credentials = str(targets.nats_creds_path) if targets.nats_creds_path else None
    milliseconds = CONNECT_TIMEOUT_S * 1000
    with MongoClient[dict[str, Any]](
        targets.mongo_admin_url, serverSelectionTimeoutMS=milliseconds, tz_aware=True
    ) as mongo:
        try:
            await asyncio.to_thread(mongo.admin.command, "ping")
            nc = await nats.connect(
                targets.nats_url,
                user_credentials=credentials,
                connect_timeout=CONNECT_TIMEOUT_S,
                allow_reconnect=False,
            )
        except (PyMongoError, NatsError, OSError) as error:
            raise BenchError(f"can't look beneath the system: {error}") from error
        try:
            yield mongo, nc
        finally:
            await nc.close()


@asynccontextmanager
async def _scratch(mongo: MongoClient[dict[str, Any]], name: str) -> AsyncIterator[Scratch]:
    """A database for this measurement alone, with the product's write concern."""
    try:
        yield mongo.get_database(name, write_concern=WriteConcern("majority", j=True))
    finally:
        await asyncio.to_thread(mongo.drop_database, name)


def _figures(result: LoadResult, stored: StoredRows) -> Figures:
    per_1000 = 1000 / result.window_acknowledged if result.window_acknowledged else None
    servers = result.servers
    return {
        "messages_per_s": result.messages_per_s,
        "deliveries_per_s": result.deliveries_per_s,
        "p50_ms": result.p50_ms,
        "p95_ms": result.p95_ms,
        "p99_ms": result.p99_ms,
        "p999_ms": result.p999_ms,
        "late_p50_ms": result.late_p50_ms,
        "late_p99_ms": result.late_p99_ms,
        "cpu_s_per_1000": servers.cpu_total_s * per_1000 if per_1000 else None,
        "sent": result.sent,
        "acknowledged": result.acknowledged,
        "stored": stored.stored,
        "delivered": result.delivered,
        "lost": result.lost + stored.lost,
        "doubled": result.doubled + stored.doubled,
        "reordered": result.reordered,
        "altered": result.altered,
        "unacknowledged": result.unacknowledged,
        "rejected": sum(result.rejected.values()),
        "other_cores": servers.other_cores,
        "cores_generator": servers.own_cpu_s / result.window_s,
        **{f"cores_{name}": used / result.window_s for name, used in servers.cpu_s.items()},
        **{f"rss_mib_{name}": used / _MIB for name, used in servers.rss_bytes.items()},
    }
