"""What one socket sends, refusals included, and how it is closed."""

import structlog

from actors.protocol.errors import ErrorCode, Refusal
from gateway.errors import OUTCOMES
from gateway.frames import encode_frame
from gateway.metrics import GatewayMetrics
from gateway.session import Session, SessionState
from gateway.settings import GatewaySettings
from gateway.websocket_protocol import CloseCode, WardroomWebSocket

log = structlog.get_logger(__name__)


class Outlet:
    """Writes to one socket and closes it when its peer reads too slowly."""

    def __init__(
        self,
        protocol: WardroomWebSocket,
        session: Session,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
    ) -> None:
        self._protocol = protocol
        self._session = session
        self._bytes_max = settings.outbound_bytes_max
        self._metrics = metrics

    def write(self, frames: bytes) -> None:
        """Send encoded frames."""
        protocol = self._protocol
        protocol.write_frames(frames)
        if not protocol.is_backed_up or self._session.state is SessionState.CLOSED:
            return
        if protocol.buffered_bytes() > self._bytes_max:
            self._metrics.slow_closes.inc()
            self.close(CloseCode.TOO_SLOW, "too slow; resume from your last seq")

    async def drained(self) -> None:
        """Wait until the peer has taken most of what was sent, or is gone."""
        await self._protocol.drained()

    def reject(self, code: ErrorCode, detail: str, room: str, client_id: str | None = None) -> None:
        """Answer a frame that was understood and is not obeyed; the socket stays."""
        self._metrics.rejected.labels(code.value).inc()
        self.write(
            encode_frame("rejected", room=room, client_id=client_id, code=code, detail=detail)
        )

    def reject_for(self, error: Exception, room: str, client_id: str | None = None) -> None:
        """Answer a frame that could not be obeyed because of `error`."""
        if isinstance(error, Refusal):
            self.reject(error.code, error.detail, room, client_id)
        else:
            log.warning("socket.part_unavailable", error=repr(error))
            detail = "a part of the system does not answer; try again"
            self.reject(ErrorCode.UNAVAILABLE, detail, room, client_id)

    def fail(self, code: ErrorCode, detail: str) -> None:
        """Say what is wrong with the connection itself, and close it."""
        self.write(encode_frame("error", code=code, detail=detail))
        self.close(OUTCOMES[code].close or CloseCode.BAD_FRAME, code.value)

    def broke(self, error: Exception) -> None:
        """End a connection because of a fault of ours."""
        log.error("socket.failed", exc_info=error)
        self.fail(ErrorCode.INTERNAL, "something went wrong here; reconnect and resume")

    def close(self, code: CloseCode, reason: str) -> None:
        """Close the socket; nothing of it is obeyed any more."""
        self._session.state = SessionState.CLOSED
        self._protocol.close(code, reason)
