"""The report: medians of rounds, ratios within a round, and verdicts."""

import json
from typing import Any

import pytest

from deploy.bench.report import RATIOS, BenchReport, Figures
from deploy.bench.table import table

LIMITS = {
    "insert_many_512_per_s": 40_000.0,
    "pair_512_per_s": 25_000.0,
    "insert_one_journaled_per_s": 1_000.0,
    "insert_one_journaled_ms": 1.0,
    "jetstream_publish_per_s": 4_000.0,
    "fanout_per_s": 300_000.0,
    "record_cpu_us": 10.0,
}


def load(**figures: float | None) -> Figures:
    """One round of a workload in which nothing went wrong."""
    plain: dict[str, float | None] = {
        "messages_per_s": 10_000.0,
        "deliveries_per_s": 50_000.0,
        "p50_ms": 2.0,
        "p99_ms": 8.0,
        "lost": 0,
        "doubled": 0,
    }
    return {**plain, **figures}


def report(**workloads: list[Figures]) -> BenchReport:
    """A report with one set of limits a round."""
    rounds = max(map(len, workloads.values()))
    return BenchReport(
        {"cpu": "x", "cores": 2}, {"mongod": "6.0.5"}, {"mongod": "w: majority, j: true"},
        workloads=dict(workloads), limits=[dict(LIMITS) for _ in range(rounds)],
    )  # fmt: skip


def ratios(measured: BenchReport) -> dict[str, float]:
    return {ratio.name: spread.median for ratio, spread in measured.ratios()}


def test_a_figure_is_the_median_of_the_rounds_with_least_and_greatest_beside_it() -> None:
    rounds = [load(messages_per_s=value) for value in (9_000.0, 30_000.0, 10_000.0)]
    printed = report(w1_k16=rounds).as_json()["workloads"]["w1_k16"]
    assert printed["messages_per_s"] == 10_000.0
    assert printed["messages_per_s_min"] == 9_000.0
    assert printed["messages_per_s_max"] == 30_000.0


def test_a_figure_nobody_measured_is_null_and_not_zero() -> None:
    printed = report(w2_200=[load(p50_ms=None)]).as_json()["workloads"]["w2_200"]
    assert printed["p50_ms"] is printed["p50_ms_min"] is None


def test_a_ratio_is_taken_within_its_round() -> None:
    measured = report(w1_k16=[load(messages_per_s=8_000.0), load(messages_per_s=20_000.0)])
    measured.limits[0]["insert_many_512_per_s"] = 16_000.0
    found = measured.as_json()["ratios"]
    assert found["w1_k16_to_insert_many_min"] == found["w1_k16_to_insert_many_max"] == 0.5


def test_every_bar_is_compared_in_its_own_direction() -> None:
    measured = report(w1_k1=[load()], w1_k16=[load()], w2_200=[load()])
    assert ratios(measured) == pytest.approx(
        {
            "w1_k16_to_insert_many": 0.25,
            "w1_k16_to_pair": 0.4,
            "w1_k1_to_insert_one": 10.0,
            "w2_p50_to_insert_one": 2.0,
            "w2_p99_to_insert_one": 8.0,
            "w1_k16_to_jetstream_publish": 2.5,
            "w1_k16_to_fanout": 1 / 6,
        }
    )
    assert {ratio.name: (ratio.at_least, ratio.at_most, ratio.aim) for ratio in RATIOS[:5]} == {
        "w1_k16_to_insert_many": (0.2, None, 0.3),
        "w1_k16_to_pair": (0.4, None, 0.6),
        "w1_k1_to_insert_one": (4.0, None, None),
        "w2_p50_to_insert_one": (None, 4.0, None),
        "w2_p99_to_insert_one": (None, 15.0, None),
    }


def test_the_table_says_of_every_bar_whether_it_is_met() -> None:
    measured = report(
        w1_k1=[load(messages_per_s=3_999.0)], w1_k16=[load()], w2_200=[load(p99_ms=15.1)]
    )
    lines = {line.split()[0]: line for line in table(measured).splitlines() if line}
    assert lines["w1_k16_to_insert_many"].endswith(">= 0.2  met; aim 0.3 not met")
    assert lines["w1_k1_to_insert_one"].endswith(">= 4    NOT MET")
    assert lines["w2_p50_to_insert_one"].endswith("<= 4    met")
    assert lines["w2_p99_to_insert_one"].endswith("<= 15   NOT MET")
    assert "met" not in lines["w1_k16_to_fanout"].lower()


def test_the_table_prints_the_settings_that_durability_rests_on() -> None:
    assert "w: majority, j: true" in table(report(w1_k1=[load()]))


@pytest.mark.parametrize("fault", ["lost", "doubled", "reordered", "altered"])
def test_one_bad_round_makes_the_whole_report_unsound(fault: str) -> None:
    spoilt: dict[str, Any] = {fault: 1}
    measured = report(w1_k1=[load(), load(**spoilt), load()])
    assert not measured.sound
    assert "NOT SOUND" in table(measured)
    assert measured.as_json()["workloads"]["w1_k1"][f"{fault}_max"] == 1


def test_a_clean_report_is_sound_even_when_a_bar_is_missed() -> None:
    measured = report(w1_k1=[load(messages_per_s=1.0)])
    assert measured.sound
    assert "NOT SOUND" not in table(measured)


def test_the_object_has_the_parts_that_readers_rely_on_and_is_json() -> None:
    printed = report(w1_k1=[load()]).as_json()
    json.dumps(printed, allow_nan=False)
    assert {"machine", "versions", "durability", "workloads", "limits", "ratios", "peers"} <= {
        *printed
    }
    assert printed["limits"]["fanout_per_s"] == 300_000.0
