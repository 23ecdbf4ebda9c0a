"""The endpoint `GET /ws/v1`."""

from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.websockets import WebSocket

from actors.protocol.errors import ErrorCode
from gateway.errors import problem
from gateway.settings import GatewaySettings
from gateway.sockets import Sockets
from gateway.websocket_protocol import CloseCode, socket_of

_DEFAULT_PORTS = {"http": 80, "https": 443}


def origin_allowed(headers: Headers, allowed: frozenset[str]) -> bool:
    """Whether a page of the handshake's origin may open sockets here.

    Only browsers send an origin; it is refused unless it is this very host or was allowed by
    setting (RFC 6455, section 10.2).
    """
    origins = headers.getlist("origin")
    if not origins:
        return True
    if len(origins) > 1:
        return False
    if origins[0].rstrip("/").lower() in allowed:
        return True
    try:
        origin = urlsplit(origins[0].lower())
        host = urlsplit(f"//{headers.get('host', '').lower()}")
        default_port = _DEFAULT_PORTS.get(origin.scheme)
        if origin.hostname is None or default_port is None:
            return False
        ports = origin.port or default_port, host.port or default_port
    except ValueError:
        return False
    return origin.hostname == host.hostname and ports[0] == ports[1]


class SocketEndpoint:
    """Accepts sockets and serves each until it is lost."""

    def __init__(self, sockets: Sockets, settings: GatewaySettings) -> None:
        self._sockets = sockets
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in settings.allowed_origins)

    async def serve(self, websocket: WebSocket) -> None:
        """One socket from handshake to loss."""
        protocol = socket_of(websocket.scope)
        if not origin_allowed(websocket.headers, self._allowed):
            refusal = problem(ErrorCode.FORBIDDEN, "pages of this origin may not open sockets here")
            await websocket.send_denial_response(refusal.response())
            return
        tickets = parse_qs(protocol.query.decode("latin-1")).get("ticket")
        await websocket.accept()
        with self._sockets.connection(protocol) as connection:

            async def lost() -> None:
                while True:
                    message = await websocket.receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    # What came before the socket was taken over stands in uvicorn's queue.
                    if message.get("text") is None:
                        connection.close(CloseCode.BAD_FRAME, "frames are text")
                    else:
                        connection.on_text(message["text"].encode())

            await connection.run(tickets[0] if tickets else None, lost)
