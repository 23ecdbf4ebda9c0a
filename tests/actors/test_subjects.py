"""Subjects and ids: building and reading are inverses, and nothing else gets through."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.ids import (
    ROOM_PATTERN,
    TENANT_PATTERN,
    TENANT_ROOM,
    TOKEN_PATTERN,
    derived_id,
    is_room_id,
    is_tenant_id,
    is_token,
    time_ordered_id,
)
from actors.protocol.limits import SHARDS
from actors.protocol.subjects import (
    IngestSubject,
    RoomKind,
    StoredRoomSubject,
    ended_sessions_subject,
    ingest_subject,
    is_reply_subject,
    lane_filter,
    lane_of,
    parse_ended_sessions_subject,
    parse_ingest_subject,
    parse_stored_room_subject,
    reply_subject,
    room_stream_subjects,
    room_subject,
    shard_of,
)

tokens = st.from_regex(TOKEN_PATTERN.removeprefix("^").removesuffix("$"), fullmatch=True)
tenants = st.from_regex(TENANT_PATTERN.removeprefix("^").removesuffix("$"), fullmatch=True)
rooms = st.from_regex(ROOM_PATTERN.removeprefix("^").removesuffix("$"), fullmatch=True)


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS filter takes a subject (NATS documentation, subject-based messaging)."""
    parts = [
        "[^.]+" if token == "*" else ".+" if token == ">" else re.escape(token)
        for token in pattern.split(".")
    ]
    return re.fullmatch(r"\.".join(parts), subject) is not None


@given(
    tenants,
    rooms | st.just(TENANT_ROOM),
    st.integers(0, 63),
    st.sampled_from(["message", "command"]),
)
def test_a_stored_room_subject_is_read_back(
    tenant: str, room: str, lane: int, kind: RoomKind
) -> None:
    published = room_subject(tenant, room, kind)
    stored = f"room.{lane}.{published.removeprefix('room.')}"
    assert matches(room_stream_subjects(tenant), published)
    assert matches(lane_filter(tenant, lane), stored)
    assert parse_stored_room_subject(stored) == StoredRoomSubject(lane, tenant, room, kind)


@pytest.mark.parametrize(
    "subject",
    [
        "room.1.acme.r1",
        "room.1.acme.r1.message.more",
        "room.x.acme.r1.message",
        "room.-1.acme.r1.message",
        "ingest.1.acme.r1.message",
        "room.1.acme.r/1.message",
        "room.1.acme._other.message",
        "room.1.acme..message",
        f"room.1.acme.{'r' * 65}.message",
        "",
    ],
)
def test_a_subject_that_names_no_room_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="room"):
        parse_stored_room_subject(subject)


@given(tenants, tokens, tokens)
def test_an_ingest_subject_is_read_back(tenant: str, source: str, kind: str) -> None:
    subject = ingest_subject(tenant, source, kind)
    assert parse_ingest_subject(subject) == IngestSubject(tenant, source, kind)


@pytest.mark.parametrize(
    "subject",
    [
        "ingest.acme.qradar",
        "ingest.acme.qradar.offense.more",
        "ingest.ACME.qradar.offense",
        "ingest.acme.q$.offense",
        "ingest.acme.qradar.",
        "room.acme.qradar.offense",
    ],
)
def test_an_ingest_subject_of_another_shape_is_refused_with_what_to_do(subject: str) -> None:
    with pytest.raises(ValueError, match=r"publish on ingest|source and kind"):
        parse_ingest_subject(subject)


@given(tokens)
def test_an_actor_answers_on_reply_subjects_and_nowhere_else(process: str) -> None:
    assert is_reply_subject(reply_subject(process))
    for elsewhere in (
        process,
        f"worker.{process}",
        f"reply.{process}.x",
        f"reply.{process} x",
        f"reply.{process}\r\nPUB x",
        f"reply.{process}\n",
        "reply.*",
    ):
        assert not is_reply_subject(elsewhere)


@given(st.text(max_size=80))
def test_a_token_never_holds_what_means_something_in_a_subject(text: str) -> None:
    for accepts in (is_token, is_tenant_id, is_room_id):
        if accepts(text):
            assert 1 <= len(text) <= 64
            assert not set(text) & set(".*> \t\r\n/$\0")
            assert text.isascii()


@pytest.mark.parametrize("text", ["a\n", "", "a.b", "a b", "é", "x" * 65, "*", ">"])
def test_what_only_looks_like_a_token_is_none(text: str) -> None:
    assert not is_token(text)
    assert not is_tenant_id(text)
    assert not is_room_id(text)


@given(tenants, st.integers(0, 63))
def test_every_lane_belongs_to_one_shard_for_ever(tenant: str, lane: int) -> None:
    assert 0 <= shard_of(tenant, lane) < SHARDS
    assert shard_of("acme", 0) == 21
    assert shard_of("acme", 1) == 3


@given(st.text(min_size=1, max_size=64), st.integers(1, 64))
def test_every_room_belongs_to_one_lane(room: str, lanes: int) -> None:
    assert 0 <= lane_of(room, lanes) < lanes


def test_time_ordered_ids_sort_by_time_and_are_tokens() -> None:
    times = [0, 1, 1_795_000_000_000, 2**47]
    made = [time_ordered_id("room", at, b"\xff" * 10) for at in times]
    assert made == sorted(made)
    assert all(is_room_id(one) for one in made)
    assert time_ordered_id("room", 1, bytes(10)) != time_ordered_id("room", 1, b"x" * 10)


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_derived_id_is_the_same_for_the_same_parts_and_a_room_id(parts: list[str]) -> None:
    assert derived_id("room", *parts) == derived_id("room", *parts)
    assert is_room_id(derived_id("room", *parts))
    assert derived_id("room", *parts) != derived_id("room", *parts, "more")


def test_a_subject_of_ended_sessions_is_read_back_and_is_no_rooms() -> None:
    subject = ended_sessions_subject("acme")
    assert parse_ended_sessions_subject(subject) == "acme"
    assert matches(ended_sessions_subject("*"), subject)
    assert not is_room_id(subject.rpartition(".")[2])
    for other in ("event.acme.room_1", "room.acme._sessions", "event.acme._sessions.x"):
        with pytest.raises(ValueError, match="ended sessions"):
            parse_ended_sessions_subject(other)
