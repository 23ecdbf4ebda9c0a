"""Linking: seq, prev, time, and what a draft becomes."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.chain import Draft, Head, Source, head_of, link
from store.record import GENESIS, SALT_BYTES, commitment

SCOPE = ("acme", "war-room", 3)
SALT = bytes(range(SALT_BYTES))
DRAFT = Draft("message", "ana", "c-1", 7, "Grüße".encode(), Source(2, 41, 5))


def test_the_first_record_follows_nothing() -> None:
    record = link(SCOPE, Head(), DRAFT, at=1_000, salt=SALT)
    assert (record.seq, record.prev) == (1, GENESIS) == (1, bytes(32))


def test_a_record_follows_the_head_before_it() -> None:
    first = link(SCOPE, Head(), DRAFT, at=1_000, salt=SALT)
    second = link(SCOPE, head_of(first), DRAFT, at=1_001, salt=SALT)
    assert (second.seq, second.prev, second.at) == (2, first.hash, 1_001)
    assert second.hash == second.computed_hash() != first.hash


def test_a_record_says_what_the_draft_and_the_scope_said() -> None:
    record = link(SCOPE, Head(), DRAFT, at=1_000, salt=SALT)
    assert (record.tenant, record.room, record.epoch) == SCOPE
    assert (record.kind, record.actor, record.client_id) == ("message", "ana", "c-1")
    assert (record.target, record.content_length) == (7, len(DRAFT.content))
    assert (record.lane, record.src, record.index) == DRAFT.source
    assert record.commit == commitment(SALT, DRAFT.content)


@given(st.lists(st.integers(0, 2**53 - 1), min_size=1, max_size=20))
def test_time_never_runs_backwards(clock: list[int]) -> None:
    head, times = Head(), []
    for at in clock:
        record = link(SCOPE, head, DRAFT, at=at, salt=SALT)
        times.append(record.at)
        head = head_of(record)
    assert times == sorted(times)
    assert times[-1] == max(clock)


def test_equal_words_give_different_records_under_fresh_salt() -> None:
    records = [link(SCOPE, Head(), DRAFT, 1_000, os.urandom(SALT_BYTES)) for _ in range(2)]
    assert records[0].commit != records[1].commit
    assert records[0].hash != records[1].hash


def test_a_salt_of_another_length_is_a_fault_of_the_program() -> None:
    with pytest.raises(AssertionError):
        link(SCOPE, Head(), DRAFT, at=1_000, salt=SALT[:-1])


def test_the_head_after_a_record_is_that_record() -> None:
    record = link(SCOPE, Head(8, bytes(32), 2, 900), DRAFT, at=1_000, salt=SALT)
    assert head_of(record) == Head(9, record.hash, 3, 1_000)
