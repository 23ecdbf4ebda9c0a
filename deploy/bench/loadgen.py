"""The load generator: `python -m deploy.bench.loadgen`, a job as JSON in, a result as JSON out."""

import asyncio
import base64
import gc
import math
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import uvloop
from picows import ws_connect

from deploy.bench.client import RoomClient, Window
from deploy.bench.load import BODY_BYTES, CONNECT_S, JOB, RESULT, LoadJob, LoadResult
from deploy.bench.measure import Meter, ServerUse
from deploy.bench.schedule import Schedule
from deploy.bench.setup import log_in

SOCKET_PATH: Final = "/ws/v1"
NOISE_BYTES: Final = 1 << 20
NOISE_STEP_BYTES: Final = 104_729
"""Bodies are slices of noise, each far from the one before, so that nothing on disk compresses."""
DRAIN_CHECK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Count:
    """Totals over all clients at one moment of `time.perf_counter`."""

    at_s: float
    acknowledged: int
    delivered: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The measured window: totals at both its ends, and what it cost."""

    first: Count
    last: Count
    servers: ServerUse


async def run_job(job: LoadJob) -> LoadResult:
    """Do a job in this process.

    Raises:
        ConnectionError: a socket was refused before the load began.
        BenchError: a login was refused.
    """
    window = Window()
    async with asyncio.timeout(CONNECT_S) as connecting:
        tokens = job.tokens or await log_in(job.url, job.logins)
        async with _connected(job, tokens, window) as clients:
            connecting.reschedule(None)
            schedule = _schedule(clients, job.rate_per_s) if job.rate_per_s else None
            measured = await _drive(job, clients, window, schedule)
            await _drain(clients, job.drain_s)
            late_s = schedule.late_s if schedule else []
            return _result(clients, window, measured, sorted(late_s))


def _schedule(clients: Sequence[RoomClient], rate_per_s: float) -> Schedule:
    return Schedule(lambda number, due_s: clients[number % len(clients)].post(due_s), rate_per_s)


@asynccontextmanager
async def _connected(
    job: LoadJob, tokens: Sequence[str], window: Window
) -> AsyncIterator[list[RoomClient]]:
    """All clients, joined; neighbours in the list are in different rooms."""
    url = job.url.replace("http", "ws", 1) + SOCKET_PATH
    bodies = _bodies()
    clients: list[RoomClient] = []
    try:
        for place in range(job.clients):
            for room in job.rooms:
                prefix = f"{job.run}-{len(clients)}-"
                client = RoomClient(room, prefix, bodies, window)
                clients.append(client)
                await _join(client, url, tokens[place % len(tokens)])
        yield clients
    finally:
        for client in clients:
            client.leave()


async def _join(client: RoomClient, url: str, token: str) -> None:
    transport, _ = await ws_connect(lambda request, response: client, url)
    await client.join(transport, token)


def _bodies() -> Iterator[bytes]:
    noise = base64.b64encode(os.urandom(NOISE_BYTES * 3 // 4))
    start = 0
    while True:
        start = (start + NOISE_STEP_BYTES) % (len(noise) - BODY_BYTES)
        yield noise[start : start + BODY_BYTES]


async def _drive(
    job: LoadJob, clients: Sequence[RoomClient], window: Window, schedule: Schedule | None
) -> Measured:
    if schedule:
        schedule.start()
    else:
        _fill(clients, job.in_flight)
    await asyncio.sleep(job.warmup_s)
    meter, first = Meter(job.watch), _count(clients)
    window.opens_s = first.at_s
    await asyncio.sleep(job.seconds)
    last, servers = _count(clients), meter.read()
    window.closes_s = last.at_s
    if schedule:
        schedule.stop()
    for client in clients:
        client.replenish = False
    return Measured(first, last, servers)


def _fill(clients: Sequence[RoomClient], in_flight: int) -> None:
    for client in clients:
        client.replenish = True
    for _ in range(in_flight):
        for client in clients:
            client.post(time.perf_counter())


def _count(clients: Sequence[RoomClient]) -> Count:
    return Count(
        time.perf_counter(),
        sum(client.traffic.acknowledged for client in clients),
        sum(client.traffic.delivered for client in clients),
    )


async def _drain(clients: Sequence[RoomClient], patience_s: float) -> None:
    """Wait until every message is answered and every client has what its room holds."""
    deadline_s = time.perf_counter() + patience_s
    while time.perf_counter() < deadline_s:
        if not any(client.waiting for client in clients) and not _lost(clients):
            return
        await asyncio.sleep(DRAIN_CHECK_S)


def _lost(clients: Sequence[RoomClient]) -> int:
    heads: dict[str, int] = {}
    for client in clients:
        seen = max(client.head, client.last_seq)
        heads[client.room] = max(heads.get(client.room, 0), seen)
    return sum(client.lost(heads[client.room]) for client in clients)


def _result(
    clients: Sequence[RoomClient], window: Window, measured: Measured, late_s: Sequence[float]
) -> LoadResult:
    first, last = measured.first, measured.last
    window_s = last.at_s - first.at_s
    latencies_s = sorted(window.latencies_s)
    traffic = [client.traffic for client in clients]
    return LoadResult(
        messages_per_s=(last.acknowledged - first.acknowledged) / window_s,
        deliveries_per_s=(last.delivered - first.delivered) / window_s,
        p50_ms=percentile_ms(latencies_s, 0.5),
        p95_ms=percentile_ms(latencies_s, 0.95),
        p99_ms=percentile_ms(latencies_s, 0.99),
        p999_ms=percentile_ms(latencies_s, 0.999),
        late_p50_ms=percentile_ms(late_s, 0.5),
        late_p99_ms=percentile_ms(late_s, 0.99),
        window_s=window_s,
        window_acknowledged=last.acknowledged - first.acknowledged,
        sent=sum(each.sent for each in traffic),
        acknowledged=sum(each.acknowledged for each in traffic),
        delivered=sum(each.delivered for each in traffic),
        lost=_lost(clients),
        doubled=sum(each.doubled for each in traffic),
        reordered=sum(each.reordered for each in traffic),
        altered=sum(each.altered for each in traffic),
        rejected=sum((each.rejected for each in traffic), Counter()),
        faults=sum((each.faults for each in traffic), Counter()),
        servers=measured.servers,
        trails=tuple(client.trail() for client in clients),
    )


def percentile_ms(ascending_s: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile in milliseconds of seconds in ascending order; None of none."""
    if not ascending_s:
        return None
    return ascending_s[math.ceil(share * len(ascending_s)) - 1] * 1000


def main() -> None:
    """Read a job, do it, write the result."""
    # The collector would stop the generator in the middle of somebody's latency.
    gc.disable()
    job = JOB.validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(RESULT.dump_json(uvloop.run(run_job(job))))


if __name__ == "__main__":
    main()
