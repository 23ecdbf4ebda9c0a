"""Reading a lane: a raw pull into a callback, on a consumer of its own for every opening.

The client library's `fetch` costs six times as much a message. Nothing is acknowledged: the record
in MongoDB is the acknowledgement. A consumer shared between two owners would hand a zombie every
other message, so each opening makes its own, in the server's memory, and any doubt (a gap, a missed
heartbeat, a 409) ends it: the owner opens again at its cursor.
"""

import json
import time
from collections.abc import Callable
from typing import Final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from actors.runtime.jetstream import Bus

BATCH_MESSAGES: Final = 64
"""Messages asked for at once."""
WAITING_MESSAGES_MAX: Final = 4 * BATCH_MESSAGES
"""Messages that may wait in memory for a commit before no more are asked for."""
HEARTBEAT_S: Final = 2.0
SILENCE_MAX_S: Final = 3 * HEARTBEAT_S
PULL_EXPIRES_S: Final = 30.0
INACTIVE_S: Final = 15.0
"""After this the server forgets a consumer that nobody reads."""
NANOSECONDS: Final = 1_000_000_000

PULL: Final = json.dumps(
    {
        "batch": BATCH_MESSAGES,
        "expires": int(PULL_EXPIRES_S * NANOSECONDS),
        "idle_heartbeat": int(HEARTBEAT_S * NANOSECONDS),
    }
).encode()


class LaneReader:
    """One opening of one lane."""

    def __init__(
        self,
        bus: Bus,
        stream: str,
        name: str,
        on_message: Callable[[str, bytes, int], None],
        on_broken: Callable[[str], None],
    ) -> None:
        """`on_message` takes subject, data and stream sequence; `on_broken` a reason, once."""
        self._bus = bus
        self._stream = stream
        self._name = name
        self._on_message = on_message
        self._on_broken = on_broken
        self._subscription: Subscription | None = None
        self._consumer_seq = 0
        self._asked = 0
        self._waiting = 0
        self._broken = False
        self._heard = time.monotonic()
        self._inbox = bus.client.new_inbox()

    async def open(self, subject_filter: str, start_seq: int) -> None:
        """Start at a stream sequence.

        Raises:
            nats.errors.Error: the server refused or can't be reached.
        """
        self._subscription = await self._bus.client.subscribe(self._inbox, cb=self._on_raw)
        await self._bus.client.jetstream().add_consumer(
            self._stream,
            ConsumerConfig(
                name=self._name,
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=max(1, start_seq),
                filter_subject=subject_filter,
                inactive_threshold=INACTIVE_S,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        self._heard = time.monotonic()
        await self._pull()

    async def _pull(self) -> None:
        self._asked += BATCH_MESSAGES
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        try:
            await self._bus.client.publish(subject, PULL, reply=self._inbox)
        except NatsError as error:
            self._break(repr(error))

    async def _on_raw(self, message: Msg) -> None:
        self._heard = time.monotonic()
        if self._broken:
            return
        if not message.reply:
            self._on_status(message)
        else:
            self._on_stored(message)
        await self._pull_if_wanted()

    def _on_stored(self, message: Msg) -> None:
        stream_seq, consumer_seq = sequences(message.reply)
        if consumer_seq != self._consumer_seq + 1:
            self._break(f"consumer sequence {consumer_seq} after {self._consumer_seq}")
            return
        self._consumer_seq = consumer_seq
        self._asked -= 1
        self._waiting += 1
        self._on_message(message.subject, message.data, stream_seq)

    def _on_status(self, message: Msg) -> None:
        headers = message.headers or {}
        status = headers.get("Status", "")
        if status == "100":
            return
        if status in ("404", "408"):
            self._asked -= int(headers.get("Nats-Pending-Messages", BATCH_MESSAGES))
            return
        self._break(f"{status} {headers.get('Description', '')}")

    async def _pull_if_wanted(self) -> None:
        if (
            not self._broken
            and self._asked < BATCH_MESSAGES // 2
            and self._waiting < WAITING_MESSAGES_MAX
        ):
            await self._pull()

    async def consumed(self, messages: int) -> None:
        """Tell the reader that so many messages were committed or refused."""
        self._waiting -= messages
        await self._pull_if_wanted()

    def check_silence(self) -> None:
        """Break if the server has been silent for too long. It beats only while a pull is open."""
        if not self._broken and self._asked > 0 and time.monotonic() - self._heard > SILENCE_MAX_S:
            self._break("no heartbeat")

    def _break(self, reason: str) -> None:
        if not self._broken:
            self._broken = True
            self._on_broken(reason)

    async def close(self) -> None:
        """Stop reading and take the consumer away; what fails of it the server does by itself."""
        self._broken = True
        try:
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            if self._bus.is_connected:
                await self._bus.client.jetstream().delete_consumer(self._stream, self._name)
        except (NatsError, TimeoutError):
            return


def sequences(reply: str) -> tuple[int, int]:
    """Stream and consumer sequence from a message's reply subject (ADR-15; two forms)."""
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7
    return int(tokens[first]), int(tokens[first + 1])
