"""A room with a long past beside one with a short past: opening it, paging it, posting to it."""

import itertools
import secrets
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from deploy.api import Api, Socket
from deploy.bench.errors import BenchError
from deploy.bench.growth_report import Axis
from deploy.bench.growth_seed import LongRoom, seed_room
from deploy.bench.growth_system import Person, System, milliseconds, side_by_side

RESTARTS: Final = 5
"""Cold openings in one round: each needs an actor process that has not seen the room."""
POSTS: Final = 40
READS: Final = 30
SUBSCRIPTIONS: Final = 20
BEHIND: Final = 100
"""Entries that a client that comes back has missed."""
RARE_KIND: Final = "room_created"
"""One entry of the room has it, the first."""
BODY: Final = "x" * 256


@dataclass(slots=True)
class Past:
    """A room and where its chain ends."""

    room: str
    head: int
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def post(self, api: Api) -> None:
        """Say something and wait for the receipt."""
        client_id = f"g{next(self._numbers)}-{secrets.token_hex(4)}"
        body = {"client_id": client_id, "kind": "message", "body": BODY}
        receipt = await api.call("POST", f"/rooms/{self.room}/entries", body)
        self.head = int(receipt["seq"])

    async def read(self, api: Api, query: str, least: int = 1) -> None:
        """Read a page, which must have something on it."""
        answer = await api.call("GET", f"/rooms/{self.room}/{query}")
        if len(answer["items"]) < least:
            raise BenchError(f"room {self.room}: {query} gave {len(answer['items'])} entries")

    async def follow(self, socket: Socket) -> None:
        """Subscribe as a client that missed a little, until caught up."""
        await socket.send(
            {"type": "subscribe", "room": self.room, "after": max(0, self.head - BEHIND)}
        )
        while (frame := await socket.receive())["type"] != "caught_up":
            if frame["type"] in ("rejected", "error", "gap"):
                raise BenchError(f"room {self.room} can't be followed: {frame}")

    async def leave(self, socket: Socket) -> None:
        """End a subscription; the answer to a ping shows that it has ended."""
        await socket.send({"type": "unsubscribe", "room": self.room})
        await socket.send({"type": "ping", "n": 1})
        while (await socket.receive())["type"] != "pong":
            continue


QUERIES: Final[dict[str, Callable[[Past], str]]] = {
    "first_page_ms": lambda past: "entries?limit=50",
    "middle_page_ms": lambda past: f"entries?limit=50&after={past.head // 2}",
    "last_page_ms": lambda past: f"entries?limit=50&before={past.head + 1}",
    "rare_kind_page_ms": lambda past: f"entries?limit=50&kind={RARE_KIND}",
    "chain_page_ms": lambda past: f"chain?limit=50&after={past.head // 2}",
}


async def measure_long_room(
    system: System,
    person: Person,
    entries: tuple[int, int],
    rounds: int,
    say: Callable[[str], None],
) -> Axis:
    """Seed a small and a large room, and measure both.

    Args:
        system: running.
        person: the only member of both rooms.
        entries: of the small room, of the large room.
        rounds: how often everything is measured.
        say: is told each step.
    """
    axis = Axis(f"{entries[0]:,} entries", f"{entries[1]:,} entries")
    small, large = await _seeded(system, person, entries, axis, say)
    warm_up = Past("warm-up", 0)
    async with system.client(person.tenant.lanes) as client:
        await client.send(person.tenant.id, warm_up.room, person.create(warm_up.room))
    for number in range(rounds):
        say(f"long room, round {number + 1} of {rounds}")
        await _cold(system, person, axis, (warm_up, small, large))
        async with system.api(person) as api:
            await _warm(api, axis, small, large)
    return axis


async def _seeded(
    system: System,
    person: Person,
    entries: tuple[int, int],
    axis: Axis,
    say: Callable[[str], None],
) -> tuple[Past, Past]:
    pasts: list[Past] = []
    async with system.store() as (connection, keys):
        for name, count in zip(("short-past", "long-past"), entries, strict=True):
            say(f"writing a room of {count:,} entries")
            room = LongRoom(name, count, (person.user,))

            async def seed(room: LongRoom = room) -> None:
                head = await seed_room(connection, keys, person.tenant, room)
                pasts.append(Past(room.room, head.seq))

            axis.facts[f"seeded_{count}_s"] = await milliseconds(seed) / 1000
    return pasts[0], pasts[1]


async def _cold(system: System, person: Person, axis: Axis, pasts: tuple[Past, Past, Past]) -> None:
    """The first post to a room after a restart, and what the room costs in memory."""
    warm_up, *rooms = pasts
    took: tuple[list[float], list[float]] = ([], [])
    grew: tuple[list[float], list[float]] = ([], [])
    async with system.api(person) as api:
        for restart in range(RESTARTS):
            await system.restart_actors()
            await warm_up.post(api)
            for side in (0, 1) if restart % 2 == 0 else (1, 0):
                before = system.resident_mib("actors")
                took[side].append(await milliseconds(partial(rooms[side].post, api)))
                grew[side].append(system.resident_mib("actors") - before)
    axis.add("cold_post_ms", statistics.median(took[0]), statistics.median(took[1]))
    for name, values in zip(("small", "grown"), grew, strict=True):
        key = f"actor_mib_of_opening_{name}"
        axis.facts[key] = max(axis.facts.get(key, 0.0), *values)


async def _warm(api: Api, axis: Axis, small: Past, large: Past) -> None:
    """Posts to rooms in memory, pages, and subscriptions."""
    await small.post(api)
    await large.post(api)
    axis.add(
        "warm_post_ms",
        *await side_by_side(partial(small.post, api), partial(large.post, api), POSTS),
    )
    for figure, query in QUERIES.items():
        axis.add(
            figure,
            *await side_by_side(
                partial(small.read, api, query(small)),
                partial(large.read, api, query(large)),
                READS,
            ),
        )
    async with api.socket() as socket:
        axis.add("subscribe_ms", *await _subscriptions(socket, small, large))


async def _subscriptions(socket: Socket, small: Past, large: Past) -> tuple[float, float]:
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(SUBSCRIPTIONS):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            past = (small, large)[side]
            took[side].append(await milliseconds(partial(past.follow, socket)))
            await past.leave(socket)
    return statistics.median(took[0]), statistics.median(took[1])
