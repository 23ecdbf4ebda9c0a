"""Sockets under pressure: too much at once, no answer, no reader, an end."""

import asyncio

import httpx
import pytest

from actors.protocol.errors import ErrorCode
from actors.protocol.limits import FRAME_BYTES_MAX
from gateway import sockets as sockets_module
from tests.gateway.serving import ROOM, served
from tests.gateway.talking import post, settled_reads
from tests.gateway.world import eventually


async def test_a_socket_with_too_many_posts_under_way_is_read_again_when_they_are_settled() -> None:
    async with served(inflight_posts_max=4) as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.held = []
        for number in range(4):
            await post(client, f"m{number}", f"c-{number}")
        await eventually(lambda: len(it.world.held or []) == 4)
        await client.send(type="ping", n="waits")
        for number in range(4, 8):
            await post(client, f"m{number}", f"c-{number}")

        reader = asyncio.create_task(client.get_until("pong"))
        await settled_reads(it)
        assert not reader.done()
        assert len(it.world.held or []) == 4
        it.world.release()
        frames = await reader

        assert [frame["type"] for frame in frames] == ["entry"] * 4 + ["pong"]
        assert [(await client.get())["body"] for _ in range(4)] == ["m4", "m5", "m6", "m7"]


async def test_a_post_without_any_answer_is_found_out_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets_module, "SWEEP_S", 0.01)
    monkeypatch.setattr("gateway.session.COMMAND_TIMEOUT_S", 0.05)
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.announcing = False
        await post(client, "committed, but nobody said so", "c-1")
        committed = await client.get()
        it.world.held = []
        await post(client, "lost", "c-2")
        lost = await client.get()

        assert (committed["type"], committed["client_id"]) == ("entry", "c-1")
        assert (lost["type"], lost["client_id"]) == ("rejected", "c-2")
        assert lost["code"] == ErrorCode.OUTCOME_UNKNOWN


async def test_a_peer_that_does_not_read_is_closed_and_others_notice_nothing() -> None:
    async with (
        served(outbound_bytes_max=512 * 1024) as it,
        it.signed_in("bob") as slow,
        it.signed_in("ana") as fast,
    ):
        await slow.follow()
        await fast.follow()
        slow.connection.transport.pause_reading()

        sent = 0
        while it.metrics.slow_closes._value.get() == 0:
            await post(fast, "x" * 16_000, f"c-{sent}")
            assert (await fast.get())["client_id"] == f"c-{sent}"
            sent += 1
            assert sent < 5_000

        slow.connection.transport.resume_reading()
        assert await slow.closed() == 4430
        seqs = [frame["seq"] for frame in slow.seen if frame["type"] == "entry"]
        assert seqs == list(range(2, 2 + len(seqs)))


async def test_a_socket_that_is_gone_leaves_nothing_behind() -> None:
    async with served() as it:
        async with it.signed_in("ana") as client:
            await client.follow()
            assert it.metrics.sockets._value.get() == 1
            client.connection.transport.abort()
        await eventually(lambda: it.metrics.sockets._value.get() == 0)
        await eventually(lambda: not it.world.at("acme", ROOM).handlers)

        assert it.metrics.feeds._value.get() == 0


async def test_a_stopping_gateway_tells_its_sockets_to_resume_elsewhere() -> None:
    async with served() as it, it.signed_in("ana") as client:
        stopping = asyncio.create_task(it.server.shutdown())

        assert await client.closed() == 1012
        await stopping


async def test_a_message_of_the_greatest_size_is_taken_and_one_byte_more_is_not() -> None:
    async with served() as it, it.signed_in("ana") as client:
        ping = b'{"type":"ping"' + b" " * (FRAME_BYTES_MAX - 15) + b"}"
        await client.send_raw(ping.decode())
        assert (await client.get())["type"] == "pong"

        await client.send_raw(ping.decode() + " ")

        assert await client.closed() == 4413


async def test_the_socket_needs_the_upgrade() -> None:
    async with served() as it:
        answer = await it.http.get("/ws/v1")

        assert answer.status_code == 404
        assert isinstance(answer, httpx.Response)
