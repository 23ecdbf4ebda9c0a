"""A group commit on paper: what will be written and what will be said, made without any I/O."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError

from actors.protocol.codec import body_of, fingerprint
from actors.protocol.commands import Command
from actors.protocol.envelope import Entry, Receipt, Reply
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import EventType
from actors.runtime.behaviour import behaviour_of
from actors.runtime.lane import Lane
from actors.runtime.mailbox import Mailbox, Proposal, receipt_of
from store.chain import Head, Source, head_of, link
from store.contents import blocks
from store.driver import Document
from store.keys import RoomKey
from store.record import SALT_BYTES, Record
from store.sealing import NONCE_BYTES, Randomness, seal_content

log = structlog.get_logger(__name__)

PROBLEMS_TOLD_MAX = 8
"""Fields named in the reason of one unreadable command."""


@dataclass(slots=True)
class Item:
    """One command: where from, for whom, whom to answer, and what it is, or why it can't be read."""

    room: str
    source: Source
    lane: Lane
    reply_to: str
    raw: Any
    read: "ReadCommand | str"


@dataclass(slots=True)
class ReadCommand:
    """A command and its fingerprint."""

    command: Command
    mark: str


def read_command(room: str, raw: Any) -> ReadCommand | str:
    """The command in its JSON form, or why it is none."""
    try:
        command = behaviour_of(room).parse(raw)
        return ReadCommand(command, fingerprint(command))
    except ValidationError as error:
        return _reason(error)
    except (TypeError, ValueError) as error:
        # What can be read and not be written, such as deep nesting.
        return str(error)
    except Exception as error:  # one command's fault must not cost its neighbours their message
        log.exception("command.unreadable", room=room)
        return f"internal error: {type(error).__name__}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A command that no version of this program would have sent."""

    item: Item
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A command that the state of its room, as it is known here, does not allow."""

    item: Item
    command: Command
    mailbox: Mailbox
    rejection: Rejection


@dataclass(slots=True)
class RoomPart:
    """One room's share of a commit."""

    mailbox: Mailbox
    key: RoomKey
    """One key for the whole part, also if the room gets a new one while this is being planned."""
    records: list[Record] = field(default_factory=list)
    sealed: list[bytes] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    events: list[tuple[int, EventType]] = field(default_factory=list)
    """Those that change the state, with their seqs."""
    state: Any = None
    """The state after the last of them. The mailbox's own may be further by the time this is written."""

    @property
    def head(self) -> Head:
        """The head after the last record."""
        return head_of(self.records[-1])


@dataclass(slots=True)
class Plan:
    """What a commit writes and says."""

    tenant: str
    randomness: Randomness = field(default_factory=Randomness)
    records: list[Document] = field(default_factory=list)
    rooms: dict[str, RoomPart] = field(default_factory=dict)
    replies: dict[str, list[Reply]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[Unreadable] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    """Not answered yet: see `Recovery.confirm`."""
    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    """Every actor that was asked."""

    def contents(self) -> list[Document]:
        """The content documents, one or a few for each room."""
        return [
            document
            for part in self.rooms.values()
            for document in blocks(part.records, part.sealed, part.key)
        ]

    def changed(self) -> list[tuple[Mailbox, list[tuple[int, EventType]]]]:
        """The actors whose state changed, and by which events."""
        return [(part.mailbox, part.events) for part in self.rooms.values() if part.events]

    def add_unavailable(self, item: Item, reason: str) -> None:
        """Refuse a command whose room can't be loaded: better than to guess who may write."""
        raw = item.raw if isinstance(item.raw, dict) else {}
        ref, client_id = str(raw.get("ref", "")), str(raw.get("client_id", ""))
        log.error("room.unreadable", tenant=self.tenant, room=item.room, reason=reason)
        if item.reply_to:
            reply = Reply(ref, client_id, None, ErrorCode.UNAVAILABLE, "the room can't be loaded")
            self.replies[item.reply_to].append(reply)

    def add(self, item: Item, mailbox: Mailbox, now_ms: int) -> None:
        """Decide one command and plan what follows from it."""
        self.mailboxes[mailbox.room] = mailbox
        if isinstance(item.read, str):
            self._add_unreadable(item, item.read)
            return
        command = item.read.command
        try:
            outcome = mailbox.decide(command, item.read.mark, item.source, now_ms)
            if isinstance(outcome, Proposal):
                self._add_record(item, command, mailbox, outcome, now_ms)
            elif isinstance(outcome, Rejection):
                self.refused.append(Refused(item, command, mailbox, outcome))
            else:
                self.answer(item, command, outcome)
        except Exception as error:  # one command's fault must not stop the tenant's commits
            log.exception("command.failed", tenant=self.tenant, room=item.room)
            self._add_unreadable(item, f"internal error: {type(error).__name__}")

    def _add_record(
        self, item: Item, command: Command, mailbox: Mailbox, proposal: Proposal, now_ms: int
    ) -> None:
        salt = self.randomness.take(SALT_BYTES)
        scope = (self.tenant, mailbox.room, item.lane.epoch)
        record = link(scope, mailbox.head, proposal.draft, now_ms, salt)
        content = proposal.draft.content
        part = self.rooms.get(mailbox.room) or RoomPart(mailbox, mailbox.key)
        sealed = seal_content(
            part.key.cipher, record, salt, content, self.randomness.take(NONCE_BYTES)
        )
        entry = entry_for(record, content)
        state = mailbox.after(record, proposal.event)
        # Nothing above changes anything, so a fault there leaves no half of a record behind.
        mailbox.advance(record, state, proposal.fingerprint)
        self.rooms[mailbox.room] = part
        part.state = state
        part.records.append(record)
        part.sealed.append(sealed)
        part.entries.append(entry)
        if record.kind in mailbox.behaviour.state_kinds:
            part.events.append((record.seq, proposal.event))
        self.records.append(record.document())
        if item.reply_to and not command.quiet:
            receipt = receipt_of(record, duplicate=False)
            self.replies[item.reply_to].append(Reply(command.ref, command.client_id, receipt))

    def answer(self, item: Item, command: Command, outcome: Receipt | Rejection) -> None:
        """Plan the reply to a command that makes no record."""
        if not item.reply_to:
            return
        ref, client_id = command.ref, command.client_id
        if isinstance(outcome, Receipt):
            reply = Reply(ref, client_id, outcome)
        else:
            reply = Reply(ref, client_id, None, outcome.code, outcome.detail)
        self.replies[item.reply_to].append(reply)

    def _add_unreadable(self, item: Item, reason: str) -> None:
        self.unreadable.append(Unreadable(item, reason))
        raw = item.raw if isinstance(item.raw, dict) else {}
        ref, client_id = raw.get("ref"), raw.get("client_id")
        if item.reply_to and isinstance(ref, str) and isinstance(client_id, str):
            reply = Reply(ref, client_id, None, ErrorCode.INVALID, reason)
            self.replies[item.reply_to].append(reply)


def _reason(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_url=False)[:PROBLEMS_TOLD_MAX]
    )


def entry_for(record: Record, content: bytes | None) -> Entry:
    """A record as readers see it."""
    # By position, as in `link`.
    return Entry(
        record.room,
        record.seq,
        record.kind,
        record.actor,
        record.at,
        record.client_id,
        record.target,
        record.prev.hex(),
        record.hash.hex(),
        body_of(record.kind, content),
    )
