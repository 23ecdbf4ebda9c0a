"""What must hold of a history of posts, whatever has crashed meanwhile.

Linear in the number of operations: the seq of a chain is a total order already, so there is nothing to
search. An operation whose outcome is not known may have been done once or not at all.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from actors.protocol.events import MESSAGE
from store.entries import StoredEntry

NEVER: Final = 2**63
FINDINGS_MAX: Final = 50


@dataclass(slots=True)
class Operation:
    """One post of one writer. Times are of the monotonic clock in nanoseconds.

    `seq` and `hash` are those of the receipt; `refused` tells that the actor said no. With neither,
    nobody knows. `attempts` counts how often it was sent under its one client_id.
    """

    writer: str
    room: str
    client_id: str
    body: str
    began: int
    ended: int = NEVER
    seq: int | None = None
    hash: str = ""
    refused: bool = False
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """An entry as somebody was told of it."""

    room: str
    seq: int
    hash: str


@dataclass
class History:
    """All that was asked and all that was told."""

    operations: list[Operation] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)


def check(history: History, chains: Mapping[str, Sequence[StoredEntry]]) -> list[str]:
    """What does not hold, in words; empty if all does.

    Args:
        history: of the posts to these rooms.
        chains: every room's entries, in the order of their keys.
    """
    findings: list[str] = []
    for room, entries in chains.items():
        operations = [one for one in history.operations if one.room == room]
        findings += _chain(room, entries)
        findings += _once(room, operations, entries)
        findings += _real_time(room, operations)
        findings += _told(room, (one for one in history.seen if one.room == room), entries)
    findings += _program_order(history.operations)
    unknown_rooms = {one.room for one in history.operations} - chains.keys()
    findings += [f"{room}: has no chain" for room in sorted(unknown_rooms)]
    return findings[:FINDINGS_MAX]


def _chain(room: str, entries: Sequence[StoredEntry]) -> Iterable[str]:
    for position, entry in enumerate(entries, start=1):
        if entry.seq != position:
            yield f"{room}: seq {entry.seq} where {position} is due"
            return
    for before, entry in pairwise(entries):
        if entry.prev != before.hash:
            yield f"{room}/{entry.seq}: does not follow the entry before it"


def _once(room: str, operations: list[Operation], entries: Sequence[StoredEntry]) -> Iterable[str]:
    stored: dict[tuple[str, str], list[StoredEntry]] = defaultdict(list)
    for entry in entries:
        if entry.kind == MESSAGE:
            stored[(entry.actor, entry.client_id)].append(entry)
    for operation in operations:
        found = stored.pop((operation.writer, operation.client_id), [])
        yield from _one_operation(
            f"{room}: {operation.writer}/{operation.client_id}", operation, found
        )
    for writer, client_id in stored:
        yield f"{room}: {writer}/{client_id} was sent by nobody"


def _one_operation(name: str, operation: Operation, found: list[StoredEntry]) -> Iterable[str]:
    if len(found) > 1:
        yield f"{name} is there {len(found)} times"
    if operation.refused and found:
        yield f"{name} was refused, and is there"
    if operation.seq is not None and not found:
        yield f"{name} was acknowledged, and is not there"
    for entry in found:
        if entry.content != operation.body.encode():
            yield f"{name} has another content"
        if operation.seq is not None and (operation.seq, operation.hash) != (
            entry.seq,
            entry.hash.hex(),
        ):
            yield f"{name} was acknowledged as {operation.seq}, and is {entry.seq} or has another hash"


def _real_time(room: str, operations: list[Operation]) -> Iterable[str]:
    """What was acknowledged before another was sent comes before it."""
    done = sorted((one for one in operations if one.seq is not None), key=lambda one: one.ended)
    highest, next_done = 0, 0
    for operation in sorted(operations, key=lambda one: one.began):
        while next_done < len(done) and done[next_done].ended < operation.began:
            highest = max(highest, done[next_done].seq or 0)
            next_done += 1
        if operation.seq is not None and operation.seq < highest:
            yield f"{room}/{operation.seq}: was sent after {highest} was acknowledged"


def _program_order(operations: list[Operation]) -> Iterable[str]:
    """What a writer sends to a room stands in the order in which he sent it.

    Operations that were sent again are left out: between two attempts others may pass.
    """
    last: dict[tuple[str, str], int] = {}
    for operation in operations:
        if operation.seq is None or operation.attempts > 1:
            continue
        key = (operation.writer, operation.room)
        if operation.seq < last.get(key, 0):
            yield f"{operation.room}/{operation.seq}: {operation.writer} sent it after {last[key]}"
        last[key] = operation.seq


def _told(room: str, seen: Iterable[Seen], entries: Sequence[StoredEntry]) -> Iterable[str]:
    """Nobody was ever told of an entry that is not, or not so, in the chain."""
    hashes = {entry.seq: entry.hash.hex() for entry in entries}
    for one in seen:
        if hashes.get(one.seq) != one.hash:
            yield f"{room}/{one.seq}: somebody was told of another entry"
