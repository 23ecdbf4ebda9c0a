"""A room's feed: one line for every follower, whatever is lost, doubled or late on the way."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.protocol.envelope import RoomEvent
from gateway import feed as feed_module
from gateway.feed import RoomFeed
from gateway.history import entry_of
from tests.gateway.following import ROOM, TENANT, Socket, setting
from tests.gateway.world import MemoryRoom, World, eventually, room_command


async def test_live_followers_get_every_entry_and_only_the_author_the_client_id() -> None:
    async with setting() as it:
        ana, bob = Socket("usr_ana"), Socket("usr_bob")
        await it.follow(ana)
        await it.follow(bob)

        it.say("hello", actor="usr_ana", client_id="c-1")
        it.say("hi", actor="usr_bob", client_id="c-2")

        assert ana.seqs == bob.seqs == [2, 3]
        assert [frame.get("client_id") for frame in ana.frames] == [None, "c-1", None]
        assert [frame.get("client_id") for frame in bob.frames] == [None, None, "c-2"]
        assert (ana.settled, bob.settled) == (["c-1"], ["c-2"])


async def test_the_author_hears_before_the_others() -> None:
    async with setting() as it:
        order: list[str] = []
        for user in ("usr_bob", "usr_ana"):
            socket = Socket(user)
            socket.follower.write = lambda _, user=user: order.append(user)  # type: ignore[misc]
            await it.follow(socket)
        order.clear()

        it.say("hello", actor="usr_ana", client_id="c-1")

        assert order == ["usr_ana", "usr_bob"]


async def test_an_event_with_many_entries_is_one_write_for_each_follower() -> None:
    async with setting() as it:
        ana, bob = Socket("usr_ana"), Socket("usr_bob")
        await it.follow(ana)
        await it.follow(bob)
        it.world.announcing = False
        seqs = [it.say(f"m{n}", actor="usr_ana" if n % 2 else "usr_bob") for n in range(10)]
        before = ana.writes, bob.writes

        it.room.announce(*seqs)

        assert (ana.writes, bob.writes) == (before[0] + 1, before[1] + 1)
        assert ana.seqs == bob.seqs == seqs


async def test_a_lost_event_is_filled_from_the_store_before_the_next_one() -> None:
    async with setting() as it:
        socket = Socket("usr_bob")
        await it.follow(socket)
        lost = it.lose("lost")

        it.say("next")
        it.say("and one more")
        await eventually(lambda: len(socket.seqs) == 3)

        assert socket.seqs == [lost, lost + 1, lost + 2]
        assert it.metrics.holes_filled._value.get() == 1


async def test_a_beacon_reveals_a_lost_last_event() -> None:
    async with setting() as it:
        socket = Socket("usr_bob")
        await it.follow(socket)
        lost = it.lose("lost")

        it.room.announce()
        await eventually(lambda: bool(socket.seqs))

        assert socket.seqs == [lost]


async def test_a_doubled_event_and_an_old_beacon_change_nothing() -> None:
    async with setting() as it:
        socket = Socket("usr_bob")
        feed = await it.follow(socket)
        seq = it.say("once")

        it.room.announce(seq)
        it.room.announce(1, seq)
        feed.on_event(RoomEvent(1, []))

        assert socket.seqs == [seq]


async def test_a_hole_is_filled_when_the_store_can_be_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "FILL_RETRY_S", 0)
    async with setting() as it:
        socket = Socket("usr_bob")
        await it.follow(socket)
        it.lose("lost")
        it.world.broken = ConnectionError("the store is away")

        it.say("next")
        reads = it.world.reads
        await eventually(lambda: it.world.reads > reads + 2)
        assert socket.seqs == []
        it.world.broken = None
        await eventually(lambda: bool(socket.seqs))

        assert socket.seqs == [2, 3]


async def test_more_events_than_are_held_back_are_read_from_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "FILL_PENDING_ENTRIES_MAX", 3)
    async with setting() as it:
        socket = Socket("usr_bob")
        feed = await it.follow(socket)
        it.lose("lost")

        seqs = [it.say(f"m{n}") for n in range(20)]
        held = sum(len(event.entries) for event in feed._held)
        await eventually(lambda: len(socket.seqs) == 21)

        assert held <= 3
        assert socket.seqs == [2, *seqs]


async def test_an_event_that_arrives_while_a_room_is_opened_is_no_hole() -> None:
    async with setting() as it:
        socket = Socket("usr_bob")
        following = asyncio.create_task(it.follow(socket, after=0))
        await eventually(lambda: bool(it.room.handlers))

        it.say("while it is opened")
        await following

        assert socket.seqs == [1, 2]
        assert it.metrics.holes_filled._value.get() == 0


async def test_a_removed_member_gets_the_entry_that_says_so_and_nothing_after_it() -> None:
    async with setting() as it:
        ana, bob = Socket("usr_ana"), Socket("usr_bob")
        await it.follow(ana)
        await it.follow(bob)
        it.world.announcing = False
        before = it.say("before")
        removal = it.do(type="remove_member", user="usr_bob", actor="usr_ana")
        after = it.say("after")

        it.room.announce(before, removal, after)

        assert bob.seqs == [before, removal]
        assert bob.evicted == 1
        assert ana.seqs == [before, removal, after]
        assert ana.evicted == 0


async def test_who_may_be_here_by_role_stays_when_taken_off_the_list() -> None:
    async with setting() as it:
        bob = Socket("usr_bob", listed_only=False)
        await it.follow(bob)

        it.do(type="remove_member", user="usr_bob", actor="usr_ana")
        it.say("after")

        assert len(bob.seqs) == 2
        assert bob.evicted == 0


async def test_a_removal_that_the_rooms_row_does_not_show_yet_is_known() -> None:
    async with setting() as it:
        applied = it.room.head
        it.do(type="remove_member", user="usr_bob", actor="usr_ana")
        first, second = Socket("usr_ana"), Socket("usr_ana")

        feed = await it.fanout.join(TENANT, await it.history(), applied, first.follower)

        assert not feed.is_member("usr_bob", applied, True)
        assert feed.is_member("usr_bob", it.room.head, True)
        assert feed.is_member("usr_ana", applied, True)
        it.do(type="put_member", user="usr_bob", actor="usr_ana")
        await it.fanout.join(TENANT, await it.history(), applied, second.follower)
        assert feed.is_member("usr_bob", applied, False)


async def test_the_last_follower_to_leave_ends_the_listening() -> None:
    async with setting() as it:
        first, second = Socket("usr_ana"), Socket("usr_bob")
        feed = await it.follow(first)
        assert await it.follow(second) is feed
        assert len(it.room.handlers) == 1

        it.fanout.leave(TENANT, feed, first.follower)
        closed = [feed.closed]
        it.fanout.leave(TENANT, feed, second.follower)
        await eventually(lambda: not it.room.handlers)

        assert [*closed, feed.closed] == [False, True]
        assert await it.follow(Socket("usr_ana")) is not feed


async def test_who_left_gets_nothing_more() -> None:
    async with setting() as it:
        stays, leaves = Socket("usr_ana"), Socket("usr_bob")
        feed = await it.follow(stays)
        await it.follow(leaves)

        it.fanout.leave(TENANT, feed, leaves.follower)
        it.say("after")

        assert leaves.seqs == []
        assert stays.seqs == [2]


async def test_a_room_that_can_not_be_opened_leaves_nothing_behind() -> None:
    async with setting() as it:
        it.world.broken = ConnectionError("the store is away")

        with pytest.raises(ConnectionError):
            await it.join(Socket("usr_bob"))
        await eventually(lambda: not it.room.handlers)
        it.world.broken = None
        socket = Socket("usr_bob")
        await it.follow(socket)
        it.say("works again")

        assert socket.seqs == [2]


async def test_who_gives_up_waiting_does_not_break_it_for_the_others() -> None:
    async with setting() as it:
        impatient, patient = Socket("usr_ana"), Socket("usr_bob")
        waiting = asyncio.create_task(it.join(impatient))
        await asyncio.sleep(0)
        following = asyncio.create_task(it.follow(patient))
        await asyncio.sleep(0)

        waiting.cancel()
        await following
        it.say("hello")

        assert patient.seqs == [2]
        assert impatient.seqs == []


async def test_who_gives_up_alone_leaves_no_listening_behind() -> None:
    async with setting() as it:
        waiting = asyncio.create_task(it.join(Socket("usr_ana")))
        await asyncio.sleep(0)

        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await eventually(lambda: not it.background._tasks and not it.room.handlers)

        assert it.metrics.feeds._value.get() == 0


STEPS = st.lists(
    st.sampled_from(["say", "lose", "double", "beacon", "join", "join live", "tick"]), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
async def test_whatever_happens_every_follower_gets_one_gapless_line(steps: list[str]) -> None:
    async with setting() as it:
        sockets: list[tuple[Socket, asyncio.Task[RoomFeed]]] = []
        for step in steps:
            if step == "say":
                it.say(f"m{it.room.head}")
            elif step == "lose":
                it.lose(f"m{it.room.head}")
            elif step == "double":
                it.room.announce(it.room.head)
            elif step == "beacon":
                it.room.announce()
            elif step == "tick":
                await asyncio.sleep(0)
            else:
                socket = Socket("usr_bob")
                after = 0 if step == "join" else None
                sockets.append((socket, asyncio.create_task(it.follow(socket, after))))
        await asyncio.gather(*(task for _, task in sockets))
        it.room.announce()
        await eventually(lambda: all(_is_complete(socket, it.room) for socket, _ in sockets))

        for socket, _ in sockets:
            assert socket.seqs == list(range(_start(socket), it.room.head + 1))


def _start(socket: Socket) -> int:
    """The first seq that a socket must have: the one after its first sign of life, or its first."""
    first = socket.frames[0]
    return 1 if first["type"] == "entry" else int(first["head"]) + 1


def _is_complete(socket: Socket, room: MemoryRoom) -> bool:
    expected = room.head - _start(socket) + 1
    return len(socket.seqs) >= expected


def test_an_entry_of_the_store_looks_like_one_of_an_event() -> None:
    world = World(TENANT)
    create = room_command(type="create_room", name="x", actor="usr_ana")
    world.commit(TENANT, ROOM, create)

    entry = entry_of(world.at(TENANT, ROOM).entries[0])

    assert entry.body["name"] == "x"
    assert len(entry.hash) == 64
