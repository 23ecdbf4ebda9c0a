"""A lane: one partition of a tenant's stream while this process owns it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from actors.runtime.reader import LaneReader
from store.chain import Cursor

GENERATION_SHIFT: Final = 40
"""`src` is generation << 40 | stream sequence: a stream that is born again starts at 1, and its
commands must still come after those of the old one. 8,191 births and 10^12 messages fit below 2^53."""


def source_number(generation: int, stream_seq: int) -> int:
    """The `src` of a message."""
    return generation << GENERATION_SHIFT | stream_seq


@dataclass(slots=True, eq=False)
class Lane:
    """`live` ends with the ownership or with this opening, for good; what it brought is dropped then."""

    tenant: str
    number: int
    lanes: int
    epoch: int
    cursor: Cursor
    on_fenced: Callable[[int], None]
    live: bool = True
    abandoned: bool = False
    """Some of its commands were dropped undone: it is not seen through any further."""
    reader: LaneReader | None = None
    seen: Cursor = field(default_factory=Cursor)
    """How far commands were committed or refused."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message of a lane, read; `arrived` is of the monotonic clock."""

    lane: Lane
    src: int
    rooms: list[str]
    reply_to: str
    commands: list[Any]
    arrived: float
