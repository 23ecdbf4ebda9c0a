"""The state of one socket, pure: who it is, what it follows, what it has under way.

No I/O and no clock in here: time comes in with each call, in seconds of any one clock.
"""

from enum import Enum
from typing import Final

from actors.protocol.errors import ErrorCode, Refusal, Rejection
from actors.protocol.limits import COMMAND_TIMEOUT_S, MESSAGE_BYTES_MAX
from gateway.feed import Follower, RoomFeed
from gateway.settings import GatewaySettings
from gateway.tokens import Principal

FRAME_WINDOW_S: Final = 1.0
_UTF8_BYTES_PER_CHARACTER_MAX: Final = 4


class SessionState(Enum):
    """Where a socket is in its life; it only ever goes down this list."""

    AWAITING_HELLO = "awaiting hello"
    OPEN = "open"
    CLOSED = "closed"


class Session:
    """See the module."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.state = SessionState.AWAITING_HELLO
        self.principal: Principal | None = None
        self.subscriptions: dict[str, tuple[RoomFeed, Follower]] = {}
        self._settings = settings
        self._inflight: dict[tuple[str, str], float] = {}
        self._window_started = float("-inf")
        self._frames_in_window = 0

    def admit_frame(self, now_s: float) -> bool:
        """Count a frame; False if that was one too many for this second."""
        if now_s - self._window_started >= FRAME_WINDOW_S:
            self._window_started = now_s
            self._frames_in_window = 0
        self._frames_in_window += 1
        return self._frames_in_window <= self._settings.frames_per_second_max

    def authenticate(self, principal: Principal) -> None:
        """Take somebody's proof of who he is, the first time or again.

        Raises:
            Refusal: `FORBIDDEN`: the socket belongs to somebody else, or to another clearance: what is
                followed was let in by that one.
        """
        known = self.principal
        if known is not None and (known.tenant, known.user) != (principal.tenant, principal.user):
            raise Refusal(ErrorCode.FORBIDDEN, "this socket belongs to another user")
        if known is not None and known.clearance != principal.clearance:
            raise Refusal(ErrorCode.FORBIDDEN, "your clearance has changed; open another socket")
        self.principal = principal
        if self.state is SessionState.AWAITING_HELLO:
            self.state = SessionState.OPEN

    def refusal_to_follow(self, room: str) -> Rejection | None:
        """Why a room may not be followed besides what is followed already."""
        full = len(self.subscriptions) >= self._settings.subscriptions_max
        if full and room not in self.subscriptions:
            return Rejection(
                ErrorCode.TOO_MANY,
                f"a socket follows at most {self._settings.subscriptions_max} rooms",
            )
        return None

    # Posts under way --------------------------------------------------------------------------

    def track(self, room: str, client_id: str, now_s: float) -> None:
        """Remember a post until it is settled."""
        self._inflight[room, client_id] = now_s

    def settle(self, room: str, client_id: str) -> bool:
        """Forget a post whose fate is known; whether it was remembered."""
        return self._inflight.pop((room, client_id), None) is not None

    def has_posts_in(self, room: str) -> bool:
        """Whether a post into a room is under way."""
        return any(place == room for place, _ in self._inflight)

    @property
    def is_full(self) -> bool:
        """Whether no more posts should be taken for now."""
        return len(self._inflight) >= self._settings.inflight_posts_max

    @property
    def has_room(self) -> bool:
        """Whether enough posts are settled to take more."""
        return len(self._inflight) <= self._settings.inflight_posts_max // 2

    def overdue(self, now_s: float) -> list[tuple[str, str]]:
        """Posts (room, client id) that should have been settled long ago."""
        return [post for post, since in self._inflight.items() if now_s - since > COMMAND_TIMEOUT_S]


def refusal_of_text(body: str) -> Rejection | None:
    """Why a text can't be a message."""
    if not body:
        return Rejection(ErrorCode.INVALID, "an empty message")
    sure = len(body) * _UTF8_BYTES_PER_CHARACTER_MAX <= MESSAGE_BYTES_MAX
    if not sure and len(body.encode()) > MESSAGE_BYTES_MAX:
        return Rejection(
            ErrorCode.TOO_LARGE,
            f"a message has at most {MESSAGE_BYTES_MAX} bytes; longer text belongs in a file",
        )
    return None
