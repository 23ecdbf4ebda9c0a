"""An actor is killed at every point of the commit, in the middle of load, again and again."""

import random
import signal

import pytest

from tests.actors.running import Running
from tests.faults.load import load_on

pytestmark = [pytest.mark.servers, pytest.mark.slow]

POINTS = ("planned", "records_written", "projected", "published")
ROUNDS = 3
COMMITS_UNTIL_MAX = 60


@pytest.mark.parametrize("point", POINTS)
async def test_what_was_acknowledged_survives_a_kill_at(
    running: Running, target: str, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    chance = random.Random(point)  # noqa: S311 - the same kills in every run
    # A set epoch spares each round the wait for the end of a lease; that is for other tests.
    epoch = 1
    first = await running.start(WARDROOM_STATIC_EPOCH=str(epoch))
    async with load_on(running, target, monkeypatch) as load:
        first.process.kill()
        await first.process.wait()
        for _ in range(ROUNDS):
            epoch += 1
            fatal = f"{point}:kill:{chance.randrange(2, COMMITS_UNTIL_MAX)}"
            doomed = await running.launch(
                WARDROOM_STATIC_EPOCH=str(epoch), WARDROOM_FAILPOINTS=fatal
            )
            assert await doomed.process.wait() == -signal.SIGKILL
        await running.start(WARDROOM_STATIC_EPOCH=str(epoch + 1))
        await load.progress(200)
        await running.child.stop()
        await running.start(WARDROOM_STATIC_EPOCH=str(epoch + 2))
