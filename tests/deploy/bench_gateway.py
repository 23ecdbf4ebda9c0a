"""A gateway that speaks the contract's frames and can be told to misbehave, for testing the bench."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import uvicorn
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect

Fate = Literal["commit", "commit_twice", "commit_silently", "reject", "swallow"]


def commit(_number: int) -> Fate:
    """The fate of a post in an honest gateway."""
    return "commit"


def deliver(_seq: int, _socket: int, frame: bytes) -> list[bytes]:
    """What a socket gets of an entry in an honest gateway."""
    return [frame]


@dataclass
class Room:
    """A room: its sockets in the order they came, and its entries."""

    seq: int = 0
    sockets: list[WebSocket] = field(default_factory=list)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class FakeGateway:
    """Its manners are functions, so that each test says what is wrong with it."""

    fate: Callable[[int], Fate] = commit
    """What becomes of the n-th post, from 1."""
    deliver: Callable[[int, int, bytes], list[bytes]] = deliver
    """What the n-th socket of a room gets of the entry at a seq."""
    encode: Callable[[dict[str, Any]], bytes] = orjson.dumps
    store: Callable[[dict[str, Any]], None] = lambda entry: None
    close_at: int = 0
    """The post after which its socket is closed as too slow; 0 is never."""
    password: str = "right"
    posts: list[dict[str, Any]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    """The rooms that were asked for over REST."""
    acknowledged: set[str] = field(default_factory=set)
    rooms: dict[str, Room] = field(default_factory=dict)
    left: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for every socket that its client closed."""

    async def talk(self, websocket: WebSocket) -> None:
        """One socket."""
        await websocket.accept()
        try:
            while True:
                frame = orjson.loads(await websocket.receive_text())
                await self._answer(websocket, frame)
        except WebSocketDisconnect:
            self.left.release()
            for room in self.rooms.values():
                if websocket in room.sockets:
                    room.sockets.remove(websocket)

    async def _answer(self, websocket: WebSocket, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "hello" if frame["token"].startswith("token"):
                answer = {"type": "welcome", "user": "u", "tenant": "t", "heartbeat": 20}
            case "hello":
                answer = {"type": "error", "code": "unauthenticated", "detail": "who?"}
            case "subscribe":
                room = self.rooms.setdefault(frame["room"], Room())
                room.sockets.append(websocket)
                answer = {"type": "caught_up", "room": frame["room"], "head": room.seq}
            case _:
                return await self._post(websocket, frame)
        await websocket.send_text(orjson.dumps(answer).decode())

    async def _post(self, sender: WebSocket, frame: dict[str, Any]) -> None:
        self.posts.append(frame)
        number = len(self.posts)
        fate = self.fate(number)
        if fate == "reject":
            answer = {"type": "rejected", "client_id": frame["client_id"], "code": "too_many"}
            await sender.send_text(orjson.dumps(answer).decode())
        elif fate != "swallow":
            for _ in range(2 if fate == "commit_twice" else 1):
                await self._commit(sender, frame, shows_sender=fate != "commit_silently")
        if number == self.close_at:
            room = self.rooms[frame["room"]]
            async with room.lock:
                room.sockets.remove(sender)
                await sender.close(4430)

    async def _commit(
        self, sender: WebSocket, frame: dict[str, Any], *, shows_sender: bool
    ) -> None:
        room = self.rooms[frame["room"]]
        async with room.lock:
            room.seq += 1
            entry = {
                "type": "entry",
                "room": frame["room"],
                "seq": room.seq,
                "id": f"{frame['room']}.{room.seq}",
                "kind": "message",
                "actor": "u",
                "at": "2026-01-01T00:00:00.000Z",
                "body": frame["body"],
            }
            self.store({**entry, "client_id": frame["client_id"]})
            if shows_sender:
                self.acknowledged.add(frame["client_id"])
            for number, member in enumerate(tuple(room.sockets)):
                own = {"client_id": frame["client_id"]} if member is sender else {}
                shown = {**entry, **(own if shows_sender else {}), "prev": "0", "hash": "1"}
                for copy in self.deliver(room.seq, number, self.encode(shown)):
                    await member.send_text(copy.decode())

    def app(self) -> FastAPI:
        """The socket, and as much REST as the bench uses."""
        app = FastAPI()
        app.add_api_websocket_route("/ws/v1", self.talk)

        @app.get("/version")
        async def version() -> dict[str, str]:
            return {"name": "fake", "version": "9.9.9"}

        @app.post("/api/v1/auth/login")
        async def login(request: Request) -> dict[str, str]:
            asked = await request.json()
            if asked["password"] != self.password:
                raise HTTPException(401, "login_failed")
            return {"access_token": f"token-{asked['username']}"}

        @app.get("/api/v1/auth/me")
        async def me(request: Request) -> dict[str, str]:
            return {"user": request.headers["authorization"].replace("Bearer token-", "id-")}

        @app.post("/api/v1/rooms", status_code=201)
        async def create(request: Request) -> dict[str, str]:
            self.made.append(await request.json())
            return {"room": f"room-{len(self.made)}"}

        @app.get("/api/v1/rooms/{room}")
        async def show(room: str) -> dict[str, str]:
            return {"room": room}

        return app


@contextmanager
def serving(gateway: FakeGateway) -> Iterator[str]:
    """Serve it from a thread of its own on a free port of the loopback; its URL."""
    config = uvicorn.Config(gateway.app(), log_config=None, ws="websockets-sansio")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
