"""The three messages between processes survive the wire, and what is none of them is refused."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.protocol.commands import ROOM_COMMAND, TENANT_COMMAND, CreateRoom, Post
from actors.protocol.envelope import (
    CommandBatch,
    Entry,
    Receipt,
    Reply,
    RoomEvent,
    decode_batch,
    decode_event,
    decode_replies,
    encode_batch,
    encode_event,
    encode_replies,
    entry_id,
)
from actors.protocol.errors import ErrorCode
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.limits import BATCH_COMMANDS_MAX, TIME_MS_MAX
from actors.protocol.roles import Role

rooms = st.sampled_from(["r1", "r2", TENANT_ROOM])
texts = st.text(max_size=20)
numbers = st.integers(0, 2**53 - 1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
receipts = st.builds(
    Receipt,
    room=texts,
    seq=numbers,
    id=texts,
    kind=texts,
    hash=texts,
    prev=texts,
    at_ms=numbers,
    client_id=texts,
    duplicate=st.booleans(),
)
replies = st.builds(
    Reply,
    ref=texts,
    client_id=texts,
    receipt=st.none() | receipts,
    code=st.none() | st.sampled_from(ErrorCode),
    detail=texts,
)
entries = st.builds(
    Entry,
    room=texts,
    seq=numbers,
    kind=texts,
    actor=texts,
    at_ms=numbers,
    client_id=texts,
    target=st.none() | numbers,
    prev=texts,
    hash=texts,
    body=values,
)


@given(st.lists(st.tuples(rooms, values), max_size=4))
def test_a_batch_is_read_back_with_its_commands_in_order(asked: list[tuple[str, Any]]) -> None:
    names, commands = [room for room, _ in asked], [command for _, command in asked]
    encoded = encode_batch("reply.p1", names, [orjson.dumps(command) for command in commands])
    assert decode_batch(encoded) == CommandBatch("reply.p1", names, commands)


@given(st.lists(replies, max_size=4))
def test_replies_are_read_back(said: list[Reply]) -> None:
    assert decode_replies(encode_replies(said)) == said


@given(numbers, st.lists(entries, max_size=4))
def test_an_event_is_read_back(head: int, said: list[Entry]) -> None:
    assert decode_event(encode_event(head, said)) == RoomEvent(head, said)


def batch(**changes: Any) -> bytes:
    """A batch with one command."""
    given = {"v": 1, "reply_to": "", "rooms": ["r1"], "commands": [0], **changes}
    return orjson.dumps({name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        batch(v=2),
        batch(v=None),
        batch(reply_to=None),
        batch(reply_to=7),
        batch(reply_to="$JS.API.STREAM.DELETE.ROOM_acme"),
        batch(reply_to="reply.a\r\nPUB x 0"),
        batch(commands=None),
        batch(commands={}),
        batch(commands=[0] * (BATCH_COMMANDS_MAX + 1), rooms=["r1"] * (BATCH_COMMANDS_MAX + 1)),
        batch(commands=["?"]).replace(b"?", b"\\ud800"),
        b"[" * 2_000 + b"]" * 2_000,
    ],
)
def test_what_is_no_batch_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - orjson's own is one too, with its own words
        decode_batch(data)


def test_a_full_batch_is_read() -> None:
    full = encode_batch("", ["r1"] * BATCH_COMMANDS_MAX, [b"0"] * BATCH_COMMANDS_MAX)
    assert len(decode_batch(full).commands) == BATCH_COMMANDS_MAX


def test_a_batch_may_want_no_answer() -> None:
    assert decode_batch(batch()).reply_to == ""


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "a.b"},
        {"client_id": "a\n"},
        {"client_id": ""},
        {"actor": "é"},
        {"role": "root"},
        {"body": 7},
        {"thread": 1.5},
        {"thread": "x"},
        {"more": 1},
        {"type": "shout"},
    ],
)
def test_a_command_is_read_strictly(change: dict[str, Any]) -> None:
    good = Post(client_id="c1", actor="olga", role=Role.ANALYST, body="x").model_dump(mode="json")
    ROOM_COMMAND.validate_python(good)
    with pytest.raises(ValidationError):
        ROOM_COMMAND.validate_python({**good, **change})


@pytest.mark.parametrize("raw", [None, 7, "post", [], {}])
def test_what_is_no_command_at_all_is_refused(raw: Any) -> None:
    with pytest.raises(ValidationError):
        ROOM_COMMAND.validate_python(raw)


@pytest.mark.parametrize("expires_ms", [-1, TIME_MS_MAX + 1, 2**70])
def test_a_time_that_no_calendar_has_is_refused(expires_ms: int) -> None:
    opening = {
        "type": "open_session",
        "client_id": "c1",
        "actor": "u1",
        "role": "analyst",
        "session": "s1",
        "user": "u1",
        "refresh": "0" * 64,
    }
    TENANT_COMMAND.validate_python({**opening, "expires_ms": TIME_MS_MAX})
    with pytest.raises(ValidationError):
        TENANT_COMMAND.validate_python({**opening, "expires_ms": expires_ms})


def test_commands_survive_the_wire() -> None:
    asked = CreateRoom(
        client_id="c1", actor="olga", role=Role.ANALYST, name="x", open_to=frozenset(Role)
    )
    sent = encode_batch("", ["r1"], [asked.model_dump_json().encode()])
    assert ROOM_COMMAND.validate_python(decode_batch(sent).commands[0]) == asked


def test_the_id_of_an_entry_is_its_room_and_seq() -> None:
    assert entry_id("r1", 7) == "r1.7"
