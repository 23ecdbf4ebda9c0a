"""A commit is told while the one after it is written: as early as can be, in order, and for certain."""

import asyncio
import time

import pytest
from pymongo.errors import AutoReconnect

from actors.runtime import mailboxes
from actors.runtime.lane import Inbound, Lane, source_number
from actors.runtime.mailbox import Mailbox
from deploy.local.stack import LocalStack
from store.chain import Cursor
from store.projections import Projections
from tests.actors.by_hand import GENERATION, LANE, Owner, owner
from tests.actors.test_planning_ahead import Writing, arriving, lose_the_connection
from tests.actors.test_takeover import assert_verified, bodies, creation, post, seen

pytestmark = pytest.mark.servers


async def answered(one: Owner) -> str:
    """The client id of the next answer, which must be a receipt."""
    reply = await one.reply()
    assert reply.receipt is not None, reply
    return reply.client_id


async def test_a_commit_is_told_while_the_next_one_is_written(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)
        may_write = asyncio.Event()

        async def wait() -> None:
            await may_write.wait()

        writing.before = [arriving(one, 2), wait]
        one.put("r1", post(1))
        assert await answered(one) == "m1"
        may_write.set()
        assert await answered(one) == "m2"
        await one.done()
        assert writing.sizes == [1, 1]


async def test_a_commit_is_told_before_a_room_of_the_next_one_is_loaded(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)
        may_load = asyncio.Event()
        load = one.worker.mailboxes._load

        async def load_late(room: str) -> Mailbox | mailboxes.RoomUnreadable:
            await may_load.wait()
            return await load(room)

        async def another_room() -> None:
            monkeypatch.setattr(one.worker.mailboxes, "_load", load_late)
            one.put("r2", creation("Another"))

        writing.before = [another_room]
        one.put("r1", post(1))
        assert await answered(one) == "m1"
        may_load.set()
        assert await answered(one) == "create"


async def test_a_commit_is_told_once_though_the_next_one_fails(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)
        writing.before = [arriving(one, 2), lose_the_connection]
        one.put("r1", post(1))
        assert [await answered(one), await answered(one)] == ["m1", "m2"]
        await one.done()
        # Were anything told twice, its answer would stand before this one.
        one.put("r1", post(3))
        assert await answered(one) == "m3"
    await assert_verified(stack, tenant)


async def test_a_lane_that_is_put_down_between_two_commits_is_noted_with_all_that_was_committed(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving: list[asyncio.Task[None]] = []
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        writing = Writing(one, monkeypatch)
        other = Lane(tenant, LANE + 1, one.lane.lanes, one.lane.epoch, Cursor(), lambda _: None)

        async def put_down() -> None:
            # What another lane brings would let the telling wait for the next commit.
            raw = post(2).model_dump(mode="json")
            src = source_number(GENERATION, 1)
            one.worker.enqueue(Inbound(other, src, ["r1"], "", [raw], time.monotonic()))
            leaving.append(asyncio.create_task(one.worker.drop_lane(one.lane)))
            await asyncio.sleep(0)

        writing.before = [put_down]
        one.put("r1", post(1))
        assert await answered(one) == "m1"
        await asyncio.gather(*leaving)
        assert await seen(one) == source_number(GENERATION, len(one.stream.messages))
        await one.done()
        assert await bodies(one, "r1") == [b"text 1", b"text 2"]


async def test_a_snapshot_that_can_not_be_saved_costs_nobody_an_answer(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise AutoReconnect("cut off by a test")

    monkeypatch.setattr(mailboxes, "SNAPSHOT_EVERY_RECORDS", 2)
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        with monkeypatch.context() as patched:
            patched.setattr(Projections, "save_state", lost)
            await one.do("r1", post(1), post(2), post(3))
            await one.done()
        assert one.metric("wardroom_commit_retries_total") == 0
        await one.do("r1", post(4))
        await one.done()
        snapshot = await one.worker.mailboxes.projections.snapshot("r1")
        assert snapshot is not None
        assert snapshot.applied == 5
