"""All sockets of this gateway."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from actors.client import ActorClient
from actors.protocol.envelope import Reply
from gateway.connection import REF_PREFIX, ROLE_CHANGED, Connection
from gateway.limits import SWEEP_S
from gateway.socket_services import SocketServices
from gateway.websocket_protocol import CloseCode, WardroomWebSocket


class Sockets:
    """Knows every open socket by its number."""

    def __init__(self, actors: ActorClient, services: SocketServices) -> None:
        self._services = services
        self._connections: dict[int, Connection] = {}
        self._numbers = itertools.count(1)
        actors.on_reply(REF_PREFIX, self.on_reply)

    @contextmanager
    def connection(self, protocol: WardroomWebSocket) -> Iterator[Connection]:
        """A connection for a socket that was just accepted, known here as long as it lasts."""
        connection = Connection(protocol, self._services, next(self._numbers))
        self._connections[connection.number] = connection
        self._services.metrics.sockets.inc()
        try:
            yield connection
        finally:
            self._services.metrics.sockets.dec()
            del self._connections[connection.number]

    def on_reply(self, reply: Reply) -> None:
        """Hand an actor's answer to the socket that asked, if it is still there."""
        number, _, room = reply.ref.removeprefix(REF_PREFIX).partition(".")
        connection = self._connections.get(int(number)) if number.isdecimal() else None
        if connection is not None:
            connection.on_reply(room, reply)

    def on_sessions_ended(self, tenant: str, names: list[str]) -> None:
        """Close the sockets of sessions that have ended, and of roles that have changed, at whichever
        gateway that was done."""
        self._services.sessions.end(tenant, names)
        ended = frozenset(names)
        for connection in list(self._connections.values()):
            principal = connection.principal
            if principal is None or principal.tenant != tenant:
                continue
            if principal.session in ended:
                connection.close(CloseCode.UNAUTHENTICATED, "the session has ended")
            elif principal.custom_role in ended:
                connection.close(CloseCode.UNAUTHENTICATED, ROLE_CHANGED)

    async def look_after(self) -> None:
        """Have every socket check, for ever, what should have happened by now."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for connection in list(self._connections.values()):
                connection.check()
