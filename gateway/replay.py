"""Bringing one follower from where it left off to the live stream, at the pace it reads."""

import asyncio
from collections.abc import Awaitable, Callable

from actors.protocol.envelope import Entry
from gateway.feed import Follower, RoomFeed
from gateway.frames import EncodedEntry, encode_entry, encode_frame
from gateway.limits import (
    FILL_RETRY_S,
    OUTBOUND_HIGH_BYTES,
    REPLAY_PAGE_ENTRIES,
    REPLAY_READS_AT_ONCE,
)
from gateway.metrics import GatewayMetrics

Drained = Callable[[], Awaitable[None]]


class Replayer:
    """All replays of one gateway share the right to read."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._reads = asyncio.Semaphore(REPLAY_READS_AT_ONCE)

    async def run(
        self, feed: RoomFeed, follower: Follower, after: int | None, drained: Drained
    ) -> None:
        """Send what came after `after` (None: nothing), say so, and go live.

        Args:
            feed: an open feed that the follower has joined.
            follower: who replays.
            after: the last seq that the client has.
            drained: waits until the client has taken most of what was sent.
        """
        cursor = follower.sent = feed.head if after is None else after
        if cursor > feed.head:
            # The client may have come from another gateway that is ahead of this feed.
            await feed.catch_up()
            if cursor > feed.head and follower.may_be_sent(cursor):
                follower.write(_gap(feed, 1))
                cursor = follower.sent = feed.head
        while not follower.ended and not feed.go_live(follower, cursor):
            if follower.evict_after is not None and cursor >= follower.evict_after:
                follower.evict_now()
                return
            cursor = await self._send_page(feed, follower, cursor, drained)
        if not follower.ended:
            follower.write(encode_frame("caught_up", room=feed.history.room, head=feed.head))

    async def _send_page(
        self, feed: RoomFeed, follower: Follower, cursor: int, drained: Drained
    ) -> int:
        await drained()
        async with self._reads:
            page = await feed.history.page(cursor, REPLAY_PAGE_ENTRIES)
        self._metrics.replay_pages.inc()
        feed.offer(page)
        if not page:
            # Announced, but not to be read yet: another member of the replica set may be behind.
            await asyncio.sleep(FILL_RETRY_S)
            return cursor
        if page[0].seq != cursor + 1 and follower.may_be_sent(page[0].seq):
            follower.write(_gap(feed, page[0].seq))
        await _write_paced(follower, page, drained)
        return page[-1].seq


async def _write_paced(follower: Follower, page: list[Entry], drained: Drained) -> None:
    chunk: list[EncodedEntry] = []
    size = 0
    for entry in page:
        if not follower.may_be_sent(entry.seq):
            break
        encoded = encode_entry(entry)
        if chunk and size + len(encoded.payload) > OUTBOUND_HIGH_BYTES:
            follower.send(chunk)
            chunk, size = [], 0
            await drained()
            if follower.ended or not follower.may_be_sent(entry.seq):
                return
        chunk.append(encoded)
        size += len(encoded.payload)
    if chunk:
        follower.send(chunk)


def _gap(feed: RoomFeed, earliest: int) -> bytes:
    return encode_frame("gap", room=feed.history.room, earliest=earliest, head=feed.head)
