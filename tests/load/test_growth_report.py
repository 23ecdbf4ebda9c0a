"""What is said of growth follows from the rounds, and from nothing else."""

import json

import pytest

from deploy.bench.growth_report import SAME_MAX, Axis, GrowthReport, Pair, growth_table


def report(*axes: tuple[str, Axis], faults: tuple[str, ...] = ()) -> GrowthReport:
    """A report on a machine that does not matter."""
    return GrowthReport({"cores": 2}, {"rooms": 10}, dict(axes), list(faults))


def test_a_ratio_is_taken_within_a_round() -> None:
    # The second round met a machine ten times as busy; what growth costs is the same in both.
    pair = Pair([1.0, 10.0, 2.0], [1.2, 12.0, 2.0])
    assert pair.ratio is not None
    assert pair.ratio.median == pytest.approx(1.2)
    assert (pair.ratio.low, pair.ratio.high) == pytest.approx((1.0, 1.2))


def test_what_took_no_measurable_time_has_no_ratio() -> None:
    assert Pair([0.0], [3.0]).ratio is None
    assert Pair().as_json()["ratio"] is None


@pytest.mark.parametrize(("grown", "word"), [(SAME_MAX, "same"), (SAME_MAX + 0.01, "GROWS")])
def test_the_table_calls_by_its_name_what_grows(grown: float, word: str) -> None:
    axis = Axis("small", "grown")
    axis.add("post_ms", 1.0, grown)
    axis.add_linear("memory_mib", 1.0, 50.0)
    lines = growth_table(report(("rooms", axis))).splitlines()
    (post,) = (line for line in lines if line.startswith("post_ms"))
    (memory,) = (line for line in lines if line.startswith("memory_mib"))
    assert post.split()[-1] == word
    assert memory.split()[-1] == "rises"


def test_the_json_form_has_both_sides_and_the_ratio_of_every_figure() -> None:
    axis = Axis("1 room", "10 rooms", facts={"seeded_s": 1.5})
    axis.add("post_ms", 2.0, 3.0)
    axis.add("post_ms", 2.0, 2.0)
    found = json.loads(json.dumps(report(("rooms", axis)).as_json()))
    post = found["growth"]["rooms"]["costs"]["post_ms"]
    assert (post["small"], post["grown"], post["ratio"]) == (2.0, 2.5, 1.25)
    assert (post["ratio_min"], post["ratio_max"]) == (1.0, 1.5)
    assert found["growth"]["rooms"]["facts"] == {"seeded_s": 1.5}
    assert found["faults"] == []


def test_a_measurement_in_which_a_message_was_lost_is_not_sound() -> None:
    assert report().sound
    unsound = report(faults=("acme: 1 lost",))
    assert not unsound.sound
    assert "NOT SOUND: acme: 1 lost" in growth_table(unsound)
