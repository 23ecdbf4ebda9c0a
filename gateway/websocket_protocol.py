"""uvicorn's sans-I/O WebSocket protocol, with a door to the transport.

Through the ASGI interface every frame costs a message in a queue and a task switch; a socket that was
taken over reads its text in a callback and writes frames that were encoded once for all sockets. Of
uvicorn's protocol stay the handshake, the keepalive pings and the shutdown.

The common frame, a whole text message, is read here in place; every other frame is handed whole to the
library, which is several times slower and keeps the rules of RFC 6455. What is added on the way:
closing that cuts a peer who does not read, and close codes of our own.
"""

import asyncio
from asyncio.transports import BaseTransport
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any, Final, cast

from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode as RfcCloseCode
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask

from actors.protocol.limits import FRAME_BYTES_MAX
from gateway.frames import encode_text_frame, frame_at
from gateway.limits import (
    CLOSE_GRACE_S,
    CLOSE_REASON_BYTES_MAX,
    OUTBOUND_HIGH_BYTES,
    OUTBOUND_LOW_BYTES,
)

WHOLE_TEXT: Final = 0x81
"""The first byte of a text message in one frame (RFC 6455, section 5.2)."""
SCOPE_KEY: Final = "wardroom.socket"
"""Where the scope's extensions hold the protocol of the connection."""


class CloseCode(IntEnum):
    """Why a socket was closed; the numbers are fixed for clients."""

    RESTARTING = 1012
    INTERNAL = 1011
    BAD_FRAME = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NO_HELLO = 4408
    REPLACED = 4409
    TOO_LARGE = 4413
    TOO_MANY = 4429
    TOO_SLOW = 4430


_OUR_CODES: Final[dict[int, int]] = {
    RfcCloseCode.MESSAGE_TOO_BIG: CloseCode.TOO_LARGE,
    RfcCloseCode.INVALID_DATA: CloseCode.BAD_FRAME,
}


class _Conversation(ServerProtocol):
    """The frames of one connection; it fails with our codes where the contract has one."""

    @override
    def fail(self, code: RfcCloseCode | int, reason: str = "") -> None:
        super().fail(_OUR_CODES.get(code, code), reason)


class WardroomWebSocket(WebSocketsSansIOProtocol):
    """One connection. It becomes a socket of ours when somebody sets `sink`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        # No extension: a frame that is compressed for each socket can't be shared by all.
        self.conn = _Conversation(max_size=FRAME_BYTES_MAX, logger=self.logger)
        # At its debug level the library logs requests and frames whole, with the tokens in them.
        self.conn.debug = False
        self.sink: Callable[[bytes], None] | None = None
        self.query = b""
        self._failed = False
        self._partial = bytearray()

    @override
    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(OUTBOUND_HIGH_BYTES, OUTBOUND_LOW_BYTES)

    # Writing ----------------------------------------------------------------------------------

    def write_text(self, payload: bytes) -> None:
        """Send one message of UTF-8 text."""
        self.write_frames(encode_text_frame(payload))

    def write_frames(self, frames: bytes) -> None:
        """Send frames that are encoded already; nothing is sent once the socket closes."""
        if not self.close_sent and not self.disconnected:
            self.transport.write(frames)

    def buffered_bytes(self) -> int:
        """Bytes that wait for the peer to read."""
        return self.transport.get_write_buffer_size()

    @property
    def is_backed_up(self) -> bool:
        """Whether more waits than a replay may add to."""
        return not self.writable.is_set()

    async def drained(self) -> None:
        """Wait until little waits to be sent, or the connection is lost."""
        await self.writable.wait()

    # Reading ----------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Read nothing more for now; what has been read of the same piece still comes."""
        if not self.read_paused and not self.close_sent and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    @override
    def data_received(self, data: bytes) -> None:
        if self._failed:
            return
        if not self.handshake_initiated:
            super().data_received(data)
        elif self._partial:
            self._partial += data
            del self._partial[: self._take_frames(self._partial)]
        else:
            self._partial += data[self._take_frames(data) :]

    def _take_frames(self, data: bytes | bytearray) -> int:
        """Take the whole frames at the beginning of `data`; how many bytes that were."""
        at = 0
        while (place := frame_at(data, at)) is not None and place[1] <= len(data):
            start, stop = place
            # A message in fragments is the library's from its first frame to its last.
            plain = start > 0 and data[at] == WHOLE_TEXT and self.conn.current_size is None
            if plain and self.sink is not None and not self.close_sent:
                self.sink(apply_mask(data[start:stop], data[start - 4 : start]))
            else:
                super().data_received(bytes(data[at:stop]))
            at = stop
            if self._failed:
                return len(data)
        return at

    @override
    def send_receive_event_to_app(self) -> None:
        if self.sink is None:
            super().send_receive_event_to_app()
            return
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            # Whoever parses the text finds out whether it is UTF-8.
            self.sink(data)
        else:
            self.close(CloseCode.BAD_FRAME, "frames are text")

    # Opening and closing ----------------------------------------------------------------------

    @override
    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            # The query may hold a ticket, and uvicorn logs the query of the scope.
            self.query, self.scope["query_string"] = self.scope["query_string"], b""
            extensions = cast(dict[str, object], self.scope["extensions"])
            extensions[SCOPE_KEY] = self

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame and cut the connection if the peer does not answer it in time."""
        if self.close_sent or self.disconnected or self.transport.is_closing():
            return
        fitting = reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
        try:
            self.conn.send_close(code, fitting)
        except InvalidState:
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._closing(code, reason)

    def _closing(self, code: int, reason: str) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self.stop_keepalive()
        self.resume_reading()
        self._cut_after_grace()

    def _cut_after_grace(self) -> None:
        # Closing a transport waits for its buffer to empty, which a peer that has stopped reading
        # never lets happen.
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(CLOSE_GRACE_S, self.transport.abort)

    @override
    def handle_parser_exception(self) -> None:
        # The connection is not closed at once: unread bytes would make the kernel reset it, and the
        # peer might never see the close frame. What still comes is thrown away.
        self._failed = True
        if self.transport.is_closing():
            return
        sent = self.conn.close_sent
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._closing(*(sent.code, sent.reason) if sent else (RfcCloseCode.ABNORMAL_CLOSURE, ""))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    @override
    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._cut_after_grace()

    @override
    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._cut_after_grace()

    @override
    def shutdown(self) -> None:
        if self.handshake_complete:
            self.close(CloseCode.RESTARTING, "restarting; resume from your last seq")
        else:
            super().shutdown()


def socket_of(scope: Mapping[str, Any]) -> WardroomWebSocket:
    """The protocol of the connection that an ASGI scope describes.

    Raises:
        RuntimeError: the server runs another WebSocket protocol.
    """
    protocol = scope.get("extensions", {}).get(SCOPE_KEY)
    if not isinstance(protocol, WardroomWebSocket):
        raise RuntimeError(
            "this server does not run gateway.websocket_protocol.WardroomWebSocket; "
            "start it with gateway.app.server_config"
        )
    return protocol
