"""A client of the public surface as a customer would write one: REST by httpx, sockets by websockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.eventually import PATIENCE_S

Json = dict[str, Any]

PAGE: Final = 200
"""Items of the longest page that a gateway gives."""
ENTRY_BYTES_MAX: Final = 1024 * 1024
"""An entry may hold a whole external payload; the library's own limit would do, but is not ours."""
CUT: Final = 1006
"""What stands for a connection that ended without a close frame (RFC 6455, section 7.4.1)."""


@asynccontextmanager
async def rest(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP to one gateway and to nobody else, whatever the environment says of proxies."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as http:
        yield http


@dataclass
class Socket:
    """A WebSocket. `seen` are the frames that came, in order."""

    connection: ClientConnection
    seen: list[Json] = field(default_factory=list)

    async def send(self, **frame: Any) -> None:
        """Send a frame."""
        await self.connection.send(orjson.dumps(frame).decode())

    async def say(self, room: str, body: str, client_id: str, **more: Any) -> None:
        """Send a post."""
        named = {"room": room, "client_id": client_id, "kind": "message", "body": body}
        await self.send(type="post", **named, **more)

    async def get(self) -> Json:
        """The next frame.

        Raises:
            ConnectionClosed: there is none any more.
        """
        async with asyncio.timeout(PATIENCE_S):
            frame: Json = orjson.loads(await self.connection.recv())
        self.seen.append(frame)
        return frame

    async def until(self, type_: str) -> list[Json]:
        """The frames up to the next one of a type."""
        frames = [await self.get()]
        while frames[-1]["type"] != type_:
            frames.append(await self.get())
        return frames

    async def follow(self, room: str, after: int | None = 0) -> list[Json]:
        """Subscribe, and take what is replayed and the `caught_up` behind it."""
        await self.send(type="subscribe", room=room, **({} if after is None else {"after": after}))
        return await self.until("caught_up")

    async def entries(self, count: int) -> list[Json]:
        """The next frames, which must be entries."""
        frames = [await self.get() for _ in range(count)]
        assert [frame["type"] for frame in frames] == ["entry"] * count, frames
        return frames

    async def entries_up_to(self, seq: int) -> list[Json]:
        """The next frames up to the entry of a seq; all must be entries."""
        frames: list[Json] = []
        while not frames or frames[-1]["seq"] < seq:
            frames += await self.entries(1)
        return frames

    async def echo(self, mark: str) -> list[Json]:
        """Whatever was sent before the server answers a ping; the ping's answer is left out."""
        await self.send(type="ping", n=mark)
        return (await self.until("pong"))[:-1]

    async def closed(self) -> int:
        """The code with which the server closes, after frames that go to `seen`; `CUT` without one."""
        try:
            while True:
                await self.get()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else CUT


@dataclass
class Client:
    """Somebody who is signed in at one gateway. `http` knows the gateway."""

    http: httpx.AsyncClient
    user: str = ""
    access: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)

    @classmethod
    async def sign_in(cls, http: httpx.AsyncClient, name: str, password: str) -> "Client":
        """Sign in."""
        client = cls(http)
        credentials = {"username": name, "password": password}
        pair = await client.call("POST", "/auth/login", credentials)
        client.access, client.refresh = pair["access_token"], pair["refresh_token"]
        client.user = (await client.call("GET", "/auth/me"))["user"]
        return client

    def at(self, http: httpx.AsyncClient) -> "Client":
        """The same session at another gateway."""
        return Client(http, self.user, self.access, self.refresh)

    # REST -------------------------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> httpx.Response:
        """A request under /api/v1, whatever the answer is. `key` is the Idempotency-Key."""
        headers = {"Authorization": f"Bearer {self.access}"} if self.access else {}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else orjson.dumps(body)
            headers["Content-Type"] = "application/json"
        return await self.http.request(method, f"/api/v1{path}", content=content, headers=headers)

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None
    ) -> Json:
        """What a request that must succeed is answered with."""
        answer = await self.ask(method, path, body, key=key)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        found: Json = answer.json() if answer.content else {}
        return found

    async def open_room(self, name: str = "A room", **fields: Any) -> str:
        """Open a room; its id."""
        return str((await self.call("POST", "/rooms", {"name": name, **fields}))["room"])

    async def say(self, room: str, body: str, client_id: str) -> Json:
        """Post over REST; the receipt."""
        return await self.call(
            "POST", f"/rooms/{room}/entries", {"client_id": client_id, "body": body}
        )

    async def entries(self, room: str, after: int = 0) -> list[Json]:
        """A room's entries after a seq, page by page."""
        return await self._pages(f"/rooms/{room}/entries", after)

    async def chain(self, room: str) -> list[Json]:
        """A room's headers, page by page."""
        return await self._pages(f"/rooms/{room}/chain", 0)

    async def _pages(self, path: str, after: int) -> list[Json]:
        items: list[Json] = []
        following: str | None = str(after)
        while following is not None:
            page = await self.call("GET", f"{path}?after={following}&limit={PAGE}")
            items += page["items"]
            following = page["next"]
        return items

    async def verdict(self, room: str) -> Json:
        """The last line of what the server's verification says."""
        answer = await self.ask("GET", f"/rooms/{room}/verify")
        assert answer.status_code == 200, answer.text
        last: Json = orjson.loads(answer.text.splitlines()[-1])
        return last

    # Sockets ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[Socket]:
        """A socket that was welcomed."""
        async with bare_socket(self.http) as socket:
            await socket.send(type="hello", token=self.access)
            welcome = await socket.get()
            assert (welcome["type"], welcome["user"]) == ("welcome", self.user), welcome
            yield socket


@asynccontextmanager
async def bare_socket(
    http: httpx.AsyncClient, query: str = "", **options: Any
) -> AsyncIterator[Socket]:
    """A socket that has said nothing yet; `options` are those of `websockets.connect`."""
    url = str(http.base_url).rstrip("/").replace("http", "ws", 1)
    given = {"compression": None, "proxy": None, "max_size": ENTRY_BYTES_MAX, **options}
    async with connect(f"{url}/ws/v1{query}", **given) as connection:
        yield Socket(connection)


def for_others(entries: list[Json]) -> list[Json]:
    """Entries as everybody but their author sees them."""
    return [{key: entry[key] for key in entry if key != "client_id"} for entry in entries]
