"""Bad input: every answer has its code, the connection's fate is the contract's, and others go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from actors.protocol.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX
from gateway.limits import FRAMES_PER_SECOND_MAX
from tests.e2e.clients import Client, Json, bare_socket, for_others
from tests.e2e.system import Company

ROOM: Final = "room_x"
"""Stands for the room's id in frames."""


def post(**changes: Any) -> Json:
    """A post that would be obeyed, but for the changes."""
    good = {"type": "post", "room": ROOM, "client_id": "c-1", "kind": "message", "body": "x"}
    return {**good, **changes}


def subscribe(after: Any) -> Json:
    """A subscription from a seq."""
    return {"type": "subscribe", "room": ROOM, "after": after}


MALFORMED: Final[dict[str, str | Json]] = {
    "no JSON": "hello",
    "nothing": "",
    "half of a document": '{"type":"ping"',
    "more than a document": '{"type":"ping"} {"type":"ping"}',
    "a byte order mark": '\ufeff{"type":"ping"}',
    "an array": '[{"type":"ping"}]',
    "a number": "1",
    "a text": '"ping"',
    "null": "null",
    "no type": {},
    "a type that is a number": {"type": 1},
    "a type nobody knows": {"type": "shout", "room": ROOM},
    "a frame of the server": {"type": "welcome", "user": "u", "tenant": "t", "heartbeat": 1},
    "a field too many": {"type": "ping", "role": "tenant_admin"},
    "fields missing": {"type": "post", "room": ROOM},
    "a key twice": '{"type":"ping","n":1,"n":2}',
    "a type twice": '{"type":"ping","type":"hello","token":"x"}',
    "not a number": '{"type":"ping","n":NaN}',
    "infinity": '{"type":"ping","n":Infinity}',
    "a number that overflows": '{"type":"ping","n":1e400}',
    "an integer of many digits": '{"type":"ping","n":' + "9" * 5_000 + "}",
    "a lone surrogate": '{"type":"ping","n":"\\ud800"}',
    "a lone surrogate in a key": '{"type":"ping","\\udfff":1}',
    "a deep nesting": '{"type":"ping","n":' + "[" * 20 + "]" * 20 + "}",
    "a very deep nesting": "[" * 30_000 + "]" * 30_000,
    "a bool for a number": {"type": "ping", "n": True},
    "a fraction for a number": {"type": "ping", "n": 1.5},
    "a body that is a number": post(body=1),
    "a body that is null": post(body=None),
    "a body that is an object": post(body={"$ne": None}),
    "a kind that people may not post": post(kind="finding"),
    "a thread that is a bool": post(thread=True),
    "a thread before the first": post(thread=0),
    "a seq that is negative": subscribe(-1),
    "a seq beyond what JSON can hold": subscribe(2**53),
    "a seq that is a text": subscribe("1"),
    "a seq that is a bool": subscribe(True),
    "a seq with a point": subscribe(1.0),
    **{
        f"the room {room!r}": {"type": "subscribe", "room": room, "after": 0}
        for room in ("", "a.b", "*", ">", "a b", "a\n", "_tenant", "../x", "x" * 65, "r\u00e9", 7)
    },
    **{
        f"the client id {name!r}": post(client_id=name)
        for name in ("", "a.b", "a b", "x" * 65, "\x00", 1, None)
    },
}
"""What no client in order would send; each costs the connection."""

