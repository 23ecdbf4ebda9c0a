"""Servers that are no directory: they accept and then do what a broken or hostile one would."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from deploy.local.process import LOOPBACK

LONG: Final = b"\x30\x83\xff\xff\x00"
"""The begin of an LDAP message of almost 16 MiB."""
ENDLESS: Final = b"\x30\x84\x7f\xff\xff\xff"
"""The begin of one that claims to be 2 GiB long."""

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Stranger:
    """Where it listens, how many came, and what they sent."""

    port: int = 0
    visits: int = 0
    heard: bytes = b""


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await reader.read()


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a byte at a time, for ever."""
    writer.write(LONG)
    while True:
        writer.write(b"\0")
        await writer.drain()
        await asyncio.sleep(0.05)


async def boasting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce more than anybody wants."""
    writer.write(ENDLESS)
    await reader.read()


async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with a complete message that means nothing."""
    await reader.read(1)
    writer.write(b"\x30\x0c\x02\x01\x01\x7f\x07nothing")
    await reader.read()


async def breaking_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End in the middle of a message."""
    await reader.read(1)
    writer.write(b"\x30\x0c\x02\x01")


async def speaking_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer in another protocol."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await reader.read()


@asynccontextmanager
async def stranger(behaviour: Behaviour) -> AsyncIterator[Stranger]:
    """Such a server, on a port of loopback."""
    seen = Stranger()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.visits += 1
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
