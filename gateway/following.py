"""The rooms that one socket follows: how it joins one, is brought up to date, and leaves."""

import asyncio
from collections.abc import Callable
from functools import partial

from actors.protocol.errors import Refusal
from gateway.feed import Follower, RoomFeed, Spawn
from gateway.frames import Subscribe
from gateway.history import RoomHistory
from gateway.outlet import Outlet
from gateway.rooms import no_such_room, visible_room
from gateway.session import Session
from gateway.socket_services import SocketServices
from gateway.tokens import Principal
from store.tenant_reader import TenantReader


class Following:
    """See the module. `settle` takes the room and client id of a post that has become an entry;
    `posts_settled` is to be set when one has, whichever way it was found out."""

    def __init__(
        self,
        session: Session,
        out: Outlet,
        services: SocketServices,
        *,
        spawn: Spawn,
        settle: Callable[[str, str], None],
    ) -> None:
        self.posts_settled = asyncio.Event()
        self._session = session
        self._out = out
        self._services = services
        self._spawn = spawn
        self._settle = settle

    async def begin(self, frame: Subscribe, principal: Principal, reader: TenantReader) -> None:
        """Follow a room; why it can't be, is told."""
        room = frame.room
        try:
            feed, follower = await self._joined(room, principal, reader)
        except Exception as error:
            self._out.reject_for(error, room)
            return
        self._session.subscriptions[room] = (feed, follower)
        self._spawn(self._replay(feed, follower, frame.after))

    async def _joined(
        self, room: str, principal: Principal, reader: TenantReader
    ) -> tuple[RoomFeed, Follower]:
        refused = self._session.refusal_to_follow(room)
        if refused is not None:
            raise Refusal(refused.code, refused.detail)
        row = await visible_room(reader, principal, room)
        await self.end(room)
        follower = Follower(
            user=principal.user,
            listed_only=principal.role not in row.open_to,
            write=self._out.write,
            settle=partial(self._settle, room),
            evict=partial(self._evicted, room),
            clearance=principal.clearance,
        )
        history = RoomHistory(reader, room)
        feed = await self._services.fanout.join(principal.tenant, history, row.applied, follower)
        # The row may have been read before a removal that the feed is past already.
        listed = feed.is_member(principal.user, row.applied, principal.user in row.members)
        hidden = feed.clearance_now(row.applied, row.clearance) > principal.clearance
        if hidden or (follower.listed_only and not listed):
            self._services.fanout.leave(principal.tenant, feed, follower)
            raise no_such_room()
        return feed, follower

    async def _replay(self, feed: RoomFeed, follower: Follower, after: int | None) -> None:
        try:
            await self._services.replayer.run(feed, follower, after, self._out.drained)
        except Exception as error:
            if not follower.ended:
                self._leave(feed.history.room)
                self._out.reject_for(error, feed.history.room)

    async def end(self, room: str) -> None:
        """Follow a room no longer."""
        # What was posted before shows as an entry only as long as the room is followed.
        while room in self._session.subscriptions and self._session.has_posts_in(room):
            self.posts_settled.clear()
            await self.posts_settled.wait()
        self._leave(room)

    def end_all(self) -> None:
        """Follow nothing any more, whatever is under way."""
        for room in list(self._session.subscriptions):
            self._leave(room)

    def _evicted(self, room: str, reason: Refusal) -> None:
        self._leave(room)
        self._out.reject(reason.code, reason.detail, room)

    def _leave(self, room: str) -> None:
        principal = self._session.principal
        subscription = self._session.subscriptions.pop(room, None)
        if principal is not None and subscription is not None:
            self._services.fanout.leave(principal.tenant, *subscription)
        self.posts_settled.set()
