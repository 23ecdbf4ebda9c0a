"""How others talk to actors: send a command, await its receipt, listen to a room.

What arrives for one room while the last publish is under way travels as one JetStream message. This
and group commit are where the speed comes from.
"""

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog
from nats.aio.msg import Msg

from actors.protocol.commands import Command
from actors.protocol.envelope import (
    Receipt,
    Reply,
    RoomEvent,
    decode_ended_sessions,
    decode_event,
    decode_replies,
    encode_batch,
)
from actors.protocol.errors import ErrorCode, OutcomeUnknown, Refusal
from actors.protocol.ids import is_mailbox, is_token
from actors.protocol.limits import (
    BATCH_BYTES_MAX,
    BATCH_COMMANDS_MAX,
    COMMAND_TIMEOUT_S,
    OUTBOX_COMMANDS_MAX,
    PUBLISH_TIMEOUT_S,
)
from actors.protocol.subjects import (
    GATEWAYS_TOLD,
    TICKETS_BUCKET,
    RoomKind,
    ended_sessions_subject,
    event_subject,
    ingest_subject,
    lane_of,
    lane_token,
    parse_ended_sessions_subject,
    reply_subject,
    room_subject,
)
from actors.runtime.jetstream import Bus, NatsError, PublishFailed

log = structlog.get_logger(__name__)

RETRY_WAIT_S: Final = 0.1
REQUEST_PREFIX: Final = "rq"
INCARNATION_BYTES: Final = 6

TOKENS_KEPT_MAX: Final = 100_000
"""Rooms whose lane is remembered."""

Unsubscribe = Callable[[], Awaitable[None]]
LanesOf = Callable[[str], int | None]
Reach = Callable[[str], None]
_Waiting = tuple[RoomKind, str, bytes]


@dataclass(slots=True)
class _Outbox:
    """Commands of one lane that wait for the publish under way; `token` stands for the lane in the
    subject. While a tenant's number of lanes is not known, an outbox holds one room."""

    tenant: str
    token: str
    waiting: deque["_Waiting"] = field(default_factory=deque)
    sending: bool = False


