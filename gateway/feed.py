"""One room's live stream inside one gateway.

Followers are either replaying (they read the past on their own) or live; every live follower has
exactly what the feed has, up to `head`. What was committed is taken from events, and from the store
where an event is missing; whatever is at or below `head` is dropped, so both may overlap freely.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from actors.protocol.envelope import Entry, RoomEvent
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import MemberAdded, MemberRemoved, RoomMarked
from actors.protocol.markings import HIGHEST, LOWEST
from gateway.frames import EncodedEntry, encode_entry, encode_text_frame
from gateway.history import RoomHistory
from gateway.limits import (
    FILL_PENDING_ENTRIES_MAX,
    FILL_RETRY_S,
    MEMBERSHIP_TAIL_ENTRIES,
    REPLAY_PAGE_ENTRIES,
    TAIL_BYTES_MAX,
)
from gateway.metrics import GatewayMetrics
from gateway.rooms import no_such_room

log = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
_MEMBERSHIP_KINDS = frozenset({MemberAdded.kind, MemberRemoved.kind})
_ACCESS_KINDS = _MEMBERSHIP_KINDS | {RoomMarked.kind}


@dataclass(slots=True, eq=False)
class Follower:
    """One socket's interest in one room, and the ways back to it.

    `write` takes frames; `settle` the client id of an entry of its own user; `evict` is called once
    when the user may follow no longer, with what he is told. `listed_only`: being a listed member is the
    user's only right to be here. `sent`: the last seq it was sent while it replays. `evict_after`: the
    last seq that it may still be sent while it replays.
    """

    user: str
    listed_only: bool
    write: Callable[[bytes], None]
    settle: Callable[[str], None]
    evict: Callable[[Refusal], None]
    clearance: int = LOWEST
    evict_after: int | None = None
    evict_reason: Refusal | None = None
    ended: bool = False
    sent: int = 0

    def send(self, entries: list[EncodedEntry]) -> None:
        """Write entries, in this user's copies."""
        copies = [entry.payload_for(self.user, self.clearance) for entry in entries]
        self.write(b"".join(map(encode_text_frame, copies)))
        self.sent = entries[-1].seq
        self.settle_own(entries)

    def may_be_sent(self, seq: int) -> bool:
        """Whether a replay may go on with this entry."""
        return self.evict_after is None or seq <= self.evict_after

    def evict_now(self) -> None:
        """Tell why it ends here."""
        self.evict(self.evict_reason or no_such_room())

    def settle_own(self, entries: list[EncodedEntry]) -> None:
        """Take note of entries that this user's posts have become."""
        for entry in entries:
            if entry.actor == self.user:
                self.settle(entry.client_id)


