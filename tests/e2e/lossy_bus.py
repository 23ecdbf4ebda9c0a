"""A stretch of wire between a process and NATS that loses messages on demand.

Core NATS delivers at most once: what a server drops for a slow reader, or sends into a connection that
just broke, is gone. Here it goes when a test says so.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from deploy.local.process import LOOPBACK

LINE_BYTES_MAX: Final = 2 * 1024 * 1024
DELIVERIES: Final = (b"MSG ", b"HMSG ")
"""How lines begin behind which a message follows (NATS client protocol)."""
CRLF_BYTES: Final = 2


@dataclass
class LossyBus:
    """The wire. `lost` is set when something was lost."""

    host: str
    port: int
    url: str = ""
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    _doomed: str = ""

    def lose_next(self, subject: str) -> None:
        """Lose the next message of a subject on its way to the process."""
        self.lost.clear()
        self._doomed = subject

    async def _serve(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        far, to_far = await asyncio.open_connection(self.host, self.port, limit=LINE_BYTES_MAX)
        ways = [
            asyncio.create_task(_copy(near, to_far)),
            asyncio.create_task(self._pass_on(far, to_near)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (to_far, to_near):
                end.close()

    async def _pass_on(self, far: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        while line := await far.readline():
            message = b""
            if line.startswith(DELIVERIES):
                message = await far.readexactly(int(line.split()[-1]) + CRLF_BYTES)
                if line.split()[1].decode() == self._doomed:
                    self._doomed = ""
                    self.lost.set()
                    continue
            to_near.write(line + message)
            await to_near.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(LINE_BYTES_MAX):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def lossy_bus(nats_url: str) -> AsyncIterator[LossyBus]:
    """A wire to the server of an URL."""
    target = urlsplit(nats_url)
    bus = LossyBus(target.hostname or LOOPBACK, target.port or 4222)
    server = await asyncio.start_server(bus._serve, LOOPBACK, 0, limit=LINE_BYTES_MAX)
    bus.url = f"nats://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield bus
    finally:
        server.close()
