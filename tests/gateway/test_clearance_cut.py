"""A room's clearance is raised: who is below is cut off in that moment, whatever he was doing."""

import asyncio
import random

import pytest

from actors.protocol.errors import ErrorCode
from actors.protocol.limits import MESSAGE_BYTES_MAX
from gateway.limits import OUTBOUND_HIGH_BYTES
from tests.gateway.asking import ask
from tests.gateway.following import Socket, setting
from tests.gateway.serving import ROOM, Served, peopled, served
from tests.gateway.talking import post, settled_reads
from tests.gateway.test_clearance import HIGH, give, raise_room
from tests.gateway.world import eventually, room_command


async def posted(it: Served, body: str) -> None:
    """Ana says something that nobody below may see."""
    said = {"actor": "usr_ana", "clearance": HIGH, "body": body}
    it.world.commit("acme", ROOM, room_command(type="post", **said))


async def test_who_is_below_is_cut_off_the_moment_the_room_is_raised() -> None:
    world = peopled("acme")
    give(world, "ana", HIGH)
    async with (
        served(world) as it,
        it.signed_in("ana") as ana,
        it.signed_in("bob") as bob,
    ):
        await ana.follow()
        await bob.follow()
        raise_room(world)
        await posted(it, "secret")
        told = await bob.get()
        nowhere = {"type": "rejected", "room": ROOM, "code": "not_found", "detail": "no such room"}
        assert told == nowhere
        assert [(await ana.get())["kind"] for _ in range(2)] == ["room_marked", "message"]
        await post(bob, "still there?", "c-9")
        assert (await bob.get())["code"] == "not_found"
        await settled_reads(it)
        await bob.send(type="ping", n=1)
        assert (await bob.get())["type"] == "pong"


async def test_a_message_of_the_same_event_as_the_raise_is_not_seen_below() -> None:
    async with setting() as it:
        it.world.announcing = False
        low, high = Socket("usr_bob"), Socket("usr_ana", clearance=HIGH)
        await it.follow(low)
        await it.follow(high)
        before = it.say("for all")
        raise_room(it.world)
        it.do(type="post", body="secret", actor="usr_ana", clearance=HIGH, client_id="s")
        it.room.announce(before, before + 1, before + 2)
        assert low.seqs == [before]
        assert low.told == [ErrorCode.NOT_FOUND]
        assert high.seqs == [before, before + 1, before + 2]


async def test_a_replay_is_broken_off_when_the_room_is_raised_meanwhile() -> None:
    async with setting() as it:
        for number in range(5):
            it.say(f"message {number}")
        low = Socket("usr_bob")
        low.drained.clear()
        feed = await it.join(low)
        it.background.spawn(it.replayer.run(feed, low.follower, 0, low.wait_drained))
        await asyncio.sleep(0)
        raise_room(it.world)
        low.drained.set()
        await eventually(lambda: low.evicted == 1)
        assert low.frames == []
        assert low.told == [ErrorCode.NOT_FOUND]


async def test_a_page_of_the_store_that_holds_the_raise_is_not_sent() -> None:
    async with setting() as it:
        low = Socket("usr_bob")
        feed = await it.join(low)
        it.world.announcing = False
        it.say("before")
        raise_room(it.world)
        it.do(type="post", body="secret", actor="usr_ana", clearance=HIGH, client_id="s")
        await it.replayer.run(feed, low.follower, 0, low.wait_drained)
        assert low.frames == []
        assert low.told == [ErrorCode.NOT_FOUND]


async def test_a_row_that_was_read_before_the_raise_lets_nobody_in() -> None:
    world = peopled("acme")
    give(world, "ana", HIGH)
    async with served(world) as it:
        reader = await world.reader.tenant("acme")
        assert reader is not None
        row = await reader.room(ROOM)
        assert row is not None
        raise_room(world)
        await posted(it, "secret")
        world.stale_rows["acme", ROOM] = row
        async with it.signed_in("bob") as bob:
            await bob.send(type="subscribe", room=ROOM, after=0)
            assert (await bob.get())["code"] == "not_found"
        for path in ("entries", "entries?after=2", "chain"):
            answer = await ask(it, "GET", f"/rooms/{ROOM}/{path}", "bob")
            assert answer.status_code == 404, path
            assert "secret" not in answer.text
        assert (await ask(it, "GET", f"/rooms/{ROOM}/entries", "ana")).status_code == 200


async def test_of_a_mark_that_was_erased_the_strictest_is_believed() -> None:
    async with setting() as it:
        low, high = Socket("usr_bob", clearance=2), Socket("usr_ana", clearance=3)
        await it.follow(low)
        await it.follow(high)
        it.world.announcing = False
        raise_room(it.world, level=1)
        marked = it.room.entries[-1]
        it.room.entries[-1] = type(marked)(
            **{name: getattr(marked, name) for name in marked.__slots__ if name != "content"},
            content=None,
        )
        it.room.announce(it.room.head)
        assert low.told == [ErrorCode.NOT_FOUND]
        assert high.seqs == [it.room.head]


@pytest.mark.parametrize("seed", range(24))
async def test_whatever_is_raised_lowered_lost_and_said_nobody_gets_more_than_his_clearance(
    seed: int,
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- the same chance at every run
    async with setting() as it:
        sockets = [Socket("usr_bob", clearance=level) for level in range(4)]
        first_at: dict[int, int] = {}
        for socket in sockets:
            await it.follow(socket, after=chance.choice([0, None]))
        it.world.announcing = False
        head, told = it.room.head, it.room.head
        for number in range(30):
            level = chance.randrange(4)
            said = {"actor": "usr_ana", "clearance": 3, "client_id": f"c{number}"}
            if chance.random() < 0.3 and level != it.room.state.marking.clearance:
                it.do(type="mark_room", room_clearance=level, **said)
                for below in range(level):
                    first_at.setdefault(below, it.room.head)
            else:
                it.do(type="post", body="x", **said)
            if chance.random() < 0.4:
                # Some of what happened is announced, and some is lost on the way.
                seqs = range(chance.choice([told, it.room.head - 1]) + 1, it.room.head + 1)
                it.room.announce(*seqs)
                told = it.room.head
        it.room.announce()
        await eventually(lambda: sockets[3].seqs[-1:] == [it.room.head])
        for level, socket in enumerate(sockets):
            last = first_at.get(level, it.room.head + 1) - 1
            first = 1 if socket.seqs[:1] == [1] else head + 1
            assert socket.seqs == list(range(first, last + 1))
            assert socket.told == ([ErrorCode.NOT_FOUND] if level in first_at else [])


async def test_a_replay_that_waits_in_the_middle_of_a_page_goes_no_further() -> None:
    async with setting() as it:
        waits = 0

        async def drained() -> None:
            nonlocal waits
            waits += 1
            if waits == 2:
                raise_room(it.world)

        fitting = OUTBOUND_HIGH_BYTES // MESSAGE_BYTES_MAX
        for _ in range(3 * fitting):
            it.say("x" * MESSAGE_BYTES_MAX)
        low = Socket("usr_bob")
        feed = await it.join(low)
        await it.replayer.run(feed, low.follower, 1, drained)
        assert low.seqs == list(range(2, 1 + fitting))
        assert low.told == [ErrorCode.NOT_FOUND]