REFUSED: Final[dict[str, tuple[Json, str]]] = {
    "an empty message": (post(body=""), "invalid"),
    "a message that is too long": (post(body="x" * (MESSAGE_BYTES_MAX + 1)), "too_large"),
    "a message of long letters": (post(body="\u20ac" * (MESSAGE_BYTES_MAX // 3 + 1)), "too_large"),
    "an answer to what is not there": (post(thread=99_999), "invalid"),
    "an answer to what can't be there": (post(thread=2**53 - 1), "invalid"),
    "a post into no room": (post(room="room_none"), "not_found"),
    "following no room": ({"type": "subscribe", "room": "room_none"}, "not_found"),
}
"""What is understood and not obeyed; the connection stays."""

ODD_BUT_FINE: Final = {
    "NUL": "a\x00b",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x85",
    "bidi overrides": "\u202egnp.exe\u202c \u2066x\u2069",
    "a letter in two parts": "a\u0301",
    "the same letter in one": "\u00e1",
    "the last characters": "\ufffe\uffff\U0010ffff",
    "line separators": "\u2028\u2029\u000b",
    "a byte order mark": "\ufeffx",
    "an escape": '\\u0000 \\" </script>',
    "white space only": " \t\n",
    "the longest message": "\u20ac" * (MESSAGE_BYTES_MAX // 3),
    "operators": '{"$where":"sleep(1000)"}',
}
"""Text that other systems stumble over; it is kept as it was sent."""


@asynccontextmanager
async def undisturbed(company: Company, ana: Client, room: str) -> AsyncIterator[None]:
    """Let two people talk at both gateways meanwhile, and see that nothing of it is lost."""
    bob = await company.sign_in("bob", gateway=1)
    over = asyncio.Event()
    async with ana.socket() as talking, bob.socket() as listening:
        await talking.follow(room)
        await listening.follow(room)
        said: list[str] = []

        async def talk() -> None:
            while not over.is_set():
                said.append(f"undisturbed {len(said)}")
                await talking.say(room, said[-1], f"u-{len(said)}")
                while (await talking.get()).get("client_id") != f"u-{len(said)}":
                    continue

        talk_on = asyncio.create_task(talk())
        try:
            yield
        finally:
            over.set()
            await talk_on
        head = talking.seen[-1]["seq"]
        if listening.seen[-1].get("seq") != head:
            await listening.entries_up_to(head)
        heard = [frame for frame in listening.seen if frame["type"] == "entry"]
        assert [entry["seq"] for entry in heard] == list(range(1, head + 1))
        told = [frame for frame in talking.seen if frame["type"] == "entry"]
        assert for_others(told) == heard
        mine = [entry["body"] for entry in told if entry.get("client_id", "").startswith("u-")]
        assert mine == said


@asynccontextmanager
async def in_a_room(company: Company) -> AsyncIterator[tuple[Client, str]]:
    """A client and a room in which two others talk meanwhile."""
    ana = await company.sign_in("ana")
    members = {company.user("bob"): "member", company.user("tom"): "member"}
    room = await ana.open_room(members=members)
    async with undisturbed(company, ana, room):
        yield await company.sign_in("tom"), room


def in_bytes(frame: str | Json, room: str) -> bytes:
    """A frame of the tables, about a room."""
    text = frame if isinstance(frame, str) else orjson.dumps(frame).decode()
    return text.replace(f'"{ROOM}"', f'"{room}"').encode()


async def fate(client: Client, *messages: bytes, text: bool | None = True) -> tuple[int, list[str]]:
    """How a welcomed socket is closed after messages, and which errors it is told before."""
    async with client.socket() as socket:
        for message in messages:
            await socket.connection.send(message, text=text)
        code = await socket.closed()
        return code, [frame["code"] for frame in socket.seen if frame["type"] == "error"]


# Frames -----------------------------------------------------------------------------------------


async def test_a_malformed_frame_costs_its_sender_the_connection_and_nobody_else(
    company: Company,
) -> None:
    async with in_a_room(company) as (client, room):
        found = {name: await fate(client, in_bytes(MALFORMED[name], room)) for name in MALFORMED}
    assert found == dict.fromkeys(MALFORMED, (4400, ["bad_frame"]))


async def test_what_breaks_the_framing_costs_its_sender_the_connection(company: Company) -> None:
    async with in_a_room(company) as (client, room):
        frame = in_bytes(post(), room)
        found = {
            "binary": await fate(client, frame, text=None),
            "not UTF-8": await fate(client, frame.replace(b'"x"', b'"\xff"')),
            "half a letter": await fate(client, b'{"type":"ping","n":"\xe2\x82"}'),
            "a surrogate in UTF-8": await fate(client, b'{"type":"ping","n":"\xed\xa0\x80"}'),
            "too large": await fate(client, b" " * (FRAME_BYTES_MAX + 1)),
            "too many": await fate(client, *[b'{"type":"ping"}'] * (FRAMES_PER_SECOND_MAX + 1)),
        }
        assert all(entry["body"] != "x" for entry in await client.entries(room))
    assert found == {
        "binary": (4400, []),
        "not UTF-8": (4400, ["bad_frame"]),
        "half a letter": (4400, ["bad_frame"]),
        "a surrogate in UTF-8": (4400, ["bad_frame"]),
        "too large": (4413, []),
        "too many": (4429, []),
    }


async def test_nothing_behind_a_malformed_frame_is_obeyed(company: Company) -> None:
    async with in_a_room(company) as (client, room):
        frames = [in_bytes(post(client_id=f"late-{n}", body="late"), room) for n in range(5)]
        assert await fate(client, b"{", *frames) == (4400, ["bad_frame"])
        bodies = [entry["body"] for entry in await client.entries(room)]
    assert "late" not in bodies


async def test_what_is_understood_and_refused_costs_nothing(company: Company) -> None:
    async with in_a_room(company) as (client, room), client.socket() as socket:
        found = {}
        for name, (frame, _) in REFUSED.items():
            await socket.connection.send(in_bytes(frame, room), text=True)
            refusal = await socket.get()
            found[name] = (refusal["type"], refusal["code"], refusal.get("client_id"))
            assert await socket.echo(name) == []
    assert found == {
        name: ("rejected", code, frame.get("client_id")) for name, (frame, code) in REFUSED.items()
    }


async def test_odd_text_is_kept_as_it_was_sent(company: Company) -> None:
    async with in_a_room(company) as (client, room), client.socket() as socket:
        for number, body in enumerate(ODD_BUT_FINE.values()):
            await socket.say(room, body, f"odd-{number}")
            [acknowledged] = await socket.entries(1)
            assert acknowledged["body"] == body
            receipt = await client.ask(
                "POST", f"/rooms/{room}/entries", {"client_id": f"rest-{number}", "body": body}
            )
            assert receipt.status_code == 201
        kept = {
            entry["client_id"]: entry["body"]
            for entry in await client.entries(room)
            if "client_id" in entry
        }
    expected = enumerate(ODD_BUT_FINE.values())
    assert kept == {f"{way}-{n}": body for n, body in expected for way in ("odd", "rest")}
    assert (await client.verdict(room))["verified"] is True


async def test_a_frame_in_pieces_is_a_frame(company: Company) -> None:
    ana = await company.sign_in("ana")
    async with ana.socket() as socket:
        await socket.connection.send(iter(['{"type":', '"ping",', '"n":"whole"}']))
        assert await socket.get() == {"type": "pong", "n": "whole"}


# Getting in -------------------------------------------------------------------------------------


async def test_who_says_nothing_is_closed_in_time(company: Company) -> None:
    async with bare_socket(company.system.gateways[0].http) as socket:
        assert (await socket.closed(), socket.seen) == (4408, [])


async def test_nothing_is_obeyed_before_a_hello(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    found = {}
    frames: dict[str, Any] = {
        "ping": ({"type": "ping"}, 4401),
        "subscribe": ({"type": "subscribe", "room": room, "after": 0}, 4401),
        "post": ({"type": "post", "room": room, "client_id": "c", "body": "x"}, 4401),
        "hello": ({"type": "hello"}, 4400),
        "hello with a number": ({"type": "hello", "token": 1}, 4400),
        "hello with too much": ({"type": "hello", "token": "x" * 5_000}, 4400),
    }
    for name, (frame, _) in frames.items():
        async with bare_socket(ana.http) as socket:
            await socket.send(**frame)
            await socket.send(type="hello", token=ana.access)
            found[name] = await socket.closed()
            assert [told["type"] for told in socket.seen] == ["error"]
    assert found == {name: code for name, (_, code) in frames.items()}
    assert len(await ana.entries(room)) == 1


async def test_a_page_of_another_origin_gets_no_socket(company: Company) -> None:
    http = (await company.sign_in("ana")).http
    for origin in ("https://evil.example", "null", f"{http.base_url}".replace("127", "128")):
        with pytest.raises(InvalidStatus) as refused:
            async with bare_socket(http, origin=origin):
                raise AssertionError(origin)
        response = refused.value.response
        assert (response.status_code, orjson.loads(response.body)["code"]) == (403, "forbidden")
    async with bare_socket(http, origin=str(http.base_url).rstrip("/")) as socket:
        await socket.send(type="ping")
        assert await socket.closed() == 4401


async def test_a_ticket_opens_one_socket_at_one_gateway(company: Company) -> None:
    ana = await company.sign_in("ana")
    ticket = (await ana.call("POST", "/auth/ws-ticket"))["ticket"]

    async def use(gateway: int) -> str | int:
        http = company.system.gateways[gateway].http
        async with bare_socket(http, f"?ticket={ticket}") as socket:
            try:
                frame = await socket.get()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0
            if frame["type"] == "welcome":
                assert (frame["user"], frame["tenant"]) == (ana.user, company.tenant)
                return "welcome"
            return await socket.closed()

    uses = await asyncio.gather(*(use(number % 2) for number in range(6)))
    assert sorted(map(str, uses)) == ["4401"] * 5 + ["welcome"]
    assert await use(0) == 4401


async def test_what_is_no_ticket_opens_nothing(company: Company) -> None:
    ana = await company.sign_in("ana")
    for ticket in ("x", ana.access, ana.refresh, "x" * 5_000, "%00"):
        async with bare_socket(ana.http, f"?ticket={ticket}") as socket:
            assert await socket.closed() == 4401, ticket
            assert [frame["code"] for frame in socket.seen] == ["unauthenticated"]
