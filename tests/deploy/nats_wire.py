"""NATS's own client protocol, word by word: what a client library would not send, or not tell.

Answers come in order. So whatever the server had to say of what was sent before a ping, refusals and
messages alike, has been said when the pong is there.
"""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import nkeys  # type: ignore[import-untyped]

from tests.support.eventually import PATIENCE_S

Greeting = dict[str, Any]
Greeter = Callable[[str], Greeting | None]
"""Makes the words after `CONNECT` from the server's nonce; None: there is no such greeting."""

_REFUSED: Final = re.compile(r'Permissions Violation for (Publish|Subscription) to "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that was delivered, and the subscription for which it was."""

    asked: str
    queue: str
    subject: str
    reply: str
    body: str


@dataclass
class Told:
    """What the server has said. `alive` is whether it has answered the ping."""

    heard: list[Heard] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    alive: bool = False

    def refused(self, verb: str) -> list[str]:
        """The subjects of refused publications or subscriptions, in order."""
        found = (_REFUSED.search(error) for error in self.errors)
        return [match[2] for match in found if match and match[1] == verb]


class Wire:
    """One connection. What is sent waits for `settled`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: list[tuple[str, str]] = []

    async def greet(self, greeter: Greeter) -> None:
        """Read the server's greeting and answer it."""
        info = json.loads((await self._reader.readline()).partition(b" ")[2])
        greeting = greeter(info.get("nonce", ""))
        if greeting is not None:
            plain = {"verbose": False, "pedantic": False, "headers": False, "protocol": 1}
            self._write(f"CONNECT {json.dumps(plain | greeting)}")

    def publish(self, subject: str, body: str, reply: str = "") -> None:
        """Publish a text."""
        self._write(f"PUB {subject} {reply} {len(body.encode())}\r\n{body}")

    def subscribe(self, subject: str, queue: str = "") -> None:
        """Subscribe; it lasts as long as the connection."""
        self._asked.append((subject, queue))
        self._write(f"SUB {subject} {queue} {len(self._asked)}")

    async def settled(self) -> Told:
        """Send a ping, and all that the server says up to its pong, or up to its hanging up."""
        self._write("PING")
        told = Told()
        async with asyncio.timeout(PATIENCE_S):
            try:
                await self._writer.drain()
                while not told.alive and (line := await self._reader.readline()):
                    await self._take(line.decode().rstrip("\r\n"), told)
            except ConnectionError:
                """It has hung up while something was under way."""
        return told

    async def hung_up(self) -> None:
        """Return when the server has ended the connection."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                await self._reader.read()
            except ConnectionError:
                """That is an end too."""

    async def _take(self, line: str, told: Told) -> None:
        word, _, rest = line.partition(" ")
        match word:
            case "PONG":
                told.alive = True
            case "PING":
                self._write("PONG")
            case "-ERR":
                told.errors.append(rest)
            case "MSG":
                subject, number, *reply, size = rest.split()
                body = (await self._reader.readexactly(int(size) + 2))[:-2].decode()
                asked, queue = self._asked[int(number) - 1]
                told.heard.append(Heard(asked, queue, subject, "".join(reply), body))

    def _write(self, words: str) -> None:
        self._writer.write(f"{words}\r\n".encode())


def holder_of(token: str, seed: bytes) -> Greeter:
    """The greeting of whoever has a token and the seed to it, and so can sign a nonce."""

    def greeting(nonce: str) -> Greeting:
        signature = nkeys.from_seed(bytearray(seed)).sign(nonce.encode())
        return {"jwt": token, "sig": base64.urlsafe_b64encode(signature).rstrip(b"=").decode()}

    return greeting


@asynccontextmanager
async def wire(url: str, greeter: Greeter) -> AsyncIterator[Wire]:
    """A connection with a greeting; whether it is let in shows at the first `settled`."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        opened = Wire(reader, writer)
        await opened.greet(greeter)
        yield opened
    finally:
        writer.transport.abort()
