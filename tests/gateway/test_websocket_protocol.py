"""The protocol under the sockets, spoken to byte by byte by clients that do not behave."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from actors.protocol.limits import FRAME_BYTES_MAX
from gateway import websocket_protocol
from gateway.websocket_protocol import WardroomWebSocket, socket_of
from tests.gateway.serving import ROOM, Served, served
from tests.gateway.world import eventually


@dataclass
class Wire:
    """One connection, at the level of frames and bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    conn: ClientProtocol
    response: Response

    async def send(self, *frames: Frame) -> None:
        """Send frames, masked as a client must."""
        self.writer.write(b"".join(frame.serialize(mask=True) for frame in frames))
        await self.writer.drain()

    async def say(self, **frame: object) -> None:
        """Send a frame of the contract."""
        await self.send(Frame(Opcode.TEXT, orjson.dumps(frame)))

    async def frame(self) -> Frame:
        """The next frame."""
        async with asyncio.timeout(5):
            while not (events := self.conn.events_received()):
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self.conn.receive_data(data)
        self.conn.events[:0] = events[1:]
        first = events[0]
        assert isinstance(first, Frame)
        return first

    async def close_code(self) -> int:
        """The code of the close frame, after whatever comes before it."""
        while (frame := await self.frame()).opcode is not Opcode.CLOSE:
            pass
        return int(Close.parse(frame.data).code)


