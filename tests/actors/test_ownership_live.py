"""Claims on a real table: taken, given, freed and raised; on servers of their own, where no process of
ours takes part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from actors.protocol.limits import SHARDS
from actors.runtime import ownership
from actors.runtime.jetstream import Bus
from actors.runtime.ownership import Ownership
from deploy.local.stack import LocalStack
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers


@dataclass
class Worker:
    """A worker that only claims, and all that it was told to hold."""

    name: str
    ownership: Ownership | None = None
    told: list[dict[int, int]] = field(default_factory=list)

    @property
    def held(self) -> dict[int, int]:
        """Shards and epochs of now."""
        return self.told[-1] if self.told else {}

    async def on_held(self, held: dict[int, int]) -> None:
        """Take what is held."""
        self.told.append(dict(held))

    @property
    def claims(self) -> Ownership:
        """The claims themselves."""
        assert self.ownership is not None
        return self.ownership


@pytest.fixture(scope="module")
async def alone(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    async with LocalStack(tmp_path_factory.mktemp("ownership")) as stack:
        yield stack


@asynccontextmanager
async def at_work(stack: LocalStack, *names: str) -> AsyncIterator[list[Worker]]:
    """Workers that claim, each on a connection of its own; all is freed at the end."""
    async with AsyncExitStack() as closing:
        workers = []
        for name in names:
            bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("actors"), name)
            closing.push_async_callback(bus.close)
            worker = Worker(name)
            worker.ownership = Ownership(bus, name, worker.on_held)
            workers.append(worker)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(worker.claims.run()) for worker in workers]
            yield workers
            for task in running:
                task.cancel()
        for worker in workers:
            await worker.claims.release()


async def spread(*workers: Worker) -> None:
    """Every shard is held by one of these, and each holds some."""

    async def all_held() -> bool | None:
        held = [shard for worker in workers for shard in worker.held]
        everyone = all(worker.held for worker in workers)
        return True if everyone and sorted(held) == list(range(SHARDS)) else None

    await eventually(all_held, "every shard held once")


async def test_one_alone_takes_all_and_shares_with_a_newcomer(alone: LocalStack) -> None:
    async with at_work(alone, "one", "two") as (one, two):
        await spread(one, two)
        assert max(len(one.held), len(two.held)) < SHARDS
    async with at_work(alone, "three") as (three,):
        await spread(three)


async def test_what_is_held_anew_has_a_later_epoch(alone: LocalStack) -> None:
    async with at_work(alone, "first") as (first,):
        await spread(first)
        before = dict(first.held)
    async with at_work(alone, "second") as (second,):
        await spread(second)
        assert all(second.held[shard] > before[shard] for shard in range(SHARDS))


async def raised(worker: Worker, shard: int, seen: int) -> None:
    """The worker holds the shard at an epoch above one that was seen."""

    async def above() -> bool | None:
        return True if worker.held.get(shard, 0) > seen else None

    await eventually(above, f"shard {shard} above epoch {seen}")


async def test_whoever_meets_a_later_epoch_in_its_own_shard_claims_it_again_above(
    alone: LocalStack,
) -> None:
    async with at_work(alone, "left", "right") as (left, right):
        await spread(left, right)
        # The table was lost with its epochs, what was written under them was not. First one finds out,
        # then the other, about an epoch that the new table has passed by then.
        for worker, seen in ((left, 5_000), (right, 4_000)):
            shard = min(worker.held)
            worker.claims.raise_epoch(shard, seen)
            await raised(worker, shard, seen)
        await spread(left, right)


async def test_a_later_epoch_elsewhere_and_an_earlier_one_here_change_nothing(
    alone: LocalStack,
) -> None:
    async with at_work(alone, "up", "down") as (up, down):
        await spread(up, down)
        before, marker = {**up.held, **down.held}, max(up.held)
        up.claims.raise_epoch(min(down.held), 100_000)
        up.claims.raise_epoch(min(up.held), before[min(up.held)] - 1)
        up.claims.raise_epoch(marker, 50_000)
        await raised(up, marker, 50_000)
        after = {**up.held, **down.held}
        assert {shard for shard in range(SHARDS) if before[shard] != after[shard]} == {marker}


async def test_who_cannot_put_down_what_it_gives_away_is_silent_until_others_have_it(
    alone: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "CLAIM_S_MAX", 0.5)
    freed = asyncio.Event()
    async with at_work(alone, "stuck") as [stuck]:
        await spread(stuck)

        async def never(_: dict[int, int]) -> None:
            await freed.wait()

        monkeypatch.setattr(stuck.claims, "_on_held", never)
        async with at_work(alone, "newcomer") as [newcomer]:
            await spread(newcomer)
        freed.set()
