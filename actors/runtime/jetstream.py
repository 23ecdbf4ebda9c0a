"""The connection to NATS, and publishing that waits for JetStream's word. No domain words here."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

log = structlog.get_logger(__name__)

RECONNECT_WAIT_S: Final = 0.2
PING_INTERVAL_S: Final = 10
"""A half-open link is noticed after two silent intervals; the client's default is four minutes."""
CONNECT_TIMEOUT_S: Final = 2
PENDING_BYTES_MAX: Final = 8 * 1024 * 1024
"""What is buffered while the server is away."""


class PublishFailed(Exception):
    """JetStream refused a message or gave no answer; whether it is stored is unknown."""


@dataclass(frozen=True, slots=True)
class PubAck:
    """JetStream's word that it buffered a message."""

    stream: str
    seq: int
    duplicate: bool


class Bus:
    """One connection, shared by everything in a process."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._listeners: list[Callable[[], Awaitable[None]]] = []
        self._waiting: dict[str, asyncio.Future[PubAck]] = {}
        self._numbers = itertools.count()
        self._inbox = client.new_inbox()

    @classmethod
    async def connect(cls, url: str, credentials: Path, name: str) -> "Bus":
        """Connect and stay connected: the client reconnects for ever.

        Args:
            url: of one or more servers, by comma.
            credentials: a .creds file.
            name: shown in the server's connection list.
        """
        client = Client()
        bus = cls(client)

        async def on_error(error: Exception) -> None:
            log.warning("nats.error", error=repr(error))

        async def on_disconnected() -> None:
            log.warning("nats.disconnected")

        async def on_reconnected() -> None:
            log.info("nats.reconnected")
            for listener in bus._listeners:
                await listener()

        await client.connect(
            servers=url.split(","),
            name=name,
            user_credentials=str(credentials),
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # it only sleeps so long
            ping_interval=PING_INTERVAL_S,
            connect_timeout=CONNECT_TIMEOUT_S,
            pending_size=PENDING_BYTES_MAX,
        )
        await client.subscribe(f"{bus._inbox}.*", cb=bus._on_ack)
        return bus

    def on_reconnect(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Call `listener` after every reconnect."""
        self._listeners.append(listener)

    @property
    def is_connected(self) -> bool:
        """Whether the server can be reached now, as far as is known."""
        return bool(self.client.is_connected)

    async def flush(self) -> None:
        """Return when the server has all that was written before.

        Raises:
            nats.errors.Error: the server does not answer.
        """
        # Twice: nats-py 2.16 writes the ping of a flush ahead of what waits to be written.
        await self.client.flush()
        await self.client.flush()

    async def publish_acked(
        self, subject: str, data: bytes, *, timeout_s: float, headers: dict[str, str] | None = None
    ) -> PubAck:
        """Publish and wait until JetStream has buffered the message.

        One inbox serves all: the client library's own publish costs several times as much.

        Raises:
            PublishFailed: refused, or no answer in time.
        """
        reply = f"{self._inbox}.{next(self._numbers)}"
        future: asyncio.Future[PubAck] = asyncio.get_running_loop().create_future()
        self._waiting[reply] = future
        try:
            await self.client.publish(subject, data, reply=reply, headers=headers)
            async with asyncio.timeout(timeout_s):
                return await future
        except (TimeoutError, NatsError) as error:
            raise PublishFailed(f"no acknowledgement for {subject}: {error!r}") from error
        finally:
            del self._waiting[reply]

    async def _on_ack(self, message: Msg) -> None:
        future = self._waiting.get(message.subject)
        if future is None or future.done():
            return
        if not message.data:
            future.set_exception(PublishFailed("no stream listens to this subject"))
            return
        answer = json.loads(message.data)
        if "error" in answer:
            future.set_exception(PublishFailed(str(answer["error"].get("description"))))
            return
        future.set_result(
            PubAck(answer["stream"], answer["seq"], bool(answer.get("duplicate", False)))
        )

    async def close(self) -> None:
        """Send what is buffered and disconnect."""
        if not self.client.is_closed:
            if self.client.is_connected:
                await self.client.drain()
            await self.client.close()


__all__ = ["Bus", "NatsError", "PubAck", "PublishFailed"]
