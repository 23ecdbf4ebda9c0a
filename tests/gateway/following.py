"""A room, the gateway's side of it, and sockets that follow: for tests of feeds and replays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from prometheus_client import CollectorRegistry
from websockets.frames import Frame
from websockets.streams import StreamReader

from actors.protocol.errors import ErrorCode, Refusal
from gateway.fanout import Fanout
from gateway.feed import Follower, RoomFeed
from gateway.history import RoomHistory
from gateway.metrics import GatewayMetrics
from gateway.replay import Replayer
from gateway.tasks import Background
from tests.gateway.world import MemoryRoom, World, room_command

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

    def __init__(self, user: str, *, listed_only: bool = True, clearance: int = 0) -> None:
        self.written = bytearray()
        self.writes = 0
        self.settled: list[str] = []
        self.evicted = 0
        self.told: list[ErrorCode] = []
        self.drained = asyncio.Event()
        self.drained.set()
        self.follower = Follower(
            user=user,
            listed_only=listed_only,
            write=self._write,
            settle=self.settled.append,
            evict=self._evict,
            clearance=clearance,
        )

    def _write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def _evict(self, reason: Refusal) -> None:
        self.evicted += 1
        self.told.append(reason.code)
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
