"""Replays: from where a client left off to the live stream, at the pace it reads."""

import asyncio
from typing import Any

import pytest

from gateway import feed as feed_module
from gateway import replay as replay_module
from gateway.replay import Replayer
from tests.gateway.following import ROOM, Socket, setting


async def test_a_replay_brings_everything_after_the_given_seq_then_says_that_it_has() -> None:
    async with setting() as it:
        seqs = [it.say(f"m{n}") for n in range(600)]
        socket = Socket("usr_bob")

        await it.follow(socket, after=1)

        assert socket.seqs == seqs
        assert socket.frames[-1] == {"type": "caught_up", "room": ROOM, "head": 601}


async def test_without_a_seq_only_what_comes_is_sent() -> None:
    async with setting() as it:
        it.say("before")
        socket = Socket("usr_bob")

        await it.follow(socket)
        it.say("after")

        assert socket.frames[0] == {"type": "caught_up", "room": ROOM, "head": 2}
        assert socket.seqs == [3]


async def test_a_client_that_has_everything_costs_no_page() -> None:
    async with setting() as it:
        first, second = Socket("usr_bob"), Socket("usr_bob")
        await it.follow(first)
        reads = it.world.reads

        await it.follow(second, after=1)

        assert it.world.reads == reads
        assert second.frames == [{"type": "caught_up", "room": ROOM, "head": 1}]


async def test_a_seq_from_the_future_is_answered_with_a_gap() -> None:
    async with setting() as it:
        socket = Socket("usr_bob")

        await it.follow(socket, after=99)
        it.say("next")

        assert socket.frames[:2] == [
            {"type": "gap", "room": ROOM, "earliest": 1, "head": 1},
            {"type": "caught_up", "room": ROOM, "head": 1},
        ]
        assert socket.seqs == [2]


async def test_a_client_that_is_ahead_of_this_gateway_misses_and_repeats_nothing() -> None:
    async with setting() as it:
        early = Socket("usr_bob")
        await it.follow(early)
        late_event = it.lose("seen at another gateway")
        socket = Socket("usr_bob")

        await it.follow(socket, after=late_event)
        it.room.announce(late_event)
        it.say("next")

        assert socket.seqs == [late_event + 1]
        assert early.seqs == [late_event, late_event + 1]


async def test_what_is_said_during_a_replay_comes_once_and_in_order() -> None:
    async with setting() as it:
        for n in range(300):
            it.say(f"m{n}")
        socket = Socket("usr_bob")
        feed = await it.join(socket)
        socket.drained.clear()
        running = asyncio.create_task(
            it.replayer.run(feed, socket.follower, 0, socket.wait_drained)
        )
        await asyncio.sleep(0)

        for n in range(300, 350):
            it.say(f"m{n}")
        socket.drained.set()
        await running
        it.say("live")

        assert socket.seqs == list(range(1, 353))


async def test_a_replay_waits_for_a_reader_that_is_slow_and_others_do_not() -> None:
    async with setting() as it:
        for n in range(600):
            it.say(f"m{n}")
        slow, fast = Socket("usr_bob"), Socket("usr_bob")
        feed = await it.join(slow)
        slow.drained.clear()
        running = asyncio.create_task(it.replayer.run(feed, slow.follower, 0, slow.wait_drained))

        await it.follow(fast, after=0)

        assert fast.seqs == list(range(1, 602))
        assert slow.seqs == []
        slow.drained.set()
        await running
        assert slow.seqs == fast.seqs


async def test_a_long_page_is_written_in_pieces() -> None:
    async with setting() as it:
        for n in range(40):
            it.say(f"{n}" + "x" * 16_000)
        socket = Socket("usr_bob")

        await it.follow(socket, after=1)

        assert socket.writes > 2
        assert socket.seqs == list(range(2, 42))


async def test_a_room_that_never_rests_does_not_keep_a_replay_from_going_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with setting() as it:
        for n in range(10):
            it.say(f"m{n}")
        socket = Socket("usr_bob")
        feed = await it.join(socket)
        page = feed.history.page
        pages = 0

        async def page_while_people_talk(*args: Any) -> Any:
            nonlocal pages
            pages += 1
            found = await page(*args)
            it.say(f"during page {pages}")
            return found

        monkeypatch.setattr(feed.history, "page", page_while_people_talk)
        async with asyncio.timeout(5):
            await it.replayer.run(feed, socket.follower, 0, socket.wait_drained)

        assert pages == 1
        assert socket.seqs == list(range(1, 13))


async def test_what_a_replay_finds_in_the_store_reaches_live_followers_too() -> None:
    async with setting() as it:
        live, replaying = Socket("usr_ana"), Socket("usr_bob")
        await it.follow(live)
        lost = it.lose("lost")

        await it.follow(replaying, after=0)

        assert live.seqs == [lost]
        assert replaying.seqs == [1, lost]


async def test_what_no_longer_fits_the_tail_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "TAIL_BYTES_MAX", 600)
    async with setting() as it:
        socket = Socket("usr_bob")
        feed = await it.join(socket)
        socket.drained.clear()
        it.say("before")
        running = asyncio.create_task(
            it.replayer.run(feed, socket.follower, 0, socket.wait_drained)
        )
        await asyncio.sleep(0)
        for n in range(50):
            it.say(f"m{n}")
        socket.drained.set()
        await running

        assert socket.seqs == list(range(1, 53))


async def test_a_member_removed_during_its_replay_stops_at_the_removal() -> None:
    async with setting() as it:
        for n in range(300):
            it.say(f"m{n}")
        bob = Socket("usr_bob")
        feed = await it.join(bob)
        bob.drained.clear()
        running = asyncio.create_task(it.replayer.run(feed, bob.follower, 0, bob.wait_drained))
        await asyncio.sleep(0)

        removal = it.do(type="remove_member", user="usr_bob", actor="usr_ana")
        it.say("after")
        bob.drained.set()
        await running

        assert bob.seqs == list(range(1, removal + 1))
        assert bob.evicted == 1
        assert "caught_up" not in {frame["type"] for frame in bob.frames}


async def test_replays_share_a_limited_right_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "REPLAY_READS_AT_ONCE", 2)
    async with setting() as it:
        for n in range(20):
            it.say(f"m{n}")
        reading = 0
        most = 0
        sockets = [Socket("usr_bob") for _ in range(8)]
        feed = await it.join(sockets[0])
        page = feed.history.page

        async def counted(*args: Any) -> Any:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            try:
                return await page(*args)
            finally:
                reading -= 1

        monkeypatch.setattr(feed.history, "page", counted)
        replayer = Replayer(it.metrics)
        for socket in sockets[1:]:
            await it.join(socket)
        await asyncio.gather(*(replayer.run(feed, s.follower, 0, s.wait_drained) for s in sockets))

        assert most == 2
        assert all(socket.seqs == list(range(1, 22)) for socket in sockets)
