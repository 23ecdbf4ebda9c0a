"""The checker finds what it is there to find: a good history passes, each spoilt one does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from store.entries import StoredEntry
from tests.faults.checker import NEVER, History, Operation, Seen, check
from tests.support.chains import Chain

ROOM = "r1"
Spoil = Callable[[History, list[StoredEntry]], None]


def good() -> tuple[History, list[StoredEntry]]:
    """Two writers take turns; the last operation has no answer, and was done."""
    history, entries = History(), []
    chain = Chain("acme", ROOM)
    for number in range(8):
        writer, body = ("ann", "bob")[number % 2], f"text {number}"
        (record,) = chain.commit(body, actor=writer).records
        entries.append(
            StoredEntry(
                room=ROOM,
                seq=record.seq,
                kind="message",
                actor=writer,
                at_ms=record.at,
                client_id=record.client_id,
                target=None,
                prev=record.prev,
                hash=record.hash,
                content=body.encode(),
            )
        )
        operation = Operation(writer, ROOM, record.client_id, body, began=number * 10)
        if number < 7:
            operation.ended, operation.seq = number * 10 + 5, record.seq
            operation.hash = record.hash.hex()
            history.seen.append(Seen(ROOM, record.seq, record.hash.hex()))
        history.operations.append(operation)
    return history, entries


def drop(history: History, entries: list[StoredEntry]) -> None:
    """An acknowledged entry in the middle is gone."""
    del entries[3]


def cut(history: History, entries: list[StoredEntry]) -> None:
    """The acknowledged tail is gone, so that what is left is a good chain."""
    del entries[5:]


def double(history: History, entries: list[StoredEntry]) -> None:
    """One was committed twice."""
    entries.append(replace(entries[2], seq=9, prev=entries[-1].hash, hash=b"9" * 32))


def swap(history: History, entries: list[StoredEntry]) -> None:
    """Two entries change places."""
    entries[2], entries[3] = entries[3], entries[2]


def wrong_hash(history: History, entries: list[StoredEntry]) -> None:
    """A receipt names another hash than the chain."""
    history.operations[4].hash = "0" * 64


def wrong_seq(history: History, entries: list[StoredEntry]) -> None:
    """A receipt names another place than the chain."""
    history.operations[6].seq = 6


def other_body(history: History, entries: list[StoredEntry]) -> None:
    """An entry says something else than was sent."""
    entries[1] = replace(entries[1], content=b"something else")


def invent(history: History, entries: list[StoredEntry]) -> None:
    """There is an entry that nobody sent."""
    history.operations.pop(7)


def refuse(history: History, entries: list[StoredEntry]) -> None:
    """Somebody was told no, and it was done."""
    history.operations[7].refused = True


def reorder_one_writer(history: History, entries: list[StoredEntry]) -> None:
    """A writer's later post stands before his earlier one, all at the same time."""
    for operation in history.operations:
        operation.began, operation.ended = 0, NEVER - 1
    first, second = history.operations[0], history.operations[2]
    history.operations[0], history.operations[2] = second, first


def late_comes_first(history: History, entries: list[StoredEntry]) -> None:
    """Something stands before what was acknowledged long before it was sent."""
    history.operations[2].began, history.operations[2].ended = 1_000, 1_005
    history.operations[2].attempts = 2


def fork(history: History, entries: list[StoredEntry]) -> None:
    """Somebody was told of another entry at a place."""
    history.seen[5] = Seen(ROOM, history.seen[5].seq, "f" * 64)


def announce_too_early(history: History, entries: list[StoredEntry]) -> None:
    """Somebody was told of an entry that was never committed."""
    history.seen.append(Seen(ROOM, 9, "9" * 64))


def unlink(history: History, entries: list[StoredEntry]) -> None:
    """An entry does not follow the one before."""
    entries[4] = replace(entries[4], prev=bytes(32))


SPOILS = (
    drop,
    cut,
    double,
    swap,
    wrong_hash,
    wrong_seq,
    other_body,
    invent,
    refuse,
    reorder_one_writer,
    late_comes_first,
    fork,
    announce_too_early,
    unlink,
)


def test_a_good_history_passes() -> None:
    history, entries = good()
    assert check(history, {ROOM: entries}) == []


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_a_spoilt_history_is_flagged(spoil: Spoil) -> None:
    history, entries = good()
    spoil(history, entries)
    assert check(history, {ROOM: entries})


def test_what_has_no_answer_may_not_have_been_done() -> None:
    history, entries = good()
    assert check(history, {ROOM: entries[:7]}) == []


def test_what_was_sent_again_may_stand_later_than_it_was_first_sent() -> None:
    history, entries = good()
    for operation in history.operations:
        operation.began, operation.ended = 0, NEVER - 1
    history.operations.append(history.operations.pop(1))
    assert check(history, {ROOM: entries})
    history.operations[-1].attempts = 2
    assert check(history, {ROOM: entries}) == []


def test_a_room_whose_chain_is_gone_is_noticed() -> None:
    history, _ = good()
    assert check(history, {})
