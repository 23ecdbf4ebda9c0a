"""The report as people read it."""

from collections.abc import Iterable, Sequence
from typing import Final

from deploy.bench.report import FAULTS, BenchReport, Ratio, Rounds, Spread

WORKLOAD_COLUMNS: Final = (
    ("messages/s", "messages_per_s"),
    ("deliveries/s", "deliveries_per_s"),
    ("p50 ms", "p50_ms"),
    ("p95 ms", "p95_ms"),
    ("p99 ms", "p99_ms"),
    ("p99.9 ms", "p999_ms"),
    ("CPU s/1000", "cpu_s_per_1000"),
    ("other cores", "other_cores"),
)
COUNT_COLUMNS: Final = ("sent", "acknowledged", "stored", "unacknowledged", "rejected", *FAULTS)
NOTHING: Final = "-"


def table(report: BenchReport) -> str:
    """Every figure as `median [min..max]`, and every ratio with its bar."""
    parts = [
        _facts("machine", report.machine.items()),
        _facts("versions", report.versions.items()),
        _facts("durability", report.durability.items()),
        _workloads(report),
        _counts(report),
        _by_process(report, "cores_"),
        _by_process(report, "rss_mib_"),
        _limits(report),
        _ratios(report),
        "\n".join(f"note: {note}" for note in report.notes),
        "" if report.sound else "NOT SOUND: messages were lost, doubled, reordered or altered.",
    ]
    return "\n\n".join(part for part in parts if part)


def _facts(title: str, facts: Iterable[tuple[str, object]]) -> str:
    return f"{title}: " + ", ".join(f"{name} {value}" for name, value in facts)


def _workloads(report: BenchReport) -> str:
    rows = [
        [name, *(_shown(Spread.of(rounds, figure)) for _, figure in WORKLOAD_COLUMNS)]
        for name, rounds in report.workloads.items()
    ]
    return _aligned([["workload", *(title for title, _ in WORKLOAD_COLUMNS)], *rows])


def _counts(report: BenchReport) -> str:
    rows = [
        [name, *(_total(rounds, figure) for figure in COUNT_COLUMNS)]
        for name, rounds in report.workloads.items()
    ]
    return _aligned([["all rounds", *COUNT_COLUMNS], *rows])


def _by_process(report: BenchReport, prefix: str) -> str:
    """One figure of every process, for instance the cores it used."""
    processes = dict.fromkeys(
        name.removeprefix(prefix)
        for rounds in report.workloads.values()
        for figures in rounds
        for name in figures
        if name.startswith(prefix)
    )
    rows = [
        [name, *(_shown(Spread.of(rounds, prefix + process)) for process in processes)]
        for name, rounds in report.workloads.items()
    ]
    return _aligned([[prefix.rstrip("_"), *processes], *rows]) if processes else ""


def _limits(report: BenchReport) -> str:
    names = dict.fromkeys(name for figures in report.limits for name in figures)
    return _aligned(
        [["limit", ""], *([name, _shown(Spread.of(report.limits, name))] for name in names)]
    )


def _ratios(report: BenchReport) -> str:
    rows = [
        [ratio.name, _shown(spread), ratio.bar, _verdict(ratio, spread.median)]
        for ratio, spread in report.ratios()
    ]
    return _aligned([["ratio", "", "bar", ""], *rows])


def _verdict(ratio: Ratio, value: float) -> str:
    if not ratio.bar:
        return ""
    verdict = "met" if ratio.met(value) else "NOT MET"
    if ratio.aim is None:
        return verdict
    return f"{verdict}; aim {ratio.aim:g} {'met' if value >= ratio.aim else 'not met'}"


def _shown(spread: Spread | None) -> str:
    if spread is None:
        return NOTHING
    median, low, high = map(_number, (spread.median, spread.low, spread.high))
    return f"{median} [{low}..{high}]"


def _total(rounds: Rounds, figure: str) -> str:
    return _number(sum(each.get(figure) or 0 for each in rounds))


def _number(value: float) -> str:
    """Three digits of a small number, all of a large one."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
