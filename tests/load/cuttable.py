"""A way to a server that can be cut, with the server staying as it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from deploy.local.process import LOOPBACK

CHUNK_BYTES: Final = 64 * 1024


@dataclass
class Way:
    """Passes bytes on, both ways. `url` leads through it."""

    target: tuple[str, int]
    url: str = ""
    _under_way: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection to the server."""
        below, above = await asyncio.open_connection(*self.target)
        ends = {writer, above}
        self._under_way |= ends
        await asyncio.gather(_pass_on(reader, above), _pass_on(below, writer))
        self._under_way -= ends

    def cut(self) -> None:
        """Break every connection; new ones can be made."""
        for writer in self._under_way:
            writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def cuttable(url: str) -> AsyncIterator[Way]:
    """A way to the server at `url`."""
    parts = urlsplit(url)
    way = Way((parts.hostname or LOOPBACK, parts.port or 0))
    server = await asyncio.start_server(way.serve, LOOPBACK, 0)
    async with server:
        way.url = f"{parts.scheme}://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        try:
            yield way
        finally:
            way.cut()
