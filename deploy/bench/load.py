"""What a load generator is asked to do, what it answers, and how it is started.

The generator is a process of its own, so that its work is never counted as the server's and no
garbage collection or event loop is shared. Both messages are JSON on its standard streams.
"""

import asyncio
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from deploy.bench.errors import BenchError
from deploy.bench.measure import ServerUse, Watched

BODY_BYTES: Final = 256
WARMUP_S: Final = 3.0
DRAIN_S: Final = 15.0
"""How long after the last send an acknowledgement or a delivery may still come."""
CONNECT_S: Final = 30.0
"""How long logging in, connecting and subscribing every socket may take."""

SOURCE_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Login:
    """A user who may post in every room of a load."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoadJob:
    """One load: `clients` sockets in each room.

    Closed loop: every client keeps `in_flight` messages unacknowledged. Open loop (`rate_per_s`
    is set): that many messages a second in total, on a fixed schedule. Client i of a room is user
    i, taken from `tokens` or, when there are none, from `logins`.
    """

    url: str
    run: str
    """Short and unique: every client id of this load starts with it and a hyphen."""
    rooms: tuple[str, ...]
    clients: int
    seconds: float
    in_flight: int = 1
    rate_per_s: float | None = None
    warmup_s: float = WARMUP_S
    drain_s: float = DRAIN_S
    logins: tuple[Login, ...] = ()
    tokens: tuple[str, ...] = field(default=(), repr=False)
    watch: tuple[Watched, ...] = ()
    """The server processes whose use of the machine is taken over the measured window."""


@dataclass(frozen=True, slots=True)
class ClientTrail:
    """What one client sent: the ids `<prefix>0` to `<prefix><sent - 1>`, and those never
    acknowledged (refusals among them)."""

    room: str
    prefix: str
    sent: int
    unacknowledged: tuple[int, ...]

    def acknowledged_ids(self) -> set[str]:
        """The client ids that the server said are committed."""
        numbers = set(range(self.sent)).difference(self.unacknowledged)
        return {f"{self.prefix}{number}" for number in numbers}


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What happened. Rates and percentiles are of the measured window; counts are of the whole
    load, warm-up and drain included. A percentile is None when nothing was acknowledged."""

    messages_per_s: float
    deliveries_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    late_p50_ms: float | None
    late_p99_ms: float | None
    """Open loop: how late the generator itself sent; part of every latency above."""
    window_s: float
    window_acknowledged: int
    sent: int
    acknowledged: int
    delivered: int
    lost: int
    """Places in a room's order that a socket of the room never received."""
    doubled: int
    """Entries that came again at the same place, and messages acknowledged at two places."""
    reordered: int
    """Entries that came after one with a higher place."""
    altered: int
    """Own messages that came back with another text."""
    rejected: dict[str, int]
    """Refusals by code."""
    faults: dict[str, int]
    """Error frames by code, closed sockets by close code, frames that could not be read."""
    servers: ServerUse
    """What the window cost; its `own_cpu_s` is the generator's."""
    trails: tuple[ClientTrail, ...]

    @property
    def unacknowledged(self) -> int:
        """Messages with neither an acknowledgement nor a refusal."""
        return self.sent - self.acknowledged - sum(self.rejected.values())


JOB: Final = TypeAdapter(LoadJob)
RESULT: Final = TypeAdapter(LoadResult)


async def run_load(job: LoadJob) -> LoadResult:
    """Run a load in a process of its own.

    Raises:
        BenchError: picows is not installed, or the generator ended without a result.
    """
    if importlib.util.find_spec("picows") is None:
        raise BenchError(
            "the load generator needs picows, which is among the development requirements: "
            "pip install picows"
        )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.bench.loadgen",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=SOURCE_ROOT,
    )
    patience_s = CONNECT_S + job.warmup_s + job.seconds + job.drain_s + CONNECT_S
    try:
        output, errors = await asyncio.wait_for(process.communicate(JOB.dump_json(job)), patience_s)
    except TimeoutError:
        raise BenchError(f"the load generator gave no result in {patience_s:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise BenchError(f"the load generator failed: {_last_line(errors)}")
    return RESULT.validate_json(output)


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
