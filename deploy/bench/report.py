"""The report of a measurement: medians of the rounds, and ratios to the limits of the same round."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Figures = Mapping[str, float | None]
"""Figures of one round by name; None where there was nothing to measure."""
Rounds = Sequence[Figures]

FAULTS: Final = ("lost", "doubled", "reordered", "altered")


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Rounds, name: str) -> "Spread | None":
        """The spread of a figure over the rounds that have it; None if no round has."""
        values = [value for figures in rounds if (value := figures.get(name)) is not None]
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A workload's figure over a limit's, and what it should be; no bar means it is only shown."""

    name: str
    workload: str
    figure: str
    limit: str
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None

    def met(self, value: float) -> bool:
        """Whether a value reaches the bar."""
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )

    @property
    def bar(self) -> str:
        """The bar as people read it; empty without one."""
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"


RATIOS: Final = (
    Ratio(
        "w1_k16_to_insert_many", "w1_k16", "messages_per_s", "insert_many_512_per_s", 0.2, aim=0.3
    ),
    Ratio("w1_k16_to_pair", "w1_k16", "messages_per_s", "pair_512_per_s", 0.4, aim=0.6),
    Ratio("w1_k1_to_insert_one", "w1_k1", "messages_per_s", "insert_one_journaled_per_s", 4.0),
    Ratio("w2_p50_to_insert_one", "w2_200", "p50_ms", "insert_one_journaled_ms", at_most=4.0),
    Ratio("w2_p99_to_insert_one", "w2_200", "p99_ms", "insert_one_journaled_ms", at_most=15.0),
    Ratio("w1_k16_to_jetstream_publish", "w1_k16", "messages_per_s", "jetstream_publish_per_s"),
    Ratio("w1_k16_to_fanout", "w1_k16", "deliveries_per_s", "fanout_per_s"),
)


@dataclass(slots=True)
class BenchReport:
    """Everything that was measured. `workloads` and `limits` have one entry a round."""

    machine: dict[str, Any]
    versions: dict[str, str]
    durability: dict[str, str]
    workloads: dict[str, list[Figures]] = field(default_factory=dict)
    limits: list[dict[str, float]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What went wrong in a round without losing anything: refusals, closed sockets."""

    @property
    def sound(self) -> bool:
        """Whether no message was lost, doubled, reordered or altered in any round."""
        return not any(
            figures.get(name)
            for rounds in self.workloads.values()
            for figures in rounds
            for name in FAULTS
        )

    def ratios(self) -> list[tuple[Ratio, Spread]]:
        """Every ratio whose workload was measured."""
        found = []
        for ratio in RATIOS:
            values = [
                {ratio.name: value / below}
                for load, limit in zip(
                    self.workloads.get(ratio.workload, []), self.limits, strict=False
                )
                if (value := load[ratio.figure]) is not None and (below := limit[ratio.limit])
            ]
            if spread := Spread.of(values, ratio.name):
                found.append((ratio, spread))
        return found

    def as_json(self) -> dict[str, Any]:
        """The object that `wardroom bench --json` prints."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "durability": self.durability,
            "workloads": {name: _flat(rounds) for name, rounds in self.workloads.items()},
            "limits": _flat(self.limits),
            "ratios": _named((ratio.name, spread) for ratio, spread in self.ratios()),
            "notes": self.notes,
            "peers": {},
        }


def _flat(rounds: Rounds) -> dict[str, float | None]:
    """The median of every figure by its name, with `_min` and `_max` beside it."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    return _named((name, Spread.of(rounds, name)) for name in names)


def _named(spreads: Iterable[tuple[str, Spread | None]]) -> dict[str, float | None]:
    flat: dict[str, float | None] = {}
    for name, spread in spreads:
        flat[name] = spread.median if spread else None
        flat[f"{name}_min"] = spread.low if spread else None
        flat[f"{name}_max"] = spread.high if spread else None
    return flat
