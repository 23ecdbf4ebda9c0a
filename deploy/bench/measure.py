"""What a load cost the server processes, and whether what was acknowledged is stored.

Source of the fields: proc(5), `/proc/<pid>/stat` (utime, stime), `/proc/<pid>/statm` (resident
pages) and `/proc/stat` (time of all CPUs).
"""

import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pymongo.collection import Collection

from deploy.bench.errors import BenchError

MESSAGE_KIND: Final = "message"
_STAT_UTIME: Final = 11
_STAT_STIME: Final = 12
"""Positions behind the command name, which is in brackets and may itself hold spaces."""
_STAT_IDLE: Final = (3, 4)
_STAT_GUEST: Final = 8
"""Guest time is already part of user time."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A server process; several may share a name."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class ServerUse:
    """What servers used over a window. `own_cpu_s` is of the process that asks; `other_cores` is
    the mean number of cores that neither it nor a watched process used: the rest of the machine."""

    cpu_s: dict[str, float]
    rss_bytes: dict[str, int]
    own_cpu_s: float
    other_cores: float

    @property
    def cpu_total_s(self) -> float:
        """CPU seconds of all of them."""
        return sum(self.cpu_s.values())


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    cpu_s: dict[str, float]
    rss_bytes: dict[str, int]
    own_cpu_s: float
    machine_busy_s: float


class Meter:
    """Takes the use of server processes between its making and `read`."""

    def __init__(self, watch: Sequence[Watched]) -> None:
        self._watch = watch
        self._start = self._sample()

    def read(self) -> ServerUse:
        """The use since the start.

        Raises:
            BenchError: a watched process has ended.
        """
        start, end = self._start, self._sample()
        cpu_s = {name: end.cpu_s[name] - used for name, used in start.cpu_s.items()}
        own_s = end.own_cpu_s - start.own_cpu_s
        others_s = end.machine_busy_s - start.machine_busy_s - own_s - sum(cpu_s.values())
        window_s = end.at_s - start.at_s
        return ServerUse(cpu_s, end.rss_bytes, own_s, others_s / window_s if window_s else 0.0)

    def _sample(self) -> _Sample:
        cpu_s = {process.name: 0.0 for process in self._watch}
        rss_bytes = {process.name: 0 for process in self._watch}
        for process in self._watch:
            cpu_s[process.name] += cpu_seconds(process)
            rss_bytes[process.name] += resident_bytes(process)
        return _Sample(
            time.monotonic(), cpu_s, rss_bytes, time.process_time(), machine_busy_seconds()
        )


def cpu_seconds(process: Watched) -> float:
    """User and system time of a process, all its threads included.

    Raises:
        BenchError: the process has ended.
    """
    fields = _proc_file(process, "stat").rpartition(")")[2].split()
    return (int(fields[_STAT_UTIME]) + int(fields[_STAT_STIME])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process: Watched) -> int:
    """Memory of a process that is in RAM.

    Raises:
        BenchError: the process has ended.
    """
    return int(_proc_file(process, "statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def machine_busy_seconds() -> float:
    """Time all CPUs together were not idle since boot."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    idle = sum(ticks[position] for position in _STAT_IDLE)
    return (sum(ticks[:_STAT_GUEST]) - idle) / os.sysconf("SC_CLK_TCK")


def _proc_file(process: Watched, name: str) -> str:
    try:
        return Path(f"/proc/{process.pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise BenchError(
            f"{process.name} (pid {process.pid}) ended during the measurement; see its log"
        ) from None


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Messages of one load in the database against those acknowledged."""

    stored: int
    lost: int
    """Acknowledged, and not there."""
    doubled: int
    """There more than once."""


def count_rows(
    records: Collection[dict[str, Any]], run: str, rooms: Sequence[str], acknowledged: Iterable[str]
) -> StoredRows:
    """Compare what is stored of a load with the client ids that were acknowledged.

    Args:
        records: the tenant's collection of chain records, read with a majority.
        run: what every client id of the load starts with, before a hyphen.
    """
    rows = records.find(
        {
            "room": {"$in": list(rooms)},
            # "." is the character after "-", so this is "starts with <run>-" as an index range.
            "client_id": {"$gte": f"{run}-", "$lt": f"{run}."},
            "kind": MESSAGE_KIND,
        },
        {"_id": False, "client_id": True},
    )
    times = Counter(row["client_id"] for row in rows)
    return StoredRows(
        stored=times.total(),
        lost=sum(1 for client_id in acknowledged if client_id not in times),
        doubled=times.total() - len(times),
    )
