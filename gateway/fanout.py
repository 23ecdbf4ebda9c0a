"""The feeds of one gateway: a room is listened to while somebody here follows it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from actors.client import Reach, Unsubscribe
from actors.protocol.envelope import RoomEvent
from gateway.feed import Follower, RoomFeed, Spawn
from gateway.history import RoomHistory
from gateway.metrics import GatewayMetrics

log = structlog.get_logger(__name__)

SubscribeEvents = Callable[[str, str, Callable[[RoomEvent], None]], Awaitable[Unsubscribe]]


@dataclass(slots=True, eq=False)
class _Place:
    """A feed and its subscription on the bus."""

    feed: RoomFeed
    opened: asyncio.Future[None]
    unsubscribe: Unsubscribe | None = None


class Fanout:
    """See the module."""

    def __init__(
        self,
        subscribe_events: SubscribeEvents,
        metrics: GatewayMetrics,
        spawn: Spawn,
        reach: Reach = lambda _: None,
    ) -> None:
        self._subscribe_events = subscribe_events
        self._metrics = metrics
        self._spawn = spawn
        self._reach = reach
        self._places: dict[tuple[str, str], _Place] = {}

    async def join(
        self, tenant: str, history: RoomHistory, applied: int, follower: Follower
    ) -> RoomFeed:
        """Have a follower join a room's feed; on return the feed is live.

        Args:
            tenant: whose room it is.
            history: the room's past.
            applied: the seq as of which the room's row was read.
            follower: who joins.
        """
        key = (tenant, history.room)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = _Place(
                RoomFeed(history, self._metrics, self._spawn),
                asyncio.get_running_loop().create_future(),
            )
            # Somebody who gives up waiting must not break off what others wait for.
            self._spawn(self._open(key, place, applied))
            self._metrics.feeds.inc()
        place.feed.join(follower)
        try:
            await asyncio.shield(place.opened)
        except BaseException:
            self.leave(tenant, place.feed, follower)
            raise
        return place.feed

    def leave(self, tenant: str, feed: RoomFeed, follower: Follower) -> None:
        """Have a follower leave; the last one ends the listening."""
        feed.leave(follower)
        place = self._places.get((tenant, feed.history.room))
        if place is not None and place.feed is feed and feed.is_empty:
            self._remove((tenant, feed.history.room), place)

    async def _open(self, key: tuple[str, str], place: _Place, applied: int) -> None:
        tenant, room = key
        feed = place.feed

        def on_event(event: RoomEvent) -> None:
            started, head = time.perf_counter(), feed.head
            feed.on_event(event)
            self._metrics.event_to_write.observe(time.perf_counter() - started)
            if feed.head > head:
                self._reach("delivered")

        try:
            # Listening comes first: what is committed after the head was read arrives as an event.
            place.unsubscribe = await self._subscribe_events(tenant, room, on_event)
            await feed.open(applied)
        except Exception as error:
            self._remove(key, place)
            place.opened.set_exception(error)
            # Everybody who waited may have given up; then nobody else would look at it.
            place.opened.exception()
        else:
            place.opened.set_result(None)
        if feed.closed and place.unsubscribe is not None:
            await _quietly(place.unsubscribe)

    def _remove(self, key: tuple[str, str], place: _Place) -> None:
        if place.feed.closed:
            return
        place.feed.closed = True
        self._metrics.feeds.dec()
        if self._places.get(key) is place:
            del self._places[key]
        # While it is still being opened, whoever opens it sees that it was closed.
        if place.unsubscribe is not None and place.opened.done():
            self._spawn(_quietly(place.unsubscribe))


async def _quietly(unsubscribe: Unsubscribe) -> None:
    try:
        await unsubscribe()
    except Exception:
        log.exception("fanout.unsubscribe_failed")
