"""Frames: what clients may send, what servers send, byte for byte."""

from collections.abc import Generator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from actors.protocol.envelope import Entry
from actors.protocol.errors import ErrorCode
from gateway.frames import (
    BadFrame,
    Hello,
    Ping,
    PostFrame,
    Subscribe,
    Unsubscribe,
    encode_entry,
    encode_frame,
    encode_text_frame,
    read_frame,
    rfc3339,
)

ENTRY = Entry(
    room="room_1",
    seq=7,
    kind="message",
    actor="usr_ana",
    at_ms=1_763_800_000_042,
    client_id="c-1",
    target=None,
    prev="a" * 64,
    hash="b" * 64,
    body="caf\u00e9",
)


def parsed_by_websockets(data: bytes) -> Frame:
    """One frame, read by the websockets library as a client would read it."""
    reader = StreamReader()
    reader.feed_data(data)
    reading: Generator[None, None, Frame] = Frame.parse(reader.read_exact, mask=False)
    try:
        while True:
            next(reading)
    except StopIteration as done:
        frame: Frame = done.value
    assert not reader.buffer
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_frame_of_any_size_is_what_another_implementation_reads(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))

    frame = parsed_by_websockets(encode_text_frame(payload))

    assert frame == Frame(Opcode.TEXT, payload)


def entry_with(**changes: Any) -> Entry:
    """The sample entry with some fields changed."""
    names = Entry.__slots__
    return Entry(**{name: changes.get(name, getattr(ENTRY, name)) for name in names})


def test_an_entry_has_its_keys_in_the_order_of_the_contract() -> None:
    encoded = encode_entry(entry_with(target=3))

    shared, own = orjson.loads(encoded.payload), orjson.loads(encoded.own_payload())
    keys = ["type", "room", "seq", "id", "kind", "actor", "at", "body", "thread", "prev", "hash"]
    assert list(shared) == keys
    assert list(own) == [*keys[:9], "client_id", *keys[9:]]
    assert own == {**shared, "client_id": "c-1"}
    assert own["at"] == "2025-11-22T08:26:40.042Z"
    assert own["id"] == "room_1.7"


def test_an_entry_points_at_a_thread_if_it_is_a_message_and_at_a_target_otherwise() -> None:
    message = orjson.loads(encode_entry(entry_with(target=3)).payload)
    other = orjson.loads(encode_entry(entry_with(target=3, kind="edit", body={})).payload)
    neither = orjson.loads(encode_entry(ENTRY).payload)

    assert message["thread"] == 3
    assert "target" not in message
    assert other["target"] == 3
    assert "thread" not in other
    assert not {"thread", "target"} & set(neither)


@given(
    body=st.none() | st.text() | st.dictionaries(st.text(), st.integers(0, 9)),
    client_id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    target=st.none() | st.integers(1, 2**53 - 1),
)
def test_the_copy_for_the_author_is_the_shared_one_and_the_client_id(
    body: Any, client_id: str, target: int | None
) -> None:
    encoded = encode_entry(entry_with(body=body, client_id=client_id, target=target))

    shared, own = orjson.loads(encoded.payload), orjson.loads(encoded.own_payload())
    assert shared["body"] == body
    assert own == {**shared, "client_id": client_id}
    assert encoded.payload_for("usr_ana", 0) == encoded.own_payload()
    assert encoded.payload_for("usr_bob", 0) == encoded.payload


@given(st.integers(0, 253_402_300_799_999))
def test_times_are_rfc_3339_in_utc_with_milliseconds(unix_ms: int) -> None:
    text = rfc3339(unix_ms)

    assert len(text) == len("2025-11-22T08:26:40.042Z")
    assert text.endswith(f".{unix_ms % 1000:03d}Z")


def test_other_frames_leave_out_what_is_not_known() -> None:
    frame = parsed_by_websockets(encode_frame("rejected", room="r", client_id=None, code="invalid"))

    assert orjson.loads(bytes(frame.data)) == {"type": "rejected", "room": "r", "code": "invalid"}


