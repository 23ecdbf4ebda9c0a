"""A member of rooms who talks and listens on, whatever happens to the servers, and checks what it hears.

It does what the gateway's README asks of clients: after any doubt it comes back with its last seq, and
sends what is not acknowledged again under the same client id.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx
from websockets.exceptions import WebSocketException

from deploy.local.process import polled
from tests.e2e.clients import Client, Json, Socket

IN_FLIGHT: Final = 4
"""Posts without their acknowledgement."""
PACE_S: Final = 0.02
"""Between two posts of one member: a load, but none that the test itself can't keep up with."""
COME_BACK_S: Final = 0.1
MARK: Final = "member-says-"
"""How the client ids of what is said begin. Opening the room had one too, made by chance, which begins so
only if this is short."""
RETRYABLE: Final = frozenset({"unavailable", "outcome_unknown", "too_many"})


class _Doubt(Exception):
    """Something was refused that may be tried again."""


@dataclass
class Member:
    """Somebody in a room. `doors` are the gateways, the one to begin with first.

    `heard` are the room's entries; `acknowledged` the receipts (seq, hash) of what was said, by client
    id; `faults` what must not be.
    """

    client: Client
    room: str
    doors: Sequence[httpx.AsyncClient]
    heard: list[Json] = field(default_factory=list)
    acknowledged: dict[str, tuple[int, str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    returns: int = 0
    said: int = 0
    _pending: dict[str, str] = field(default_factory=dict)
    _resent: set[str] = field(default_factory=set)
    _silent: bool = False

    async def live(self) -> None:
        """Talk and listen for ever."""
        while True:
            door = self.doors[self.returns % len(self.doors)]
            try:
                async with self.client.at(door).socket() as socket, asyncio.TaskGroup() as tasks:
                    await socket.send(type="subscribe", room=self.room, after=len(self.heard))
                    self._resent = set(self._pending)
                    for client_id, body in self._pending.items():
                        await socket.say(self.room, body, client_id)
                    tasks.create_task(self._talk(socket))
                    await self._listen(socket)
            except* (OSError, TimeoutError, WebSocketException, _Doubt, AssertionError):
                # Whoever is not welcomed meets an error frame first.
                self.returns += 1
                await asyncio.sleep(COME_BACK_S)

    async def _talk(self, socket: Socket) -> None:
        while True:
            if len(self._pending) < IN_FLIGHT and not self._silent:
                client_id = f"{MARK}{self.said}"
                self._pending[client_id] = f"{self.client.user} {self.said}"
                self.said += 1
                await socket.say(self.room, self._pending[client_id], client_id)
            await asyncio.sleep(PACE_S)

    async def _listen(self, socket: Socket) -> None:
        while True:
            frame = await socket.get()
            socket.seen.clear()
            match frame["type"]:
                case "entry":
                    self._take(frame)
                case "rejected" if frame["code"] in RETRYABLE:
                    raise _Doubt(frame["code"])
                case "caught_up" | "head":
                    continue
                case _:
                    self.faults.append(f"unexpected: {frame}")

    def _take(self, entry: Json) -> None:
        client_id = entry.pop("client_id", "")
        if entry["seq"] == len(self.heard) + 1:
            self.heard.append(entry)
        elif entry["seq"] > len(self.heard) or self.heard[entry["seq"] - 1] != entry:
            self.faults.append(f"heard {len(self.heard)} entries, then {entry}")
        elif client_id not in self._resent:
            self.faults.append(f"heard twice: {entry}")
        if client_id.startswith(MARK):
            self._pending.pop(client_id, None)
            receipt = entry["seq"], entry["hash"]
            if self.acknowledged.setdefault(client_id, receipt) != receipt:
                self.faults.append(f"acknowledged twice: {entry}")

    async def gets_through(self) -> None:
        """Return when something that is said from now on is acknowledged."""
        first = self.said

        async def ask() -> bool | None:
            return f"{MARK}{first}" in self.acknowledged or None

        await polled(ask)

    async def falls_silent(self) -> None:
        """Say nothing new, and return when all that was said is acknowledged."""
        self._silent = True

        async def ask() -> bool | None:
            return not self._pending or None

        await polled(ask)

    async def hears(self, seq: int) -> None:
        """Return when the room was heard up to a seq."""

        async def ask() -> bool | None:
            return len(self.heard) >= seq or None

        await polled(ask)


async def all_within(
    seconds: float, members: Sequence[Member], what: Callable[[Member], Awaitable[None]]
) -> None:
    """Wait until something holds for all members.

    Raises:
        AssertionError: it took longer; tells who was left and what they met.
    """
    waiting = {asyncio.ensure_future(what(member)): member for member in members}
    _, left = await asyncio.wait(waiting, timeout=seconds)
    for task in left:
        task.cancel()
    stuck = [(waiting[task].client.user, waiting[task].faults[-3:]) for task in left]
    assert not left, f"{len(left)} of {len(members)} members got nowhere in {seconds} s: {stuck}"


@asynccontextmanager
async def living(members: Sequence[Member]) -> AsyncIterator[None]:
    """Let members live meanwhile."""
    lives = [asyncio.create_task(member.live()) for member in members]
    try:
        yield
    finally:
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)


async def assert_nothing_is_lost_or_doubled(reader: Client, members: Sequence[Member]) -> None:
    """What members of one room were told is what its chain holds.

    Every acknowledged message stands in it once, where its receipt says; the order of each member's
    messages is kept; every member heard the whole room; the chain verifies.
    """
    room = members[0].room
    entries = await reader.entries(room)
    for entry in entries:
        entry.pop("client_id", None)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    for member in members:
        assert member.faults == []
        assert member.heard == entries
        mine = [
            entry
            for entry in entries
            if entry["kind"] == "message" and entry["actor"] == member.client.user
        ]
        assert [entry["body"] for entry in mine] == [
            f"{member.client.user} {number}" for number in range(member.said)
        ]
        assert member.acknowledged == {
            f"{MARK}{number}": (entry["seq"], entry["hash"]) for number, entry in enumerate(mine)
        }
    verdict = await reader.verdict(room)
    assert (verdict["verified"], verdict["head"]) == (True, len(entries))
