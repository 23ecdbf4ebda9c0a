"""The raw limits of the machine, measured beside the workloads: what no chat server on the same
disk, database, broker and processor could beat.

Everything is written where nothing of the system lives, a scratch database and a scratch stream,
and removed again.
"""

import asyncio
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final

from nats.aio.client import Client

from deploy.bench.documents import Commits
from deploy.bench.load import BODY_BYTES, SOURCE_ROOT, LoadJob, LoadResult, run_load
from deploy.bench.mongo_limits import Scratch, insert_many, insert_one_journaled, insert_pair
from deploy.bench.nats_limits import jetstream_publish
from deploy.bench.targets import CLIENTS, ROOMS

Figures = dict[str, float]
"""Figures of one round by the names they have in the report."""
Limit = Callable[[float], Awaitable[Figures]]
"""One round of a limit, of about the given seconds."""

LOOPBACK: Final = "127.0.0.1"
FANOUT_IN_FLIGHT: Final = 16
FANOUT_WARMUP_S: Final = 0.5
RECORDS_PER_LOOK: Final = 500
"""Records between two looks at the clock."""


def limits(scratch: Scratch, nc: Client) -> dict[str, Limit]:
    """Every limit by name.

    Args:
        scratch: a database of our own, with majority, journaled writes.
        nc: a connection that may make a stream named as the database.
    """

    def in_thread(measure: Callable[[Scratch, float], Figures]) -> Limit:
        return lambda seconds: asyncio.to_thread(measure, scratch, seconds)

    return {
        "insert_one_journaled": in_thread(insert_one_journaled),
        "insert_many": in_thread(insert_many),
        "insert_pair": in_thread(insert_pair),
        "jetstream_publish": lambda seconds: jetstream_publish(nc, scratch.name, seconds),
        "fanout": _fanout,
        "record_cpu": lambda seconds: asyncio.to_thread(_record_cpu, seconds),
    }


async def _fanout(seconds: float) -> Figures:
    """Deliveries a second of a server that only sends, under the load of w1."""
    return {"fanout_per_s": (await bare_fanout(seconds)).deliveries_per_s}


async def bare_fanout(seconds: float) -> LoadResult:
    """The load of w1 with many in flight on `deploy.bench.fanout`.

    Raises:
        BenchError: the server or the load generator failed.
    """
    with socket.create_server((LOOPBACK, 0)) as listening:
        port = listening.getsockname()[1]
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "deploy.bench.fanout", str(listening.fileno())),
            stdin=asyncio.subprocess.PIPE,
            cwd=SOURCE_ROOT,
            pass_fds=(listening.fileno(),),
        )
    try:
        return await run_load(
            LoadJob(
                url=f"http://{LOOPBACK}:{port}",
                run="bare",
                rooms=tuple(f"room_{number:032x}" for number in range(ROOMS)),
                clients=CLIENTS,
                seconds=seconds,
                in_flight=FANOUT_IN_FLIGHT,
                warmup_s=FANOUT_WARMUP_S,
                tokens=("none",),
            )
        )
    finally:
        await server.communicate(b"")


def _record_cpu(seconds: float) -> Figures:
    """Microseconds of computing for one message: commitment, canonical header, hash and seal."""
    commits = Commits(("room",), 1, BODY_BYTES)
    records, start_s = 0, time.perf_counter()
    while time.perf_counter() < start_s + seconds:
        for _ in range(RECORDS_PER_LOOK):
            commits.one_record()
        records += RECORDS_PER_LOOK
    return {"record_cpu_us": (time.perf_counter() - start_s) / records * 1e6}