class ActorClient:
    """One per process."""

    def __init__(self, bus: Bus, process: str, lanes: LanesOf, reach: Reach) -> None:
        self._bus = bus
        self._lanes = lanes
        self._reach = reach
        self._tokens: dict[tuple[str, str], str] = {}
        # A process that is started again counts from 0 again: without a name of its own it would get
        # its predecessor's replies, and JetStream would take its messages for repeated ones.
        self._process = f"{process}-{secrets.token_hex(INCARNATION_BYTES)}"
        self._reply_to = reply_subject(self._process)
        self._outboxes: dict[tuple[str, str], _Outbox] = {}
        self._handlers: dict[str, Callable[[Reply], None]] = {REQUEST_PREFIX: self._on_answer}
        self._requests: dict[str, asyncio.Future[Receipt]] = {}
        self._numbers = itertools.count()
        self._sends: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(
        cls,
        bus: Bus,
        process: str,
        lanes: LanesOf = lambda _: None,
        reach: Reach = lambda _: None,
    ) -> "ActorClient":
        """Make the client of a process.

        Args:
            bus: the connection.
            process: a token that no other process uses, and no process has used.
            lanes: the number of a tenant's lanes, None where it is not known.
            reach: is told of every point at which a crash makes a difference.

        Raises:
            ValueError: `process` is no token.
        """
        if not is_token(process):
            raise ValueError(f"{process!r} can't name a process: use 1 to 64 of A-Z a-z 0-9 _ -")
        client = cls(bus, process, lanes, reach)
        await bus.client.subscribe(client._reply_to, cb=client._on_replies)
        await bus.flush()
        return client

    def on_reply(self, prefix: str, handler: Callable[[Reply], None]) -> None:
        """Hand replies whose ref starts with `prefix` (two letters) to `handler`."""
        self._handlers[prefix] = handler

    async def send(self, tenant: str, room: str, command: Command) -> Receipt:
        """Have a command committed.

        Raises:
            Refusal: it was understood and not applied.
            OutcomeUnknown: no answer in time; the same client_id may be sent again.
        """
        ref = f"{REQUEST_PREFIX}{next(self._numbers)}"
        asked = command.model_copy(update={"ref": ref, "quiet": False})
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        kind: RoomKind = "message" if getattr(command, "type", "") == "post" else "command"
        self._enqueue(tenant, room, kind, asked.model_dump_json().encode())
        self._requests[ref] = future
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                return await future
        except TimeoutError as error:
            raise OutcomeUnknown("no receipt in time; send the same client_id again") from error
        finally:
            del self._requests[ref]

    def post_nowait(self, tenant: str, room: str, command_json: bytes) -> None:
        """Hand over a message command that is JSON already; its success shows as an event.

        Raises:
            Refusal: it is too large to be sent, too much waits, or there can be no such room.
        """
        self._enqueue(tenant, room, "message", command_json)

    def _enqueue(self, tenant: str, room: str, kind: RoomKind, command: bytes) -> None:
        if len(command) > BATCH_BYTES_MAX:
            # JetStream would refuse it for ever, and what comes after it would wait for ever.
            raise Refusal(ErrorCode.TOO_LARGE, f"a command may have {BATCH_BYTES_MAX} bytes")
        # What came before the number of lanes was known goes first.
        outbox = self._outboxes.get((tenant, room)) or self._outbox_of_lane(tenant, room)
        if len(outbox.waiting) >= OUTBOX_COMMANDS_MAX:
            raise Refusal(ErrorCode.UNAVAILABLE, "too much waits to be sent; try again shortly")
        self._reach("command_taken")
        outbox.waiting.append((kind, room, command))
        if not outbox.sending:
            outbox.sending = True
            task = asyncio.get_running_loop().create_task(self._send_all(outbox))
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)

    def _outbox_of_lane(self, tenant: str, room: str) -> _Outbox:
        token = self._tokens.get((tenant, room)) or self._token(tenant, room)
        outbox = self._outboxes.get((tenant, token))
        if outbox is None:
            outbox = self._outboxes[(tenant, token)] = _Outbox(tenant, token)
        return outbox

    def _token(self, tenant: str, room: str) -> str:
        if not is_mailbox(room):
            # With it, the actor would bury the commands of other rooms that travel in the same message.
            raise Refusal(ErrorCode.NOT_FOUND, "no such room")
        lanes = self._lanes(tenant)
        if lanes is None:
            return room
        if len(self._tokens) >= TOKENS_KEPT_MAX:
            self._tokens.clear()
        token = self._tokens[(tenant, room)] = lane_token(lane_of(room, lanes), lanes)
        return token

    async def _send_all(self, outbox: _Outbox) -> None:
        while outbox.waiting:
            kind, rooms, commands = _next_batch(outbox.waiting)
            await self._publish(
                room_subject(outbox.tenant, outbox.token, kind),
                encode_batch(self._reply_to, rooms, commands),
            )
        outbox.sending = False
        self._outboxes.pop((outbox.tenant, outbox.token), None)

    async def _publish(self, subject: str, data: bytes) -> None:
        # The order of a client's commands is kept by not going on before this one is buffered.
        headers = {"Nats-Msg-Id": f"{self._process}.{next(self._numbers)}"}
        loop = asyncio.get_running_loop()
        while True:
            # Two turns of the loop later: in the first the library's own task writes the message.
            loop.call_soon(loop.call_soon, self._reach, "command_published")
            try:
                await self._bus.publish_acked(
                    subject, data, timeout_s=PUBLISH_TIMEOUT_S, headers=headers
                )
                self._reach("command_stored")
                return
            except PublishFailed as error:
                log.warning("client.publish_repeated", subject=subject, error=str(error))
                await asyncio.sleep(RETRY_WAIT_S)

    async def _on_replies(self, message: Msg) -> None:
        self._reach("event_received")
        for reply in decode_replies(message.data):
            handler = self._handlers.get(reply.ref[:2])
            if handler is not None:
                handler(reply)

    def _on_answer(self, reply: Reply) -> None:
        future = self._requests.get(reply.ref)
        if future is None or future.done():
            return
        if reply.receipt is not None:
            future.set_result(reply.receipt)
        elif reply.code is not None:
            future.set_exception(Refusal(reply.code, reply.detail))

    async def subscribe_events(
        self, tenant: str, room: str, handler: Callable[[RoomEvent], None]
    ) -> Unsubscribe:
        """Listen to what a room commits; on return the server has the subscription."""

        async def on_event(message: Msg) -> None:
            self._reach("event_received")
            handler(decode_event(message.data))

        return await self._listen(event_subject(tenant, room), on_event)

    async def subscribe_ended_sessions(
        self, handler: Callable[[str, list[str]], None]
    ) -> Unsubscribe:
        """Listen to which sessions end (tenant, sessions), of all tenants; on return the server has the
        subscription."""

        async def on_ended(message: Msg) -> None:
            tenant = parse_ended_sessions_subject(message.subject)
            handler(tenant, decode_ended_sessions(message.data))

        return await self._listen(ended_sessions_subject("*"), on_ended)

    async def tell_gateways(self, body: bytes) -> None:
        """Tell all gateways something, this one too. It may be lost, and nobody is told that it was."""
        with suppress(NatsError):
            await self._bus.client.publish(GATEWAYS_TOLD, body)

    async def listen_to_gateways(self, handler: Callable[[bytes], None]) -> Unsubscribe:
        """Listen to what gateways tell one another; on return the server has the subscription."""

        async def on_told(message: Msg) -> None:
            handler(message.data)

        return await self._listen(GATEWAYS_TOLD, on_told)

    async def _listen(
        self, subject: str, on_message: Callable[[Msg], Awaitable[None]]
    ) -> Unsubscribe:
        subscription = await self._bus.client.subscribe(subject, cb=on_message)
        await self._bus.flush()

        async def unsubscribe() -> None:
            try:
                await subscription.unsubscribe()
            except NatsError:
                # The connection is gone, and the subscription with it.
                return

        return unsubscribe

    async def publish_event(
        self, tenant: str, source: str, kind: str, payload: bytes, event_id: str
    ) -> None:
        """Hand over an event of an external system; on return JetStream has buffered it.

        Raises:
            PublishFailed: it may or may not be buffered; the same event may be sent again.
        """
        await self._bus.publish_acked(
            ingest_subject(tenant, source, kind),
            payload,
            timeout_s=PUBLISH_TIMEOUT_S,
            headers={"Nats-Msg-Id": event_id},
        )

    async def redeem_once(self, key: str) -> bool:
        """Whether this is the first use of `key`, whichever process asks.

        Raises:
            PublishFailed: JetStream gave no answer; the key may be used up.
        """
        try:
            await self._bus.publish_acked(
                f"$KV.{TICKETS_BUCKET}.{key}",
                self._process.encode(),
                timeout_s=PUBLISH_TIMEOUT_S,
                headers={"Nats-Expected-Last-Subject-Sequence": "0"},
            )
        except PublishFailed as error:
            if "wrong last sequence" in str(error):
                return False
            raise
        return True

    async def drain(self) -> None:
        """Wait until everything handed over is buffered by JetStream, and give up what can't be: it
        was acknowledged to nobody."""
        if self._sends:
            _, stuck = await asyncio.wait(self._sends, timeout=PUBLISH_TIMEOUT_S)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)


def _next_batch(waiting: deque[_Waiting]) -> tuple[RoomKind, list[str], list[bytes]]:
    kind = waiting[0][0]
    rooms: list[str] = []
    commands: list[bytes] = []
    size = 0
    while waiting and waiting[0][0] == kind and len(commands) < BATCH_COMMANDS_MAX:
        _, room, command = waiting[0]
        if commands and size + len(command) > BATCH_BYTES_MAX:
            break
        size += len(command)
        rooms.append(room)
        commands.append(command)
        waiting.popleft()
    return kind, rooms, commands


__all__ = ["ActorClient", "PublishFailed", "Reach", "Unsubscribe"]
