"""What every part of the runtime is given; built once, by the composition root."""

from collections.abc import Callable
from dataclasses import dataclass

from actors.protocol.limits import POSTS_PER_SECOND_AUTHOR, ROOM_IDLE_S
from actors.runtime.jetstream import Bus
from actors.runtime.metrics import ActorMetrics
from store.driver import MongoConnection
from store.keys import KeyRing


def _pass(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class Services:
    """`process` names this process among all; `now_ms` is the wall clock in Unix milliseconds;
    `reach` is told of every point at which a crash makes a difference; a room leaves the memory after
    `room_idle_s` seconds of silence; an author may say `posts_per_second_author` in a room."""

    bus: Bus
    connection: MongoConnection
    keys: KeyRing
    metrics: ActorMetrics
    process: str
    now_ms: Callable[[], int]
    reach: Callable[[str], None] = _pass
    room_idle_s: float = ROOM_IDLE_S
    posts_per_second_author: float = POSTS_PER_SECOND_AUTHOR
