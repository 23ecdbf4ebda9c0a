"""The bare fan-out: `python -m deploy.bench.fanout FD`, a server that only sends.

It speaks as much of the gateway's protocol as the load generator needs, and sends frames of the
same number of bytes to the same number of sockets; nothing is checked, stored or shared between
processes. What it reaches is what sockets and the generator allow on this machine. FD is the
listening socket it inherits.
"""

import asyncio
import socket
import sys
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from typing_extensions import override

from gateway.frames import encode_text_frame

HASH_HEX: Final = b"5e" * 32
ACTOR: Final = b"user_0199d2a3c1b2aabbccddeeff00112233"
AT: Final = b"2026-01-01T00:00:00.000Z"
_HEAD: Final = (
    b'{"type":"entry","room":"%b","seq":%d,"id":"%b.%d","kind":"message","actor":"%b","at":"%b"'
    b',"body":'
)
_TAIL: Final = b',"prev":"%b","hash":"%b"}' % (HASH_HEX, HASH_HEX)
"""An entry as long as the gateway's, around the body."""


@dataclass(slots=True, eq=False)
class Member:
    """A socket of a room and what it is owed."""

    transport: WSTransport
    frames: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class BareRoom:
    """The sockets of a room and its counter. A frame is made once for all of them, and what came
    in one turn of the loop leaves in one write a socket."""

    name: bytes
    seq: int = 0
    members: list[Member] = field(default_factory=list)

    def post(self, sender: Member, message: dict[str, Any]) -> None:
        """Owe a message to every socket; the sender's copy shows its client id."""
        if not self.members[0].frames:
            asyncio.get_running_loop().call_soon(self._flush)
        self.seq += 1
        head = _HEAD % (self.name, self.seq, self.name, self.seq, ACTOR, AT)
        head += orjson.dumps(message["body"])
        shared = encode_text_frame(head + _TAIL)
        for member in self.members:
            member.frames.append(shared)
        mark = b',"client_id":' + orjson.dumps(message["client_id"])
        sender.frames[-1] = encode_text_frame(head + mark + _TAIL)

    def _flush(self) -> None:
        for member in self.members:
            member.transport.underlying_transport.write(b"".join(member.frames))
            member.frames.clear()


class BareSocket(WSListener):
    """Answers subscribe, and sends every post to its room."""

    def __init__(self, rooms: dict[str, BareRoom]) -> None:
        self._rooms = rooms
        self._places: dict[str, Member] = {}

    @override
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        message = orjson.loads(frame.get_payload_as_bytes())
        if message["type"] == "post":
            name = message["room"]
            self._rooms[name].post(self._places[name], message)
        elif message["type"] == "subscribe":
            self._join(message["room"], transport)

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for name, member in self._places.items():
            self._rooms[name].members.remove(member)

    def _join(self, name: str, transport: WSTransport) -> None:
        room = self._rooms.setdefault(name, BareRoom(name.encode()))
        member = self._places[name] = Member(transport)
        room.members.append(member)
        answer = {"type": "caught_up", "room": name, "head": room.seq}
        transport.send(WSMsgType.TEXT, orjson.dumps(answer))


async def serve(listening: socket.socket) -> None:
    """Serve until standard input ends, which it does with whoever started this."""
    rooms: dict[str, BareRoom] = {}

    def accept(_: WSUpgradeRequest) -> BareSocket:
        return BareSocket(rooms)

    server = await ws_create_server(accept, sock=listening)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(socket.socket(fileno=int(sys.argv[1]))))