class RoomFeed:
    """See the module. It holds events back until `open` has found out where the room stands."""

    def __init__(self, history: RoomHistory, metrics: GatewayMetrics, spawn: Spawn) -> None:
        self.history = history
        self.head = 0
        self.closed = False
        self._metrics = metrics
        self._spawn = spawn
        self._live: dict[Follower, None] = {}
        self._replaying: set[Follower] = set()
        self._tail: deque[EncodedEntry] = deque()
        self._tail_bytes = 0
        self._membership: dict[str, tuple[int, bool]] = {}
        self._clearance = (0, LOWEST)
        self._held: deque[RoomEvent] = deque()
        self._held_entries = 0
        self._target = 0
        self._holding = True

    @property
    def is_empty(self) -> bool:
        """Whether nobody follows."""
        return not self._live and not self._replaying

    async def open(self, applied: int) -> None:
        """Find the head, and the changes of membership after `applied`, where the room's row ends."""
        self.head = await self.history.head()
        since = max(applied, self.head - MEMBERSHIP_TAIL_ENTRIES)
        if since < self.head:
            for kind in _ACCESS_KINDS:
                for entry in await self.history.page(since, MEMBERSHIP_TAIL_ENTRIES, kind):
                    self._note_access(entry)
        self._release()

    def is_member(self, user: str, applied: int, listed: bool) -> bool:
        """Whether a user is listed now, if he was (or not) in the room's row as of `applied`."""
        seq, member = self._membership.get(user, (0, listed))
        return member if seq > applied else listed

    def clearance_now(self, applied: int, required: int) -> int:
        """The clearance that the room takes now, if its row as of `applied` took `required`."""
        seq, level = self._clearance
        return level if seq > applied else required

    # Followers --------------------------------------------------------------------------------

    def join(self, follower: Follower) -> None:
        """Take in somebody who begins by replaying."""
        self._replaying.add(follower)

    def leave(self, follower: Follower) -> None:
        """Send nothing more to a follower."""
        follower.ended = True
        self._live.pop(follower, None)
        self._replaying.discard(follower)
        if not self._replaying:
            self._drop_tail()

    def has_sent(self, follower: Follower, seq: int) -> bool:
        """Whether an entry is behind a follower; if not, it comes in its turn."""
        return seq <= (self.head if follower in self._live else follower.sent)

    def go_live(self, follower: Follower, cursor: int) -> bool:
        """Hand a follower that has everything up to `cursor` over to the live stream.

        Returns:
            False if what came meanwhile is no longer at hand and must be read from the store.
        """
        if follower.evict_after is not None or cursor > self.head:
            return False
        if cursor < self.head:
            missed = [entry for entry in self._tail if entry.seq > cursor]
            if not missed or missed[0].seq != cursor + 1:
                return False
            follower.send(missed)
        self._replaying.discard(follower)
        self._live[follower] = None
        if not self._replaying:
            self._drop_tail()
        return True

    # What comes in ----------------------------------------------------------------------------

    def on_event(self, event: RoomEvent) -> None:
        """Take what the room's owner announced."""
        if self._holding:
            self._hold(event)
            return
        if not self._take(event):
            self._hold(event)
            self._fill_in_background()

    def offer(self, entries: list[Entry]) -> None:
        """Take a page of the store."""
        self._take_entries(entries)

    async def catch_up(self) -> None:
        """Read from the store whatever it has beyond `head`."""
        while True:
            before = self.head
            page = await self.history.page(before, REPLAY_PAGE_ENTRIES)
            self.offer(page)
            if len(page) < REPLAY_PAGE_ENTRIES or self.head == before:
                return

    def _take(self, event: RoomEvent) -> bool:
        """Deliver an event; False if something before or in it is missing."""
        self._take_entries(event.entries)
        return event.head <= self.head

    def _take_entries(self, entries: list[Entry]) -> None:
        if not entries or entries[-1].seq <= self.head:
            return
        fresh = [entry for entry in entries if entry.seq > self.head]
        following: list[Entry] = []
        for expected, entry in enumerate(fresh, self.head + 1):
            if entry.seq != expected:
                break
            following.append(entry)
        self._deliver(following)

    def _hold(self, event: RoomEvent) -> None:
        self._target = max(self._target, event.head)
        self._held.append(event)
        self._held_entries += len(event.entries)
        if self._held_entries > FILL_PENDING_ENTRIES_MAX:
            self._held.clear()
            self._held_entries = 0

    def _release(self) -> None:
        """Deliver what was held back; whatever is still missing is filled in."""
        while self._held:
            if not self._take(self._held[0]):
                break
            self._held_entries -= len(self._held.popleft().entries)
        self._holding = self.head < self._target
        if self._holding:
            self._fill_in_background()

    def _fill_in_background(self) -> None:
        self._holding = True
        self._metrics.holes_filled.inc()
        self._spawn(self._fill())

    async def _fill(self) -> None:
        while not self.closed and self.head < self._target:
            before = self.head
            try:
                await self.catch_up()
            except Exception as error:
                log.warning("feed.fill_failed", room=self.history.room, error=repr(error))
            if self.head == before:
                await asyncio.sleep(FILL_RETRY_S)
        if not self.closed:
            self._release()

    # What goes out ----------------------------------------------------------------------------

    def _deliver(self, entries: list[Entry]) -> None:
        run: list[Entry] = []
        for entry in entries:
            if entry.kind == RoomMarked.kind:
                # Whoever it shuts out is not even told that it did: to him the room is none from here on.
                if run:
                    self._write(run)
                    run = []
                self._note_access(entry)
                self._evict_below(self._clearance[1])
            run.append(entry)
            if entry.kind in _MEMBERSHIP_KINDS:
                self._write(run)
                run = []
                self._note_access(entry)
                self._evict_removed(entry)
        if run:
            self._write(run)

    def _write(self, entries: list[Entry]) -> None:
        encoded = [encode_entry(entry) for entry in entries]
        self.head = encoded[-1].seq
        if self._replaying:
            self._keep_tail(encoded)
        if not self._live:
            return
        frames = [encode_text_frame(entry.payload) for entry in encoded]
        for_others = b"".join(frames)
        authors = {entry.actor for entry in encoded}
        copies: dict[str, _AuthorCopy] = {}
        others: list[Follower] = []
        level = max(entry.clearance for entry in encoded)
        for follower in self._live:
            user = follower.user
            if follower.clearance < level:
                follower.send(encoded)
                continue
            if user not in authors:
                others.append(follower)
                continue
            copy = copies.get(user)
            if copy is None:
                copy = copies[user] = _author_copy(user, encoded, frames)
            follower.write(copy.frames)
            for client_id in copy.client_ids:
                follower.settle(client_id)
        # After the authors: to them it is the acknowledgement that they wait for.
        for follower in others:
            follower.write(for_others)
        self._metrics.deliveries.inc(len(self._live) * len(encoded))

    def _note_access(self, entry: Entry) -> None:
        if entry.kind == RoomMarked.kind:
            # Of what was erased the strictest is believed.
            level = entry.body["after"]["clearance"] if entry.body else HIGHEST
            self._clearance = max(self._clearance, (entry.seq, level))
            return
        if not entry.body:
            return
        user = entry.body["user"]
        seq, _ = self._membership.get(user, (0, False))
        if entry.seq > seq:
            self._membership[user] = (entry.seq, entry.kind == MemberAdded.kind)

    def _evict_removed(self, entry: Entry) -> None:
        if entry.kind != MemberRemoved.kind or not entry.body:
            return
        for follower in [*self._live, *self._replaying]:
            if follower.user != entry.body["user"] or not follower.listed_only:
                continue
            detail = "you are no longer a member of this room"
            self._evict(follower, entry.seq, Refusal(ErrorCode.NOT_A_MEMBER, detail))

    def _evict_below(self, clearance: int) -> None:
        for follower in [*self._live, *self._replaying]:
            if follower.clearance < clearance:
                # Nothing more at all, not even of what was there before.
                self._evict(follower, 0, no_such_room())

    def _evict(self, follower: Follower, after: int, reason: Refusal) -> None:
        if follower in self._live:
            self.leave(follower)
            follower.evict(reason)
        elif follower.may_be_sent(after + 1):
            follower.evict_after, follower.evict_reason = after, reason

    def _keep_tail(self, entries: list[EncodedEntry]) -> None:
        self._tail.extend(entries)
        self._tail_bytes += sum(len(entry.payload) for entry in entries)
        while self._tail_bytes > TAIL_BYTES_MAX:
            self._tail_bytes -= len(self._tail.popleft().payload)

    def _drop_tail(self) -> None:
        self._tail.clear()
        self._tail_bytes = 0


class _AuthorCopy(NamedTuple):
    """What the sockets of an author get, and the client ids of his entries in it."""

    frames: bytes
    client_ids: list[str]


def _author_copy(user: str, encoded: list[EncodedEntry], frames: list[bytes]) -> _AuthorCopy:
    own: list[str] = []
    copies = frames.copy()
    for position, entry in enumerate(encoded):
        if entry.actor == user:
            own.append(entry.client_id)
            copies[position] = encode_text_frame(entry.own_payload())
    return _AuthorCopy(b"".join(copies), own)
