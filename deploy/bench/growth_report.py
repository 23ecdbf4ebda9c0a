"""What growth costs: each figure on a small and on a grown side, and how many times as much it is.

Every figure is a cost (milliseconds, MiB), so a ratio of 1 means that growth costs nothing.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.bench.report import Spread

SAME_MAX: Final = 1.5
"""A ratio up to this is called the same: medians of single requests on a busy machine differ so much
between two equal rooms."""
NOTHING: Final = "-"


def spread_of(values: Sequence[float]) -> Spread | None:
    """Median and bounds; None of nothing."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


@dataclass(slots=True)
class Pair:
    """A cost on both sides, one value a round."""

    small: list[float] = field(default_factory=list)
    grown: list[float] = field(default_factory=list)

    def add(self, small: float, grown: float) -> None:
        """Note a round."""
        self.small.append(small)
        self.grown.append(grown)

    @property
    def ratio(self) -> Spread | None:
        """Grown over small, of the values of the same round; None if there is nothing to compare."""
        ratios = [
            grown / small for small, grown in zip(self.small, self.grown, strict=True) if small > 0
        ]
        return spread_of(ratios)

    def as_json(self) -> dict[str, float | None]:
        """Medians of both sides and of the ratio, each with its bounds."""
        found: dict[str, float | None] = {}
        for name, spread in (
            ("small", spread_of(self.small)),
            ("grown", spread_of(self.grown)),
            ("ratio", self.ratio),
        ):
            found[name] = spread.median if spread else None
            found[f"{name}_min"] = spread.low if spread else None
            found[f"{name}_max"] = spread.high if spread else None
        return found


@dataclass(slots=True)
class Axis:
    """One way to grow, from what to what."""

    small: str
    grown: str
    same: dict[str, Pair] = field(default_factory=dict)
    """Costs that growth must not raise."""
    linear: dict[str, Pair] = field(default_factory=dict)
    """Costs to which every one more adds its part: shown, not judged."""
    facts: dict[str, float] = field(default_factory=dict)
    """What has no other side: times of preparing, memory at moments."""

    def add(self, figure: str, small: float, grown: float) -> None:
        """Note a round of a cost that should be the same."""
        self.same.setdefault(figure, Pair()).add(small, grown)

    def add_linear(self, figure: str, small: float, grown: float) -> None:
        """Note a round of a cost that rises."""
        self.linear.setdefault(figure, Pair()).add(small, grown)

    def as_json(self) -> dict[str, Any]:
        """The axis as an object."""
        return {
            "small": self.small,
            "grown": self.grown,
            "costs": {name: pair.as_json() for name, pair in self.same.items()},
            "rising_costs": {name: pair.as_json() for name, pair in self.linear.items()},
            "facts": self.facts,
        }


@dataclass(slots=True)
class GrowthReport:
    """Everything that was measured, by axis."""

    machine: dict[str, Any]
    sizes: dict[str, Any]
    axes: dict[str, Axis] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """Messages lost or doubled, rooms that don't verify: nothing counts then."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost and everything verifies."""
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        """The object that `wardroom bench --workload growth --json` prints."""
        return {
            "machine": self.machine,
            "sizes": self.sizes,
            "growth": {name: axis.as_json() for name, axis in self.axes.items()},
            "faults": self.faults,
        }


def growth_table(report: GrowthReport) -> str:
    """Every cost as `median [min..max]` on both sides, with the ratio and what to call it."""
    parts = [_facts("machine", report.machine.items()), _facts("sizes", report.sizes.items())]
    for name, axis in report.axes.items():
        parts.append(_costs(name, axis))
        if axis.facts:
            parts.append(_facts(f"{name}, besides", _readable(axis.facts)))
    parts += [f"NOT SOUND: {fault}" for fault in report.faults]
    return "\n\n".join(part for part in parts if part)


def _facts(title: str, found: Iterable[tuple[str, object]]) -> str:
    return f"{title}: " + ", ".join(f"{name} {value}" for name, value in found)


def _readable(found: dict[str, float]) -> list[tuple[str, object]]:
    return [(name, f"{value:,.4g}") for name, value in found.items()]


def _costs(name: str, axis: Axis) -> str:
    rows = [[name, axis.small, axis.grown, "ratio", ""]]
    for figure, pair in axis.same.items():
        rows.append([figure, *_sides(pair), _verdict(pair.ratio)])
    rows += [[figure, *_sides(pair), "rises"] for figure, pair in axis.linear.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _sides(pair: Pair) -> list[str]:
    return [_shown(each) for each in (spread_of(pair.small), spread_of(pair.grown), pair.ratio)]


def _shown(spread: Spread | None) -> str:
    if spread is None:
        return NOTHING
    return f"{spread.median:.3g} [{spread.low:.3g}..{spread.high:.3g}]"


def _verdict(ratio: Spread | None) -> str:
    if ratio is None:
        return NOTHING
    return "same" if ratio.median <= SAME_MAX else "GROWS"
