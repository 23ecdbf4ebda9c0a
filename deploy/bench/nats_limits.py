"""What JetStream takes from one publisher that waits for every acknowledgement."""

import asyncio
import os
import time
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StorageType, StreamConfig

from deploy.bench.errors import BenchError
from deploy.bench.load import BODY_BYTES

OUTSTANDING: Final = 256
PUB_ACK_TIMEOUT_S: Final = 10.0
SUBJECTS: Final = "$KV."
"""Subjects of a bucket, because those are what a provisioner may publish on."""


async def jetstream_publish(nc: Client, name: str, seconds: float) -> dict[str, float]:
    """Messages of a chat's size into a file stream: one at a time, and `OUTSTANDING` at a time.

    Args:
        name: of the stream, which is made and deleted again.

    Raises:
        BenchError: an acknowledgement was an error or did not come.
        nats.errors.Error: no connection, or no right to make a stream.
    """
    stream = nc.jetstream()
    subject = SUBJECTS + name
    await stream.add_stream(StreamConfig(name, subjects=[subject], storage=StorageType.FILE))
    try:
        return {
            "jetstream_publish_1_per_s": await _publish(nc, subject, seconds / 2, 1),
            "jetstream_publish_per_s": await _publish(nc, subject, seconds / 2, OUTSTANDING),
        }
    finally:
        await stream.delete_stream(name)


async def _publish(nc: Client, subject: str, seconds: float, outstanding: int) -> float:
    """Acknowledged messages a second. The client's own publish calls cost more than the server's
    work, so acknowledgements come to an inbox of ours."""
    payload, inbox = os.urandom(BODY_BYTES), nc.new_inbox()
    room = asyncio.Semaphore(outstanding)
    refusals: list[bytes] = []

    async def acknowledged(message: Msg) -> None:
        if b'"error"' in message.data or message.headers:
            refusals.append(message.data)
        room.release()

    subscription = await nc.subscribe(inbox, cb=acknowledged)
    published, start_s = 0, time.perf_counter()
    try:
        async with asyncio.timeout(seconds + PUB_ACK_TIMEOUT_S):
            while time.perf_counter() < start_s + seconds:
                await room.acquire()
                await nc.publish(subject, payload, reply=inbox)
                published += 1
            for _ in range(outstanding):
                await room.acquire()
    except TimeoutError:
        raise BenchError("JetStream stopped acknowledging; see the log of nats-server") from None
    finally:
        await subscription.unsubscribe()
    if refusals:
        raise BenchError(f"JetStream refused: {refusals[0].decode(errors='replace')}")
    return published / (time.perf_counter() - start_s)
