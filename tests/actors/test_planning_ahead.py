"""What arrives while a commit is written is planned at once, and is nothing until that commit stands."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from pymongo.errors import AutoReconnect

from actors.protocol.commands import PutMember
from deploy.local.stack import LocalStack
from store.driver import Document
from tests.actors.by_hand import Owner, Stream, owner
from tests.actors.people import OWNER
from tests.actors.test_takeover import assert_verified, bodies, creation, post

pytestmark = pytest.mark.servers

Step = Callable[[], Awaitable[None]]


class Writing:
    """Does something while an owner's commits are being written: one step for each, before MongoDB has
    it and after."""

    def __init__(self, one: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before: list[Step] = []
        self.after: list[Step] = []
        self.sizes: list[int] = []
        self._append = one.worker.log.append
        monkeypatch.setattr(one.worker.log, "append", self._write)

    async def _write(self, records: list[Document], contents: list[Document]) -> None:
        self.sizes.append(len(records))
        if self.before:
            await self.before.pop(0)()
        await self._append(records, contents)
        if self.after:
            await self.after.pop(0)()


async def lose_the_connection() -> None:
    """A step in which MongoDB's answer is lost, or the commands never get there."""
    raise AutoReconnect("cut off by a test")


def arriving(one: Owner, *numbers: int) -> Step:
    """A step in which messages arrive."""

    async def arrive() -> None:
        for number in numbers:
            one.put("r1", post(number))

    return arrive


async def test_what_arrives_during_a_commit_is_the_next_one(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)
        writing.before = [arriving(one, 2, 3, 1, 2)]
        await one.do("r1", post(1))
        await one.done()
        # Those that come again, of the commit under way and of the next, are no records.
        assert writing.sizes == [1, 2]
        assert await bodies(one, "r1") == [b"text 1", b"text 2", b"text 3"]
    await assert_verified(stack, tenant)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_commit_that_fails_takes_what_was_planned_after_it_along(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)

        async def arrive_and_break() -> None:
            await arriving(one, 2, 3)()
            await lose_the_connection()

        getattr(writing, moment).append(arrive_and_break)
        (first,) = await one.do("r1", post(1))
        answers = {(reply := await one.reply()).client_id: reply.receipt for _ in range(2)}
        assert first.seq == 2
        assert {name: made and made.seq for name, made in answers.items()} == {"m2": 3, "m3": 4}
        assert await bodies(one, "r1") == [b"text 1", b"text 2", b"text 3"]
    await assert_verified(stack, tenant)


async def test_another_writer_in_the_room_undoes_the_plan_after_it_too(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as one, owner(stack, tenant, stream) as two:
        await one.do("r1", creation())
        two.lane.cursor = one.lane.seen
        writing = Writing(one, monkeypatch)

        async def intrude() -> None:
            await arriving(one, 2)()
            await two.do("r1", post(9))

        writing.before = [intrude]
        (first,) = await one.do("r1", post(1))
        second = (await one.reply()).receipt
        assert (first.seq, second and second.seq) == (3, 4)
        assert await bodies(one, "r1") == [b"text 9", b"text 1", b"text 2"]
    await assert_verified(stack, tenant)


async def test_a_lane_that_ends_takes_its_part_of_the_plan_along(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as first:
        await first.do("r1", creation())
        writing = Writing(first, monkeypatch)
        putting_down: list[asyncio.Task[None]] = []

        async def end() -> None:
            await arriving(first, 2)()
            putting_down.append(asyncio.create_task(first.worker.drop_lane(first.lane)))
            await asyncio.sleep(0)

        writing.before = [end]
        first.put("r1", post(1))
        await first.done()
        await asyncio.gather(*putting_down)
        assert await bodies(first, "r1") == [b"text 1"]
        assert writing.sizes == [1]
    async with owner(stack, tenant, stream, epoch=2) as second:
        await second.done()
        assert await bodies(second, "r1") == [b"text 1", b"text 2"]
    await assert_verified(stack, tenant)


async def test_rows_and_states_are_those_of_the_commit_and_not_of_the_plan_after_it(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)
        seen: list[tuple[int, bool, bool]] = []

        async def invite_zoe() -> None:
            one.put("r1", OWNER.asks(PutMember, user="zoe", client_id="c2"))

        async def look() -> None:
            row = await one.reader.room("r1")
            snapshot = await one.worker.mailboxes.projections.snapshot("r1")
            assert row is not None
            assert snapshot is not None
            assert row.applied == snapshot.applied
            seen.append((row.applied, "zoe" in row.members, b"zoe" in snapshot.state))

        writing.before = [invite_zoe, look]
        await one.do("r1", OWNER.asks(PutMember, user="nina"))
        await one.done()
        await look()
        assert seen == [(2, False, False), (3, True, True)]


async def test_what_is_planned_ahead_is_not_put_down(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points: list[str] = []

    def reach(point: str) -> None:
        points.append(point)
        if passing and points.count("published") == 2:
            # Too late to be planned ahead, and in the commit of what was.
            points.append("published")
            one.put("r1", post(3))

    passing: list[asyncio.Task[None]] = []
    async with owner(stack, tenant, reach=reach) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)

        async def passivate() -> None:
            await arriving(one, 2)()
            passing.append(asyncio.create_task(one.worker.passivate(0)))
            await asyncio.sleep(0)

        writing.before = [passivate]
        await one.do("r1", post(1))
        await one.done()
        await asyncio.gather(*passing)
        assert writing.sizes == [1, 2]
        assert one.metric("wardroom_commit_conflicts_total") == 0
        assert await bodies(one, "r1") == [b"text 1", b"text 2", b"text 3"]
    await assert_verified(stack, tenant)
