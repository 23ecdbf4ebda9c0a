"""Two processes that both believe to own a room: one line, whoever writes."""

import signal

import pytest

from tests.actors.running import Running
from tests.faults.load import load_on, until_metric

pytestmark = [pytest.mark.servers, pytest.mark.slow]

CONFLICTS = "wardroom_commit_conflicts_total"


async def test_two_owners_of_the_same_epoch_duel_and_make_one_line(
    running: Running, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    duellists = [await running.start(WARDROOM_STATIC_EPOCH="5") for _ in range(2)]
    async with load_on(running, target, monkeypatch) as load:
        for duellist in duellists:
            await until_metric(duellist, CONFLICTS, 10)
        await load.progress(1_000)


async def test_of_two_owners_with_different_epochs_the_later_wins_and_makes_one_line(
    running: Running, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.start(WARDROOM_STATIC_EPOCH="5")
    async with load_on(running, target, monkeypatch) as load:
        for epoch in (6, 7, 8):
            earlier = running.child
            await running.start(WARDROOM_STATIC_EPOCH=str(epoch))
            await until_metric(earlier, CONFLICTS, 1)
            await load.progress(300)


async def test_a_worker_that_stood_still_beyond_its_lease_and_goes_on_writes_nothing(
    running: Running, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It stands still with a commit decided and not written, and wakes up in the middle of it.
    zombie = await running.start(WARDROOM_FAILPOINTS="planned:stop:120")
    async with load_on(running, target, monkeypatch) as load:
        heir = await running.start()
        await load.progress(300)
        await until_metric(heir, "wardroom_records_committed_total", 1)
        before = len(zombie.process.last_lines())
        zombie.process.kill(signal.SIGCONT)
        await until_metric(zombie, CONFLICTS, 1)
        await load.progress(300)
        woken = zombie.process.last_lines()[before:]
        assert not any('"shards":64' in line for line in woken), woken
