"""What is measured: a running system, and the rights to look at it from below."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deploy.bench.errors import BenchError
from deploy.bench.load import Login
from deploy.bench.measure import Watched

ROOMS: Final = 20
CLIENTS: Final = 5
"""Sockets in each room; client i is user i."""


@dataclass(frozen=True, slots=True)
class BenchTargets:
    """One tenant of a running system.

    `admin` makes the rooms, `users` talk in them. The database user must read the tenant's records
    and may do anything in a scratch database of its own; the NATS user may make and delete a
    stream. `processes` are all processes of the system, whose use of the machine is accounted.
    """

    url: str
    tenant: str
    admin: Login
    users: tuple[Login, ...]
    mongo_admin_url: str = field(repr=False)
    nats_url: str
    nats_creds_path: Path | None = None
    nats_monitoring_url: str | None = None
    """Where nats-server tells its settings; without it they are reported as unknown."""
    processes: tuple[Watched, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of load on the rooms: closed loop, or open loop when it has a rate."""

    name: str
    in_flight: int = 1
    rate_per_s: float | None = None


WORKLOADS: Final[dict[str, tuple[Workload, ...]]] = {
    "w1": (Workload("w1_k1", in_flight=1), Workload("w1_k16", in_flight=16)),
    "w2": (Workload("w2_200", rate_per_s=200.0),),
}
"""Every workload by the name it is asked for: w1 is as fast as it goes, w2 is everyday."""


def chosen(names: Sequence[str]) -> tuple[Workload, ...]:
    """The workloads of the given names; all of them for no name.

    Raises:
        BenchError: a name that isn't one.
    """
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise BenchError(f"no workload {unknown[0]!r}; there is {', '.join(WORKLOADS)}")
    return tuple(load for name in names or WORKLOADS for load in WORKLOADS[name])
