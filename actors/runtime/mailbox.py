"""One actor in memory: its head, its state, its key, and the receipts of its last commands."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from actors.protocol.codec import content_of, target_of
from actors.protocol.commands import Command, CreateRoom
from actors.protocol.envelope import Receipt, entry_id
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import CommandRefused, EventType
from actors.protocol.limits import (
    CONTENT_BYTES_MAX,
    POSTS_PER_SECOND_AUTHOR,
    RECENT_COMMANDS_PER_ROOM,
)
from actors.protocol.roles import Role
from actors.room.state import Moment
from actors.runtime.author_limits import AuthorLimits
from actors.runtime.behaviour import Behaviour
from store.chain import Draft, Head, Source, head_of
from store.keys import RoomKey
from store.record import Record


@dataclass(slots=True)
class Known:
    """A command that was committed: its record, and its fingerprint (None: content erased)."""

    record: Record
    fingerprint: str | None


@dataclass(slots=True)
class Proposal:
    """What a command shall put into the chain."""

    draft: Draft
    event: EventType
    fingerprint: str


def receipt_of(record: Record, *, duplicate: bool) -> Receipt:
    """The receipt of a record."""
    return Receipt(
        room=record.room,
        seq=record.seq,
        id=entry_id(record.room, record.seq),
        kind=record.kind,
        hash=record.hash.hex(),
        prev=record.prev.hex(),
        at_ms=record.at,
        client_id=record.client_id,
        duplicate=duplicate,
    )


class Mailbox:
    """A room or a tenant while somebody works with it."""

    __slots__ = (
        "applied",
        "behaviour",
        "changed",
        "committed",
        "committed_state",
        "epoch",
        "head",
        "key",
        "lane",
        "limits",
        "noted",
        "recent",
        "room",
        "state",
        "used_at",
    )

    def __init__(
        self,
        room: str,
        behaviour: Behaviour[Any],
        head: Head,
        key: RoomKey,
        posts_per_second_author: float = POSTS_PER_SECOND_AUTHOR,
    ) -> None:
        self.room = room
        self.limits = AuthorLimits(posts_per_second_author)
        self.behaviour = behaviour
        self.head = head
        self.committed = head
        """The head as MongoDB has it; `head` and `state` run ahead while commits are under way."""
        self.key = key
        self.state: Any = behaviour.initial
        self.committed_state: Any = self.state
        self.applied = 0
        """The seq of the last saved snapshot."""
        self.changed = 0
        """The seq of the last record that changed the state, as far as it is known here."""
        self.noted = 0
        """The seq of the head that was last noted beside the chain."""
        self.epoch = head.epoch
        self.lane = -1
        """The lane its commands come from; -1 until the first."""
        self.used_at = 0.0
        self.recent: OrderedDict[tuple[str, str], Known] = OrderedDict()

    def decide(
        self, command: Command, mark: str, source: Source, now_ms: int
    ) -> Proposal | Receipt | Rejection:
        """What a command makes of this actor: a record, the receipt it got before, or nothing.

        `mark` is the command's fingerprint.
        """
        known = self.recall(command, mark)
        if known is not None:
            return known
        refused = self.limits.refusal(command, now_ms)
        if refused is not None:
            return refused
        event = self.behaviour.decide(self.state, command, Moment(self.head.seq, now_ms))
        if isinstance(event, Rejection):
            if command.role is not Role.EXTERNAL or not self.head.seq:
                return event
            # Nobody may be waiting for an external system's answer, so the refusal is a record.
            event = CommandRefused(
                code=event.code, detail=event.detail, command=command.model_dump(mode="json")
            )
        content = content_of(event, mark, command.origin)
        if len(content) > CONTENT_BYTES_MAX:
            return Rejection(ErrorCode.TOO_LARGE, f"content may have {CONTENT_BYTES_MAX} bytes")
        draft = Draft(
            event.kind, command.actor, command.client_id, target_of(event), content, source
        )
        return Proposal(draft, event, mark)

    def recall(self, command: Command, mark: str) -> Receipt | Rejection | None:
        """The answer to a command that is known to have been committed; None for any other."""
        known = self.recent.get((command.actor, command.client_id))
        return None if known is None else _repeated(known, command, mark)

    def after(self, record: Record, event: EventType) -> Any:
        """The state as it will be once `event` is committed as `record`."""
        if record.kind not in self.behaviour.state_kinds:
            return self.state
        return self.behaviour.evolve(self.state, event, record.actor, record.at)

    def advance(self, record: Record, state: Any, mark: str) -> None:
        """Go on as if the record were committed; a commit that fails forgets the mailbox."""
        self.head = head_of(record)
        self.state = state
        if record.kind in self.behaviour.state_kinds:
            self.changed = record.seq
        self.remember(record, mark)

    @property
    def is_ahead(self) -> bool:
        """Whether records are planned that MongoDB does not have yet."""
        return self.head.seq != self.committed.seq

    def settle(self, head: Head, state: Any) -> None:
        """Note what MongoDB has now."""
        self.committed, self.committed_state = head, state

    def remember(self, record: Record, mark: str | None) -> None:
        """Keep a receipt for the next time the command comes."""
        self.recent[(record.actor, record.client_id)] = Known(record, mark)

    def trim(self) -> None:
        """Keep the last receipts only. Not before a commit is done: it may repeat more commands than
        that, and must know each of them to get done. Nor what is planned ahead, for the same reason."""
        ahead = self.head.seq - self.committed.seq
        while len(self.recent) > RECENT_COMMANDS_PER_ROOM + ahead:
            self.recent.popitem(last=False)


def _repeated(known: Known, command: Command, mark: str) -> Receipt | Rejection:
    # A system that reports the same incident again may say more than the first time: the room is there.
    retold = isinstance(command, CreateRoom) and command.role is Role.EXTERNAL
    if known.fingerprint is None or known.fingerprint == mark or retold:
        return receipt_of(known.record, duplicate=True)
    return Rejection(
        ErrorCode.CONFLICT,
        f"client_id {command.client_id} was used for another command; it is entry {known.record.seq}",
    )
