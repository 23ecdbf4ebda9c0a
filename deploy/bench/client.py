"""One client of a load: a socket in one room that posts, and checks the order of what it gets.

All of it runs once a delivery, so frames are read by comparing bytes: the beginning of an entry of
this room is known up to its seq. A frame that begins otherwise is parsed.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport
from typing_extensions import override

from deploy.bench.load import ClientTrail

RETRY_AFTER_REFUSAL_S: Final = 0.05
"""A closed loop that is refused would otherwise spin."""
_CLIENT_ID_KEY: Final = b'"client_id":"'
"""Cannot occur inside a JSON string, where a quote is escaped."""
_BODY_MARK: Final = b"@@"
"""Begins every body, and occurs in nothing else of a frame."""


@dataclass(slots=True)
class Window:
    """When messages count (on the clock of `time.perf_counter`), and how long they took."""

    opens_s: float = float("inf")
    closes_s: float = float("inf")
    latencies_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Traffic:
    """What one client has seen so far."""

    sent: int = 0
    acknowledged: int = 0
    delivered: int = 0
    doubled: int = 0
    reordered: int = 0
    altered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class RoomClient(WSListener):
    """Posts to one room over one socket. With `replenish`, each acknowledgement sends the next."""

    def __init__(self, room: str, prefix: str, bodies: Iterator[bytes], window: Window) -> None:
        self.room = room
        self.traffic = Traffic()
        self.replenish = False
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_seq = 0
        self.head = 0
        self._prefix = prefix.encode()
        self._bodies = bodies
        self._window = window
        self._pending: dict[bytes, tuple[float, bytes]] = {}
        self._rejected: set[bytes] = set()
        self._missing: set[int] = set()
        self._transport: WSTransport | None = None
        quoted = orjson.dumps(room)
        self._entry_head = b'{"type":"entry","room":' + quoted + b',"seq":'
        self._seq_at = len(self._entry_head)
        self._post_head = b'{"type":"post","room":' + quoted + b',"client_id":"'

    async def join(self, transport: WSTransport, token: str) -> None:
        """Authenticate, subscribe to what comes from now on and wait until it does.

        Raises:
            ConnectionError: the server closed the socket or answered with an error.
        """
        self._transport = transport
        hello = orjson.dumps({"type": "hello", "token": token})
        subscribe = orjson.dumps({"type": "subscribe", "room": self.room})
        transport.send(WSMsgType.TEXT, hello)
        transport.send(WSMsgType.TEXT, subscribe)
        await self.joined

    def post(self, due_s: float) -> None:
        """Send the next message; its latency counts from `due_s`."""
        traffic = self.traffic
        client_id = self._prefix + b"%d" % traffic.sent
        body = _BODY_MARK + client_id + _BODY_MARK
        body += next(self._bodies)[len(body) :]
        self._pending[client_id] = (due_s, body)
        traffic.sent += 1
        if self._transport is not None and not self._transport.is_disconnected:
            frame = b'%b%b","kind":"message","body":"%b"}' % (self._post_head, client_id, body)
            self._transport.send(WSMsgType.TEXT, frame)

    def leave(self) -> None:
        """Close the socket; what comes of that is no fault."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.disconnect()

    @property
    def waiting(self) -> int:
        """Messages neither acknowledged nor refused."""
        return len(self._pending)

    def lost(self, head: int) -> int:
        """Places up to `head` that never came."""
        return len(self._missing) + max(0, head - self.last_seq)

    def trail(self) -> ClientTrail:
        """What was sent and what of it was not acknowledged."""
        skip = len(self._prefix)
        open_ids = (*self._pending, *self._rejected)
        numbers = sorted(int(client_id[skip:]) for client_id in open_ids)
        return ClientTrail(self.room, self._prefix.decode(), self.traffic.sent, tuple(numbers))

    @override
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        data = frame.get_payload_as_bytes()
        start = self._seq_at
        end = data.find(b",", start)
        if end < 0 or not frame.fin or not data.startswith(self._entry_head):
            self._on_other_frame(frame, data)
            return
        # As in `_entry`, which most deliveries are spared the call of.
        seq = int(data[start:end])
        mark = data.find(_CLIENT_ID_KEY, end)
        if mark < 0 and seq == self.last_seq + 1:
            self.traffic.delivered += 1
            self.last_seq = seq
            return
        begin = mark + len(_CLIENT_ID_KEY)
        self._entry(seq, data[begin : data.find(b'"', begin)] if mark >= 0 else b"", data)

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._closed("disconnected")

    def _closed(self, why: str) -> None:
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(why))
        elif self._transport is not None:
            self.traffic.faults[why] += 1
            self._transport = None

    def _on_other_frame(self, frame: WSFrame, data: bytes) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self._closed(f"close {frame.get_close_code()}")
        elif frame.msg_type is WSMsgType.TEXT and frame.fin:
            self._read(data)
        elif frame.msg_type not in (WSMsgType.PING, WSMsgType.PONG):
            self.traffic.faults["unreadable"] += 1

    def _entry(self, seq: int, client_id: bytes, data: bytes) -> None:
        self.traffic.delivered += 1
        if seq == self.last_seq + 1:
            self.last_seq = seq
        elif not self._is_new(seq):
            return
        if client_id:
            self._acknowledged(client_id, data)

    def _is_new(self, seq: int) -> bool:
        """Account for an entry that is not the next; whether its place was still open."""
        if not self.joined.done():
            self.last_seq = max(self.last_seq, seq)
        elif seq > self.last_seq:
            self._missing.update(range(self.last_seq + 1, seq))
            self.last_seq = seq
        elif seq in self._missing:
            self._missing.discard(seq)
            self.traffic.reordered += 1
        else:
            self.traffic.doubled += 1
            return False
        return True

    def _acknowledged(self, client_id: bytes, data: bytes) -> None:
        sent = self._pending.pop(client_id, None)
        if sent is None:
            # Another socket of the same user may be in the room; only our own ids are ours.
            self.traffic.doubled += client_id.startswith(self._prefix)
            return
        now = time.perf_counter()
        due_s, body = sent
        self.traffic.acknowledged += 1
        # Comparing at the marker is a tenth of the price of searching for the whole text.
        text = data.find(_BODY_MARK)
        self.traffic.altered += data[text : text + len(body)] != body
        if self._window.opens_s <= due_s < self._window.closes_s:
            self._window.latencies_s.append(now - due_s)
        if self.replenish:
            self.post(now)

    def _read(self, data: bytes) -> None:
        try:
            message = orjson.loads(data)
            self._dispatch(message, data)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            self.traffic.faults["unreadable"] += 1

    def _dispatch(self, message: dict[str, object], data: bytes) -> None:
        match message:
            case {"type": "entry", "room": self.room, "seq": int(seq)}:
                client_id = message.get("client_id")
                self._entry(seq, str(client_id).encode() if client_id else b"", data)
            case {"type": "caught_up" | "head" as kind, "room": self.room, "head": int(head)}:
                self.head = max(self.head, head)
                if kind == "caught_up" and not self.joined.done():
                    self.last_seq = max(self.last_seq, head)
                    self.joined.set_result(None)
            case {"type": "rejected", "client_id": str(client_id), "code": str(code)}:
                self._refused(client_id.encode(), code)
            case {"type": "error", "code": str(code)}:
                self.traffic.faults[code] += 1
                if not self.joined.done():
                    self.joined.set_exception(ConnectionError(f"error {code}"))
            case {"type": "welcome" | "typing" | "presence" | "read" | "pong"}:
                pass
            case _:
                self.traffic.faults["unexpected"] += 1

    def _refused(self, client_id: bytes, code: str) -> None:
        if self._pending.pop(client_id, None) is None:
            self.traffic.faults["refused_twice"] += 1
            return
        self._rejected.add(client_id)
        self.traffic.rejected[code] += 1
        if self.replenish:
            loop = asyncio.get_running_loop()
            loop.call_later(RETRY_AFTER_REFUSAL_S, self._post_again)

    def _post_again(self) -> None:
        if self.replenish:
            self.post(time.perf_counter())
