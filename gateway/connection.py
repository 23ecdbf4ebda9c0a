"""One socket at work: its frames in order, its posts, its subscriptions, its end.

Frames are obeyed strictly one after the other. What takes no waiting (a post into a room that is
followed) is done in the callback that read the bytes; for anything else the socket is not read
until it is done.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
import structlog

from actors.protocol.envelope import Reply, RoomEvent
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.permissions import Permission
from gateway.following import Following
from gateway.frames import (
    AnyFrame,
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
)
from gateway.history import entry_of
from gateway.limits import HELLO_TIMEOUT_S, SESSION_CHECK_S
from gateway.outlet import Outlet
from gateway.policy import DENIED, FRAMES, Open, allows
from gateway.rooms import no_such_room, visible_room
from gateway.session import Session, SessionState, refusal_of_text
from gateway.socket_services import SocketServices
from gateway.tokens import Principal
from gateway.websocket_protocol import CloseCode, WardroomWebSocket
from store.entries import StoredEntry
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)

REF_PREFIX = "ws"
ROLE_CHANGED = "your role was changed; say hello again and resume"


class Connection:
    """See the module. `number` is its own among the sockets of this process."""

    def __init__(self, protocol: WardroomWebSocket, services: SocketServices, number: int) -> None:
        self.number = number
        self._protocol = protocol
        self._services = services
        self._session = Session(services.settings)
        self._out = Outlet(protocol, self._session, services.settings, services.metrics)
        self._loop = asyncio.get_running_loop()
        self._reader: TenantReader | None = None
        self._permissions: frozenset[Permission] = frozenset()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._inbox: deque[bytes] = deque()
        self._busy = False
        self._full = False
        self._following = Following(
            self._session, self._out, services, spawn=self._spawn, settle=self._settle
        )
        self._checked_at = self._loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def principal(self) -> Principal | None:
        """Who is at the other end, once that is known."""
        return self._session.principal

    async def run(self, ticket: str | None, lost: Callable[[], Awaitable[None]]) -> None:
        """Serve the socket until `lost` returns. Without a ticket the first frame must be a hello."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._close_after(HELLO_TIMEOUT_S, CloseCode.NO_HELLO, "no hello in time")
                self._protocol.sink = self.on_text
                if ticket is not None:
                    self._in_turn(self._redeem(ticket))
                await lost()
                self._end()
        finally:
            self._end()

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the socket; nothing of it is obeyed any more."""
        self._out.close(code, reason)

    # Frames in --------------------------------------------------------------------------------

    def on_text(self, data: bytes) -> None:
        """Obey a frame, in its turn."""
        if self._session.state is SessionState.CLOSED:
            return
        self._services.metrics.frames_in.inc()
        if not self._session.admit_frame(self._loop.time()):
            self.close(CloseCode.TOO_MANY, "too many frames in a second")
        elif self._busy:
            self._inbox.append(data)
        else:
            self._handle(data)

    def _handle(self, data: bytes) -> None:
        try:
            self._obey(read_frame(data))
        except (BadFrame, Refusal) as error:
            self._out.fail(error.code, error.detail)
        except Exception as error:
            self._out.broke(error)

    def _obey(self, frame: AnyFrame) -> None:
        if not self._may(frame):
            return
        match frame:
            case PostFrame():
                self._post(frame)
            case Subscribe():
                self._in_turn(self._follow(frame))
            case Unsubscribe() if frame.room in self._session.subscriptions:
                self._in_turn(self._following.end(frame.room))
            case Unsubscribe():
                self._out.reject_for(no_such_room(), frame.room)
            case Hello():
                self._in_turn(self._hello(frame.token))
            case Ping():
                self._out.write(encode_frame("pong", n=frame.n))

    def _may(self, frame: AnyFrame) -> bool:
        need = FRAMES.get(frame.type)
        if need is Open.PUBLIC:
            return True
        if self._session.state is SessionState.AWAITING_HELLO:
            raise Refusal(ErrorCode.UNAUTHENTICATED, "say hello first")
        if allows(need, self._permissions):
            return True
        if need is None:
            log.error("policy.no_line", frame=frame.type)
        room, client_id = getattr(frame, "room", ""), getattr(frame, "client_id", None)
        self._out.reject(ErrorCode.FORBIDDEN, DENIED, room, client_id)
        return False

    def _in_turn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what takes waiting; later frames wait for it."""
        self._busy = True
        self._pace()
        self._spawn(self._then_go_on(work))

    async def _then_go_on(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Refusal as refusal:
            self._out.fail(refusal.code, refusal.detail)
        self._busy = False
        while self._inbox and not self._busy and self._session.state is not SessionState.CLOSED:
            self._handle(self._inbox.popleft())
        self._pace()

    def _pace(self) -> None:
        if self._busy or self._full:
            self._protocol.pause_reading()
        else:
            self._protocol.resume_reading()

    # Who it is --------------------------------------------------------------------------------

    async def _redeem(self, text: str) -> None:
        ticket = self._services.tokens.read_ticket(text)
        if not await self._services.actors.redeem_once(ticket.id):
            raise Refusal(ErrorCode.UNAUTHENTICATED, "this ticket was used before")
        await self._welcome(ticket.principal)

    async def _hello(self, token: str) -> None:
        await self._welcome(self._services.tokens.read_access_token(token))

    async def _welcome(self, principal: Principal) -> None:
        admitted = await self._services.sessions.admit(principal)
        principal, known = admitted.principal, self._session.principal
        self._session.authenticate(principal)
        if known is not None and (known.role, self._permissions) != (
            principal.role,
            admitted.permissions,
        ):
            # What is followed here was begun with what another role permitted.
            self.close(CloseCode.UNAUTHENTICATED, ROLE_CHANGED)
            return
        self._reader, self._permissions = admitted.reader, admitted.permissions
        self._checked_at = self._loop.time()
        remaining_s = max(0.0, principal.expires - time.time())
        self._close_after(remaining_s, CloseCode.UNAUTHENTICATED, "the token is too old")
        heartbeat = self._services.settings.heartbeat_s
        user, tenant = principal.user, principal.tenant
        self._out.write(encode_frame("welcome", user=user, tenant=tenant, heartbeat=heartbeat))

    def _signed_in(self) -> tuple[Principal, TenantReader]:
        if self._session.principal is None or self._reader is None:
            raise Refusal(ErrorCode.UNAUTHENTICATED, "say hello first")
        return self._session.principal, self._reader

    def _close_after(self, seconds: float, code: CloseCode, reason: str) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.close, code, reason)

    def check(self) -> None:
        """Look after what should have happened by now; called every few seconds."""
        if self._session.state is not SessionState.OPEN:
            return
        now = self._loop.time()
        for room, client_id in self._session.overdue(now):
            # Anew, in case what it became waits for its turn in a long replay.
            self._session.track(room, client_id, now)
            self._spawn(self._find_out(room, client_id))
        if now - self._checked_at > SESSION_CHECK_S:
            self._checked_at = now
            self._spawn(self._check_session())

    async def _check_session(self) -> None:
        principal, _ = self._signed_in()
        try:
            admitted = await self._services.sessions.admit(principal)
            if admitted.permissions != self._permissions:
                # Nobody was heard to say so, but what is permitted is another thing by now.
                self.close(CloseCode.UNAUTHENTICATED, ROLE_CHANGED)
        except Refusal as refusal:
            self._out.fail(refusal.code, refusal.detail)
        except Exception as error:
            # Not to be found out now; the token's own end still holds.
            log.warning("socket.session_unchecked", error=repr(error))

    # Posting ----------------------------------------------------------------------------------

    def _post(self, frame: PostFrame) -> None:
        refused = refusal_of_text(frame.body)
        if refused is not None:
            self._out.reject(refused.code, refused.detail, frame.room, frame.client_id)
        elif frame.room in self._session.subscriptions:
            self._hand_over(frame, quiet=True)
        else:
            self._in_turn(self._post_unfollowed(frame))

    async def _post_unfollowed(self, frame: PostFrame) -> None:
        principal, reader = self._signed_in()
        try:
            await visible_room(reader, principal, frame.room)
        except Exception as error:
            self._out.reject_for(error, frame.room, frame.client_id)
        else:
            self._hand_over(frame, quiet=False)

    def _hand_over(self, frame: PostFrame, *, quiet: bool) -> None:
        principal, _ = self._signed_in()
        self._session.track(frame.room, frame.client_id, self._loop.time())
        command = {
            "type": "post",
            "client_id": frame.client_id,
            "actor": principal.user,
            "role": principal.role,
            "ref": f"{REF_PREFIX}{self.number}.{frame.room}",
            "quiet": quiet,
            **frame.said(),
            "clearance": principal.clearance,
        }
        try:
            self._services.actors.post_nowait(principal.tenant, frame.room, orjson.dumps(command))
        except Refusal as refusal:
            self._settle(frame.room, frame.client_id)
            self._out.reject_for(refusal, frame.room, frame.client_id)
            return
        if not self._full and self._session.is_full:
            self._full = True
            self._pace()

    async def _follow(self, frame: Subscribe) -> None:
        await self._following.begin(frame, *self._signed_in())

    def _settle(self, room: str, client_id: str) -> None:
        self._following.posts_settled.set()
        if self._session.settle(room, client_id) and self._full and self._session.has_room:
            self._full = False
            self._pace()

    def on_reply(self, room: str, reply: Reply) -> None:
        """Take an actor's answer to a post that will not show as a new entry of a followed room."""
        if reply.code is not None:
            self._settle(room, reply.client_id)
            self._out.reject(reply.code, reply.detail, room, reply.client_id)
        elif reply.receipt is not None and self._session.state is SessionState.OPEN:
            self._spawn(self._find_out(room, reply.client_id))

    async def _find_out(self, room: str, client_id: str) -> None:
        """Send the entry that a post has become, or say that it is not known to be one."""
        principal, reader = self._signed_in()
        stored: StoredEntry | None = None
        try:
            stored = await reader.by_client_id(room, principal.user, client_id)
        except Exception as error:
            log.warning("socket.post_not_found_out", error=repr(error))
        if stored is not None and self._comes_in_turn(room, stored.seq):
            # Sent now, it would pass the entries before it, and who resumes from it would miss them.
            return
        self._settle(room, client_id)
        if stored is None:
            detail = "no receipt in time; send it again with the same client_id"
            self._out.reject(ErrorCode.OUTCOME_UNKNOWN, detail, room, client_id)
        else:
            own = encode_entry(entry_of(stored)).payload_for(principal.user, principal.clearance)
            self._out.write(encode_text_frame(own))

    def _comes_in_turn(self, room: str, seq: int) -> bool:
        subscription = self._session.subscriptions.get(room)
        if subscription is None:
            return False
        feed, follower = subscription
        if feed.has_sent(follower, seq):
            return False
        # As a beacon would: the entry's own event may have got lost.
        feed.on_event(RoomEvent(seq, []))
        return True

    # Tasks ------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None or self._session.state is SessionState.CLOSED:
            work.close()
            return
        task = self._group.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self._out.broke(error)

    def _end(self) -> None:
        self._session.state = SessionState.CLOSED
        self._protocol.sink = None
        if self._deadline is not None:
            self._deadline.cancel()
        self._following.end_all()
        for task in self._tasks:
            task.cancel()
