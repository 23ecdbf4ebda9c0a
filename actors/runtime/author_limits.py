"""How much one author may say in one room: exact, whichever and however many gateways he goes through.

A bucket holds `BURST_S` seconds' worth of messages and is filled again at the permitted rate.
"""

from collections import OrderedDict
from typing import Final

from actors.protocol.commands import Command, Post
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.roles import SYSTEMS

BURST_S: Final = 60.0
AUTHORS_KEPT_MAX: Final = 1_000
"""Authors of a room whose bucket is remembered; the longest silent is forgotten, and its bucket full."""
MS_PER_S: Final = 1_000


class AuthorLimits:
    """The buckets of one room. What a system reports is not limited here: it arrives once only."""

    __slots__ = ("_left", "_per_second", "_size")

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._size = per_second * BURST_S
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def refusal(self, command: Command, now_ms: int) -> Rejection | None:
        """Take one message out of its author's bucket at a time (Unix ms), or say why not."""
        if not isinstance(command, Post) or command.role in SYSTEMS:
            return None
        left, since_ms = self._left.get(command.actor, (self._size, now_ms))
        # Time may run backwards after a correction of the clock; that gives nothing and takes nothing.
        if now_ms > since_ms:
            left = min(self._size, left + (now_ms - since_ms) * self._per_second / MS_PER_S)
        if left < 1:
            return Rejection(
                ErrorCode.TOO_MANY,
                f"more than {self._per_second:g} messages a second; send it again shortly",
            )
        self._left[command.actor] = (left - 1, now_ms)
        self._left.move_to_end(command.actor)
        if len(self._left) > AUTHORS_KEPT_MAX:
            self._left.popitem(last=False)
        return None
