"""A room's feed: one line for every follower, whatever is lost, doubled or late on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from websockets.frames import Frame
from websockets.streams import StreamReader

from actors.protocol.envelope import RoomEvent
from gateway import feed as feed_module
from gateway import replay as replay_module
from gateway.fanout import Fanout
from gateway.feed import Follower, RoomFeed
from gateway.history import RoomHistory, entry_of
from gateway.metrics import GatewayMetrics
from gateway.replay import Replayer
from gateway.tasks import Background
from tests.gateway.world import MemoryRoom, World, eventually, room_command

TENANT, ROOM = "acme", "room_1"


def frames_in(data: bytes) -> list[dict[str, Any]]:
    """The frames in bytes that were written to a socket."""
    reader = StreamReader()
    reader.feed_data(data)
    frames = []
    while reader.buffer:
        reading = Frame.parse(reader.read_exact, mask=False)
        try:
            next(reading)
        except StopIteration as done:
            frames.append(orjson.loads(bytes(done.value.data)))
    return frames


class Socket:
    """What one follower was sent."""

    def __init__(self, user: str, *, listed_only: bool = True) -> None:
        self.written = bytearray()
        self.writes = 0
        self.settled: list[str] = []
        self.evicted = 0
        self.drained = asyncio.Event()
        self.drained.set()
        self.follower = Follower(
            user=user,
            listed_only=listed_only,
            write=self._write,
            settle=self.settled.append,
            evict=self._evict,
        )

    def _write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def _evict(self) -> None:
        self.evicted += 1
        self.follower.ended = True

    async def wait_drained(self) -> None:
        await self.drained.wait()

    @property
    def frames(self) -> list[dict[str, Any]]:
        return frames_in(bytes(self.written))

    @property
    def seqs(self) -> list[int]:
        return [frame["seq"] for frame in self.frames if frame["type"] == "entry"]


class Setting:
    """A room, the gateway's side of it, and ways to join."""

    def __init__(self, background: Background) -> None:
        self.world = World(TENANT)
        self.room: MemoryRoom = self.world.at(TENANT, ROOM)
        self.metrics = GatewayMetrics(CollectorRegistry())
        self.background = background
        self.fanout = Fanout(self.world.actors.subscribe_events, self.metrics, background.spawn)
        self.replayer = Replayer(self.metrics)
        create = {"type": "create_room", "name": "War room", "actor": "usr_ana"}
        self.do(**create, members={"usr_bob": "member"}, open_to=["viewer"])

    def do(self, **fields: Any) -> int:
        return self.world.commit(TENANT, ROOM, room_command(**fields)).seq

    def say(self, body: str, actor: str = "usr_ana", client_id: str | None = None) -> int:
        number = client_id or f"c{self.room.head}"
        return self.do(type="post", body=body, actor=actor, client_id=number)

    def lose(self, body: str) -> int:
        """Commit something whose event never arrives."""
        self.world.announcing = False
        seq = self.say(body)
        self.world.announcing = True
        return seq

    async def history(self) -> RoomHistory:
        reader = await self.world.reader.tenant(TENANT)
        assert reader is not None
        return RoomHistory(reader, ROOM)

    async def join(self, socket: Socket) -> RoomFeed:
        return await self.fanout.join(TENANT, await self.history(), self.room.head, socket.follower)

    async def follow(self, socket: Socket, after: int | None = None) -> RoomFeed:
        feed = await self.join(socket)
        await self.replayer.run(feed, socket.follower, after, socket.wait_drained)
        return feed


@asynccontextmanager
async def setting() -> AsyncIterator[Setting]:
    """A setting whose background tasks end with the test."""
    async with Background() as background:
        yield Setting(background)


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


async def test_an_event_that_arrives_while_a_room_is_opened_is_no_hole() -> None:
    async with setting() as it:
        socket = Socket("usr_bob")
        following = asyncio.create_task(it.follow(socket, after=0))
        await eventually(lambda: bool(it.room.handlers))

        it.say("while it is opened")
        await following

        assert socket.seqs == [1, 2]
        assert it.metrics.holes_filled._value.get() == 0


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


def test_an_entry_of_the_store_looks_like_one_of_an_event() -> None:
    world = World(TENANT)
    create = room_command(type="create_room", name="x", actor="usr_ana")
    world.commit(TENANT, ROOM, create)

    entry = entry_of(world.at(TENANT, ROOM).entries[0])

    assert entry.body["name"] == "x"
    assert len(entry.hash) == 64