GOOD: dict[bytes, Any] = {
    b'{"type":"hello","token":"t"}': Hello(type="hello", token="t"),
    b'{"type":"subscribe","room":"r"}': Subscribe(type="subscribe", room="r"),
    b'{"type":"subscribe","room":"r","after":0}': Subscribe(type="subscribe", room="r", after=0),
    b'{"type":"unsubscribe","room":"r"}': Unsubscribe(type="unsubscribe", room="r"),
    b'{"type":"post","room":"r","client_id":"c","kind":"message","body":"hi"}': PostFrame(
        type="post", room="r", client_id="c", body="hi"
    ),
    b'{"type":"post","room":"r","client_id":"c","body":"hi","thread":3}': PostFrame(
        type="post", room="r", client_id="c", body="hi", thread=3
    ),
    b'{"type":"ping","n":1}': Ping(type="ping", n=1),
    b'{"type":"ping"}': Ping(type="ping"),
}
BAD = [
    b"{}",
    b"[]",
    b"hello",
    b'{"type":"ping","type":"ping"}',
    b'{"type":"shout"}',
    b'{"type":7}',
    b'{"type":"hello"}',
    b'{"type":"hello","token":7}',
    b'{"type":"hello","token":"t","more":1}',
    b'{"type":"subscribe","room":"r","after":-1}',
    b'{"type":"subscribe","room":"r","after":true}',
    b'{"type":"subscribe","room":"r","after":"1"}',
    b'{"type":"subscribe","room":"r","after":1.0}',
    b'{"type":"subscribe","room":"r","after":9007199254740992}',
    b'{"type":"subscribe","room":"_tenant"}',
    b'{"type":"subscribe","room":"a.b"}',
    b'{"type":"subscribe","room":"*"}',
    b'{"type":"subscribe","room":"a\\n"}',
    b'{"type":"subscribe","room":""}',
    b'{"type":"subscribe","room":null}',
    b'{"type":"post","room":"r","client_id":"a b","body":"x"}',
    b'{"type":"post","room":"r","client_id":"c"}',
    b'{"type":"post","room":"r","client_id":"c","body":null}',
    b'{"type":"post","room":"r","client_id":"c","body":{"$ne":null}}',
    b'{"type":"post","room":"r","client_id":"c","body":"x","kind":"finding"}',
    b'{"type":"post","room":"r","client_id":"c","body":"x","thread":0}',
    b'{"type":"post","room":"r","client_id":"c","body":"x","actor":"usr_bob"}',
    b'{"type":"post","room":"r","client_id":"c","body":"x","role":"system"}',
    b'{"type":"ping","n":true}',
    b'{"type":"ping","n":{}}',
    b'{"type":"ping","n":"' + b"x" * 65 + b'"}',
]


@pytest.mark.parametrize(("data", "frame"), GOOD.items())
def test_a_frame_of_the_contract_is_read(data: bytes, frame: Any) -> None:
    assert read_frame(data) == frame


@pytest.mark.parametrize("data", BAD)
def test_a_frame_that_is_not_of_the_contract_is_a_bad_frame(data: bytes) -> None:
    with pytest.raises(BadFrame) as caught:
        read_frame(data)

    assert caught.value.code is ErrorCode.BAD_FRAME


def test_a_bad_frame_is_described_without_its_values() -> None:
    with pytest.raises(BadFrame) as wrong_type:
        read_frame(b'{"type":"secret-word"}')
    with pytest.raises(BadFrame) as wrong_field:
        read_frame(b'{"type":"hello","token":{"secret-word":1}}')

    assert "secret-word" not in wrong_type.value.detail
    assert "secret-word" not in wrong_field.value.detail
    assert "token" in wrong_field.value.detail


def test_a_token_shows_in_no_printed_frame() -> None:
    assert "secret-word" not in repr(read_frame(b'{"type":"hello","token":"secret-word"}'))
