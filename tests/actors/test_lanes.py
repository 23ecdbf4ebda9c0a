"""Lanes that are put down, whatever keeps their tasks from ending."""

import asyncio

import pytest

from actors.protocol.limits import SHARDS
from actors.runtime.lanes import Lanes
from actors.runtime.reader import LaneReader
from actors.runtime.tasks import end
from deploy.local.stack import LocalStack
from store.rows import TenantRow
from tests.actors.by_hand import LANES, owner
from tests.support.eventually import PATIENCE_S, eventually


async def test_a_task_that_forgets_a_cancellation_is_ended_all_the_same() -> None:
    forgotten = 0

    async def forgetful() -> None:
        nonlocal forgotten
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                forgotten += 1
                if forgotten > 1:
                    raise

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        await end([task])

    assert (task.cancelled(), forgotten) == (True, 2)


@pytest.mark.servers
async def test_a_lane_is_put_down_though_its_closing_forgets_that_it_was_cancelled(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = asyncio.Event()

    async def close(reader: LaneReader) -> None:
        # As the server's answer does when it comes together with the cancellation.
        if not closing.is_set():
            closing.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return

    async with owner(stack, tenant) as one:
        lanes = Lanes(one.services, lambda _: one.worker, lambda *_: None)
        await lanes.set_tenants([TenantRow(tenant, "A tenant", LANES, 1)])
        await lanes.set_held(dict.fromkeys(range(SHARDS), 1))

        async def read() -> bool | None:
            return lanes.settled or None

        await eventually(read, "the lane is read")
        monkeypatch.setattr(LaneReader, "close", close)
        monkeypatch.setattr(LaneReader, "check_silence", lambda reader: reader._break("a test"))
        async with asyncio.timeout(PATIENCE_S):
            await closing.wait()
            await lanes.set_held({})

        assert lanes.settled
