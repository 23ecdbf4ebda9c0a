"""The bare server is a fair limit: it sends what the gateway sends, to everybody, in order."""

import orjson
import pytest

from actors.protocol.envelope import Entry
from deploy.bench.fanout import ACTOR, BareRoom, Member
from deploy.bench.limits import bare_fanout
from gateway.frames import EncodedEntry, encode_entry, encode_text_frame


class Wire:
    """Keeps what is written, in the place of a socket."""

    def __init__(self) -> None:
        self.underlying_transport = self
        self.written = b""

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.written += data


def gateways_entry(room: str, seq: int, body: str) -> EncodedEntry:
    """The same entry as the gateway encodes it."""
    return encode_entry(
        Entry(
            room=room,
            seq=seq,
            kind="message",
            actor=ACTOR.decode(),
            at_ms=1_767_225_600_000,
            client_id="abc0w1_k16-99-12345",
            target=None,
            prev="5e" * 32,
            hash="5e" * 32,
            body=body,
        )
    )


async def test_its_frames_are_the_gateways_byte_for_byte() -> None:
    body, name = "@@x@@" + "a" * 251, "room_" + "0" * 32
    sender, other = Wire(), Wire()
    room = BareRoom(name.encode(), members=[Member(other), Member(sender)])  # type: ignore[arg-type]
    room.post(room.members[1], {"body": body, "client_id": "abc0w1_k16-99-12345"})
    room._flush()
    expected = gateways_entry(name, 1, body)
    assert other.written == encode_text_frame(expected.payload)
    assert sender.written == encode_text_frame(expected.own_payload())
    assert orjson.loads(expected.payload)["at"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.paced
async def test_everything_that_is_sent_arrives_at_all_clients_in_order() -> None:
    result = await bare_fanout(0.3)
    assert result.acknowledged == result.sent > 0
    assert result.delivered == result.acknowledged * 5
    assert (result.lost, result.doubled, result.reordered, result.faults) == (0, 0, 0, {})
