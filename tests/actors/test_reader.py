"""Reading a lane: in order, with a bound on what waits, and any doubt ends the opening."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from nats.js.errors import NotFoundError

from actors.protocol.envelope import encode_batch
from actors.protocol.limits import LANES_DEFAULT
from actors.protocol.subjects import lane_filter, lane_of, room_stream, room_subject
from actors.runtime import reader
from actors.runtime.jetstream import Bus
from actors.runtime.reader import BATCH_MESSAGES, WAITING_MESSAGES_MAX, LaneReader, sequences
from deploy.local.stack import LocalStack
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

EMPTY = encode_batch("", [], [])
MANY = WAITING_MESSAGES_MAX + 2 * BATCH_MESSAGES


@dataclass
class Reading:
    """A reader and what it has said."""

    bus: Bus
    publisher: Bus
    tenant: str
    lane: int
    stream_seqs: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def opened(self, name: str) -> LaneReader:
        """A reader that tells this object all."""
        return LaneReader(
            self.bus,
            room_stream(self.tenant),
            name,
            lambda _, __, seq: self.stream_seqs.append(seq),
            self.reasons.append,
        )

    async def publish(self, messages: int) -> None:
        """Put messages into the lane."""
        subject = room_subject(self.tenant, "r1", "message")
        await asyncio.gather(
            *(self.publisher.publish_acked(subject, EMPTY, timeout_s=15) for _ in range(messages))
        )

    async def heard(self, messages: int) -> None:
        """So many messages have come."""

        async def enough() -> bool | None:
            return True if len(self.stream_seqs) >= messages else None

        await eventually(enough, f"{messages} messages")

    async def broken(self) -> str:
        """Why the reader has ended."""

        async def reason() -> str | None:
            return self.reasons[0] if self.reasons else None

        return await eventually(reason, "the end of the reader")


@pytest.fixture
async def reading(stack: LocalStack, tenant: str) -> AsyncIterator[Reading]:
    bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("actors"), "reader")
    publisher = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("gateway"), "gw")
    yield Reading(bus, publisher, tenant, lane_of("r1", LANES_DEFAULT))
    await bus.close()
    await publisher.close()


async def test_a_lane_is_read_in_order_from_a_sequence_on(reading: Reading) -> None:
    await reading.publish(BATCH_MESSAGES * 2)
    lane = reading.opened("in-order")
    await lane.open(lane_filter(reading.tenant, reading.lane), 5)
    await reading.heard(BATCH_MESSAGES * 2 - 4)
    await reading.publish(1)
    await reading.heard(BATCH_MESSAGES * 2 - 3)
    assert reading.stream_seqs == list(range(5, BATCH_MESSAGES * 2 + 2))
    assert reading.reasons == []
    await lane.close()


async def test_what_nobody_consumes_is_not_read_on_and_its_silence_is_no_fault(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reading.publish(MANY)
    lane = reading.opened("unconsumed")
    await lane.open(lane_filter(reading.tenant, reading.lane), 1)
    await reading.heard(WAITING_MESSAGES_MAX)
    await reading.bus.flush()
    waiting = len(reading.stream_seqs)
    assert waiting < MANY
    monkeypatch.setattr(reader, "SILENCE_MAX_S", -1.0)
    lane.check_silence()
    assert reading.reasons == []
    await lane.consumed(waiting)
    await reading.heard(MANY)
    lane.check_silence()
    assert reading.reasons == ["no heartbeat"]
    await lane.close()


async def test_a_consumer_that_is_taken_away_ends_the_opening(reading: Reading) -> None:
    lane = reading.opened("taken-away")
    await lane.open(lane_filter(reading.tenant, reading.lane), 1)
    await reading.publish(1)
    await reading.heard(1)
    js = reading.bus.client.jetstream()
    await js.delete_consumer(room_stream(reading.tenant), "taken-away")
    assert (await reading.broken()).startswith("409")
    await reading.publish(1)
    assert reading.stream_seqs == [1]
    await lane.close()


async def test_a_message_that_somebody_else_got_ends_the_opening(reading: Reading) -> None:
    lane = reading.opened("shared")
    await lane.open(lane_filter(reading.tenant, reading.lane), 1)
    await reading.publish(1)
    await reading.heard(1)
    thief = await reading.bus.client.jetstream().pull_subscribe_bind(
        consumer="shared", stream=room_stream(reading.tenant)
    )
    stealing = asyncio.create_task(thief.fetch(BATCH_MESSAGES, timeout=5))
    await reading.bus.flush()
    await reading.publish(4 * BATCH_MESSAGES)
    await stealing
    assert "consumer sequence" in await reading.broken()
    assert reading.stream_seqs == list(range(1, len(reading.stream_seqs) + 1))
    await lane.close()


async def test_closing_takes_the_consumer_away(reading: Reading) -> None:
    lane = reading.opened("closed")
    await lane.open(lane_filter(reading.tenant, reading.lane), 1)
    await lane.close()
    js = reading.bus.client.jetstream()
    with pytest.raises(NotFoundError):
        await js.consumer_info(room_stream(reading.tenant), "closed")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("$JS.ACK.ROOM_acme.lane0.1.17.4.1795000000000000000.9", (17, 4)),
        ("$JS.ACK.hub.ACC1.ROOM_acme.lane0.1.17.4.1795000000000000000.9", (17, 4)),
        ("$JS.ACK.hub.ACC1.ROOM_acme.lane0.1.17.4.1795000000000000000.9.x7", (17, 4)),
    ],
)
def test_both_forms_of_a_reply_subject_tell_the_sequences(
    reply: str, expected: tuple[int, int]
) -> None:
    assert sequences(reply) == expected