@asynccontextmanager
async def wire(it: Served, query: str = "", offer: bytes = b"") -> AsyncIterator[Wire]:
    """A connection after the handshake; `offer` is a header line more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
    conn = ClientProtocol(parse_uri(f"ws://127.0.0.1:{it.port}/ws/v1{query}"))
    request = conn.connect()
    writer.write(request.serialize()[:-2] + offer + b"\r\n")
    conn.send_request(request)
    conn.data_to_send()
    try:
        while not (events := conn.events_received()):
            conn.receive_data(await reader.read(65_536))
        response = events[0]
        assert isinstance(response, Response)
        yield Wire(reader, writer, conn, response)
    finally:
        writer.transport.abort()


async def welcomed(it: Served, client: Wire) -> None:
    """Say hello and take the answer."""
    await client.say(type="hello", token=it.token("ana"))
    assert orjson.loads(bytes((await client.frame()).data))["type"] == "welcome"


async def test_a_message_in_fragments_is_one_message() -> None:
    async with served() as it, wire(it) as client:
        await welcomed(it, client)
        text = orjson.dumps({"type": "ping", "n": "caf\u00e9"})
        cut = text.index(b"\xc3") + 1

        await client.send(
            Frame(Opcode.TEXT, text[:5], fin=False),
            Frame(Opcode.PING, b"in between"),
            Frame(Opcode.CONT, text[5:cut], fin=False),
            Frame(Opcode.CONT, text[cut:]),
        )

        pong = await client.frame()
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"in between")
        assert orjson.loads(bytes((await client.frame()).data)) == {
            "type": "pong",
            "n": "caf\u00e9",
        }


async def test_many_messages_in_one_piece_are_all_obeyed_in_order() -> None:
    async with served() as it, wire(it) as client:
        hello = orjson.dumps({"type": "hello", "token": it.token("ana")})
        pings = [orjson.dumps({"type": "ping", "n": number}) for number in range(100)]

        await client.send(*(Frame(Opcode.TEXT, text) for text in (hello, *pings)))

        answers = [orjson.loads(bytes((await client.frame()).data)) for _ in range(101)]
        assert [answer.get("n") for answer in answers[1:]] == list(range(100))


async def test_no_compression_is_agreed_on() -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    async with served() as it, wire(it, offer=offer) as client:
        assert client.response.status_code == 101
        assert "Sec-WebSocket-Extensions" not in client.response.headers


REFUSED = {
    "text that is not UTF-8": ([Frame(Opcode.TEXT, b'"\xff"')], 4400),
    "half a letter": ([Frame(Opcode.TEXT, b'"\xc3"')], 4400),
    "a surrogate in UTF-8": ([Frame(Opcode.TEXT, b'"\xed\xa0\x80"')], 4400),
    "binary": ([Frame(Opcode.BINARY, b"{}")], 4400),
    "binary in fragments": (
        [Frame(Opcode.BINARY, b"{", fin=False), Frame(Opcode.CONT, b"}")],
        4400,
    ),
    "a frame too large": ([Frame(Opcode.TEXT, b"x" * (FRAME_BYTES_MAX + 1))], 4413),
    "fragments too large together": (
        [Frame(Opcode.TEXT, b"x" * FRAME_BYTES_MAX, fin=False), Frame(Opcode.CONT, b"x")],
        4413,
    ),
    "a continuation of nothing": ([Frame(Opcode.CONT, b"x")], 1002),
    "a message inside a message": (
        [Frame(Opcode.TEXT, b"x", fin=False), Frame(Opcode.TEXT, b"x")],
        1002,
    ),
}


@pytest.mark.parametrize(("frames", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_breaks_the_protocol_closes_the_socket_with_its_code(
    frames: list[Frame], code: int
) -> None:
    async with served() as it, wire(it) as client:
        await welcomed(it, client)

        await client.send(*frames)

        assert await client.close_code() == code


async def test_a_length_that_lies_is_refused_before_the_bytes_come() -> None:
    async with served() as it, wire(it) as client:
        await welcomed(it, client)

        client.writer.write(b"\x81\xff" + (2**62).to_bytes(8, "big"))

        assert await client.close_code() == 4413


async def test_a_client_that_goes_on_sending_still_sees_why_it_was_refused() -> None:
    async with served() as it, wire(it) as client:
        await welcomed(it, client)

        client.writer.write(b"\x81\xff" + (50_000_000).to_bytes(8, "big") + os.urandom(4))
        for _ in range(100):
            client.writer.write(os.urandom(100_000))
        await client.writer.drain()

        assert await client.close_code() == 4413


async def test_an_unmasked_frame_is_refused() -> None:
    async with served() as it, wire(it) as client:
        client.writer.write(Frame(Opcode.TEXT, b"{}").serialize(mask=False))

        assert await client.close_code() == 1002


async def test_a_client_that_closes_is_answered() -> None:
    async with served() as it, wire(it) as client:
        await welcomed(it, client)

        await client.send(Frame(Opcode.CLOSE, Close(1000, "bye").serialize()))

        assert await client.close_code() == 1000
        await eventually(lambda: it.metrics.sockets._value.get() == 0)


async def test_a_client_that_never_answers_the_close_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_GRACE_S", 0.05)
    async with served() as it, wire(it) as client:
        await welcomed(it, client)
        await client.say(type="shout")
        assert await client.close_code() == 4400

        async with asyncio.timeout(5):
            assert await client.reader.read() == b""


async def test_a_client_that_stops_reading_altogether_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_protocol, "CLOSE_GRACE_S", 0.05)
    async with served(outbound_bytes_max=512 * 1024) as it, wire(it) as client:
        await welcomed(it, client)
        await client.say(type="subscribe", room=ROOM)
        await client.frame()
        client.writer.transport.get_extra_info("socket")
        transport = client.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

        async with it.signed_in("bob") as bob:
            sent = 0
            while it.metrics.slow_closes._value.get() == 0:
                body, number = "x" * 16_000, f"c-{sent}"
                await bob.send(type="post", room=ROOM, client_id=number, body=body)
                await bob.get()
                sent += 1

        await eventually(lambda: it.metrics.sockets._value.get() == 0)


async def test_a_peer_that_does_not_answer_pings_is_cut() -> None:
    async with served() as it:
        # The setting counts in whole seconds; a test need not.
        it.server.config.ws_ping_interval = it.server.config.ws_ping_timeout = 0.02
        async with wire(it) as client:
            assert (await client.frame()).opcode is Opcode.PING
            await eventually(lambda: it.metrics.sockets._value.get() == 0)


async def test_a_peer_that_answers_pings_stays() -> None:
    async with served() as it:
        it.server.config.ws_ping_interval = 0.01
        it.server.config.ws_ping_timeout = 5.0
        async with wire(it) as client:
            for _ in range(3):
                ping = await client.frame()
                assert ping.opcode is Opcode.PING
                await client.send(Frame(Opcode.PONG, bytes(ping.data)))
            await welcomed(it, client)


async def test_neither_tickets_nor_frames_are_written_to_any_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served() as it:
        ticket, token = it.tokens.ticket(it.principal("ana")), it.token("ana")
        async with wire(it, f"?ticket={ticket}") as client:
            assert orjson.loads(bytes((await client.frame()).data))["type"] == "welcome"
            await client.say(type="hello", token=token)
            await client.frame()

    # What the client's side of this test logs is not the gateway's doing.
    ours = [record.getMessage() for record in caplog.records if "client" not in record.name]
    assert any("/ws/v1" in text for text in ours)
    assert not any(secret[-40:] in text for text in ours for secret in (ticket, token))


def test_another_protocol_underneath_is_named_as_the_fault() -> None:
    with pytest.raises(RuntimeError, match="WardroomWebSocket"):
        socket_of({"type": "websocket", "extensions": {}})


class Sent:
    """A transport that only remembers what was written."""

    def __init__(self) -> None:
        self.written = bytearray()

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def resume_reading(self) -> None:
        return

    def close(self) -> None:
        return

    def abort(self) -> None:
        return


CONTROL_BYTES_MAX = 125
"""RFC 6455, section 5.5."""
FRAME_SIZES = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, FRAME_BYTES_MAX])


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Frame], list[bytes], list[bytes]]:
    """Frames of a client in order, the texts and the pings that they carry."""
    frames: list[Frame] = []
    texts: list[bytes] = []
    pings: list[bytes] = []
    for number in range(draw(st.integers(0, 6))):
        text = b"%d" % number + b"x" * draw(FRAME_SIZES)
        # The library counts a ping between fragments as part of their message.
        text = text[: FRAME_BYTES_MAX - CONTROL_BYTES_MAX]
        texts.append(text)
        if draw(st.booleans()):
            frames.append(Frame(Opcode.TEXT, text))
        else:
            cut = draw(st.integers(0, len(text)))
            frames.append(Frame(Opcode.TEXT, text[:cut], fin=False))
            if draw(st.booleans()):
                pings.append(b"in between")
                frames.append(Frame(Opcode.PING, b"in between"))
            frames.append(Frame(Opcode.CONT, text[cut:]))
        if draw(st.booleans()):
            pings.append(b"after")
            frames.append(Frame(Opcode.PING, b"after"))
    return frames, texts, pings


@given(conversations(), st.lists(st.integers(1, 70_000), max_size=12))
async def test_messages_arrive_whole_and_in_order_however_the_bytes_are_cut(
    conversation: tuple[list[Frame], list[bytes], list[bytes]], cuts: list[int]
) -> None:
    frames, texts, pings = conversation
    protocol, transport, taken = sunk_protocol()
    data = b"".join(frame.serialize(mask=True) for frame in frames)

    for size in cuts:
        protocol.data_received(data[:size])
        data = data[size:]
    protocol.data_received(data)

    assert taken == texts
    pongs = b"".join(Frame(Opcode.PONG, ping).serialize(mask=False) for ping in pings)
    assert bytes(transport.written) == pongs


@given(st.binary(max_size=200), st.integers(1, 200))
async def test_no_bytes_at_all_break_more_than_their_own_connection(data: bytes, cut: int) -> None:
    protocol, _, _ = sunk_protocol()

    protocol.data_received(data[:cut])
    protocol.data_received(data[cut:])

    still_open = protocol.conn.state is State.OPEN
    assert still_open or protocol.close_sent or protocol.conn.close_rcvd is not None


def sunk_protocol() -> tuple[WardroomWebSocket, Sent, list[bytes]]:
    """A protocol after its handshake, its transport, and the texts that it hands over."""
    config = Config(served, ws=WardroomWebSocket, log_config=None)
    config.load()
    protocol = WardroomWebSocket(config, ServerState(), {})
    transport = Sent()
    protocol.transport = cast(asyncio.Transport, transport)
    protocol.handshake_initiated = protocol.handshake_complete = True
    # Feeds the library past its handshake, as accepting a request does.
    protocol.conn.state = State.OPEN
    protocol.conn.parser = protocol.conn.parse()
    next(protocol.conn.parser)
    taken: list[bytes] = []
    protocol.sink = taken.append
    return protocol, transport, taken
