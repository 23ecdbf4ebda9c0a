"""The whole measurement of growth, on a system that grows a little."""

from pathlib import Path
from typing import Final

import pytest

from deploy.bench import growth_long_room, growth_rooms, growth_system, growth_tenants
from deploy.bench.growth import GrowthSizes, measure_growth

LITTLE: Final = GrowthSizes(
    entries_small=100,
    entries_large=2_000,
    rooms_active=5,
    rooms=40,
    tenants=4,
    rounds=1,
    load_seconds=0.5,
    idle_seconds=0.5,
)
SHORTER: Final = (
    (growth_long_room, "RESTARTS", 1),
    (growth_long_room, "POSTS", 4),
    (growth_long_room, "READS", 3),
    (growth_long_room, "SUBSCRIPTIONS", 3),
    (growth_rooms, "WARMUP_S", 0.2),
    (growth_rooms, "TURNS", ("second",)),
    (growth_system, "ROOM_IDLE_S", 2.0),
    (growth_tenants, "POSTS", 4),
    (growth_tenants, "SETTLE_S", 0.0),
)
"""What makes a measurement good, and a test slow."""


@pytest.mark.slow
async def test_growth_is_measured_in_every_direction_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, little in SHORTER:
        monkeypatch.setattr(module, name, little)
    told: list[str] = []
    report = await measure_growth(tmp_path, LITTLE, told.append)
    assert report.faults == []
    assert list(report.axes) == ["long_room", "many_rooms", "many_tenants"]
    long_room, many_rooms, many_tenants = report.axes.values()
    assert {"cold_post_ms", "warm_post_ms", "subscribe_ms", "last_page_ms"} <= long_room.same.keys()
    assert {"post_p50_ms", "ms_per_message_at_full_speed"} <= many_rooms.same.keys()
    assert many_tenants.same.keys() == {"warm_post_ms"}
    rising = {"create_ms", "first_commit_ms", "idle_actors_ms_per_s", "actors_mib", "nats_mib"}
    assert rising <= many_tenants.linear.keys()
    for axis in report.axes.values():
        for figure, pair in axis.same.items():
            assert [len(pair.small), len(pair.grown)] == [1, 1], figure
            assert min(*pair.small, *pair.grown) > 0, figure
    assert many_rooms.facts["rooms_in_memory_second"] >= LITTLE.rooms
    assert told[-1].startswith("verifying")
