"""What verification says: verdicts on rooms and tenants, and the harms they name."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from store.chain import Head

PROBLEMS_MAX: Final = 100
"""Problems named for one room; the first is the one that counts."""
NOWHERE: Final = "(no room)"
"""Stands for the room of a document whose key names no place in any chain."""


class Harm(StrEnum):
    """What is wrong with a record or a content."""

    MALFORMED = "malformed"
    MISPLACED = "misplaced"
    GAP = "gap"
    HASH = "hash_mismatch"
    LINK = "broken_link"
    EPOCH = "epoch_regression"
    TIME = "time_regression"
    CONTENT_MISSING = "content_missing"
    CONTENT_BROKEN = "content_broken"
    CONTENT_FOREIGN = "content_foreign"
    CUT = "tail_missing"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, with the seq where it shows."""

    room: str
    seq: int
    harm: Harm
    detail: str


@dataclass(slots=True)
class RoomVerdict:
    """What verification found in one room. `unclaimed` counts contents of interrupted commits."""

    room: str
    records: int = 0
    contents: int = 0
    unclaimed: int = 0
    head: Head = field(default_factory=Head)
    problems: list[Problem] = field(default_factory=list)

    @property
    def first_problem(self) -> Problem | None:
        """The problem at the lowest seq; of several there, the one found first."""
        return min(self.problems, key=lambda problem: problem.seq, default=None)

    def add(self, seq: int, harm: Harm, detail: str) -> None:
        """Note a problem."""
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(self.room, seq, harm, detail))


@dataclass(frozen=True, slots=True)
class TenantVerdict:
    """The verdict on a tenant; `seconds` is how long it took. `headers_only`: its keys are destroyed, and
    nothing is said of contents."""

    tenant: str
    rooms: list[RoomVerdict]
    seconds: float
    headers_only: bool = False

    @property
    def problems(self) -> list[Problem]:
        """The first problem of every room that has one."""
        return [problem for room in self.rooms if (problem := room.first_problem)]

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
