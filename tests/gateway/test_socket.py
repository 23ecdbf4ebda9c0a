"""The WebSocket over a real connection: who gets in, and what throws one out."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from starlette.datastructures import Headers
from websockets.exceptions import InvalidStatus

from gateway import connection as connection_module
from gateway import sockets as sockets_module
from gateway.socket import origin_allowed
from tests.gateway.serving import ROOM, served
from tests.gateway.talking import post


async def test_a_hello_is_welcomed_with_who_it_is() -> None:
    async with served(heartbeat_s=7) as it, it.socket() as client:
        await client.send(type="hello", token=it.token("ana"))

        assert await client.get() == {
            "type": "welcome",
            "user": "usr_ana",
            "tenant": "acme",
            "heartbeat": 7,
        }


async def test_frames_sent_right_behind_the_hello_wait_for_its_answer() -> None:
    async with served() as it, it.socket() as client:
        await client.send(type="hello", token=it.token("ana"))
        await client.send(type="subscribe", room=ROOM, after=0)
        await post(client, "hello", "c-1")
        await client.send(type="ping", n=1)

        types = [(await client.get())["type"] for _ in range(5)]

        assert types[0] == "welcome"
        assert sorted(types[1:]) == ["caught_up", "entry", "entry", "pong"]


@pytest.mark.parametrize(
    "frame",
    [{"type": "ping"}, {"type": "subscribe", "room": ROOM}, {"type": "hello", "token": "x"}],
    ids=lambda frame: frame["type"],
)
async def test_nothing_is_obeyed_before_a_good_hello(frame: dict[str, Any]) -> None:
    async with served() as it, it.socket() as client:
        await client.send(**frame)

        assert await client.closed() == 4401
        assert client.seen[0]["code"] == "unauthenticated"


async def test_a_socket_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "HELLO_TIMEOUT_S", 0.05)
    async with served() as it, it.socket() as client:
        assert await client.closed() == 4408


async def test_a_token_of_a_session_that_has_ended_is_refused() -> None:
    async with served() as it, it.socket() as client:
        ended = replace(it.principal("ana"), session="ses_gone")
        await client.send(type="hello", token=it.tokens.access_token(ended))

        assert await client.closed() == 4401


async def test_a_ticket_opens_one_socket() -> None:
    async with served() as it:
        ticket = it.tokens.ticket(it.principal("ana"))
        async with it.socket(f"?ticket={ticket}") as first:
            assert (await first.get())["user"] == "usr_ana"
        async with it.socket(f"?ticket={ticket}") as second:
            assert await second.closed() == 4401


async def test_a_ticket_opens_one_socket_even_in_a_race() -> None:
    async with served() as it:
        ticket = it.tokens.ticket(it.principal("ana"))

        async def attempt() -> str:
            async with it.socket(f"?ticket={ticket}") as client:
                return str((await client.get())["type"])

        outcomes = await asyncio.gather(*(attempt() for _ in range(5)))

        assert sorted(outcomes) == ["error"] * 4 + ["welcome"]


async def test_an_access_token_in_the_query_is_no_ticket() -> None:
    async with served() as it, it.socket(f"?ticket={it.token('ana')}") as client:
        assert await client.closed() == 4401


async def test_a_socket_ends_with_its_token_unless_it_is_renewed() -> None:
    async with served() as it, it.socket() as short, it.socket() as renewed:
        ends = replace(it.principal("ana"), expires=int(time.time()) + 2)
        for client in (short, renewed):
            await client.send(type="hello", token=it.tokens.access_token(ends))
            await client.get()
        await renewed.send(type="hello", token=it.token("ana"))
        assert (await renewed.get())["type"] == "welcome"

        assert await short.closed() == 4401
        await renewed.send(type="ping", n="still here")
        assert await renewed.get() == {"type": "pong", "n": "still here"}


async def test_another_users_token_does_not_take_a_socket_over() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.send(type="hello", token=it.token("bob"))

        assert await client.closed() == 4403


async def test_a_sign_out_closes_the_sockets_of_the_session_and_no_others() -> None:
    async with served() as it, it.signed_in("ana") as ana, it.signed_in("bob") as bob:
        answer = await it.http.post("/api/v1/auth/logout", headers=it.headers("ana"))

        assert answer.status_code == 204
        assert await ana.closed() == 4401
        await bob.send(type="ping")
        assert (await bob.get())["type"] == "pong"


async def test_a_session_that_was_ended_elsewhere_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets_module, "SWEEP_S", 0.01)
    monkeypatch.setattr(connection_module, "SESSION_CHECK_S", 0)
    async with served() as it, it.signed_in("ana") as client:
        it.world.at("acme", "_tenant").state.sessions.pop("ses_ana")

        assert await client.closed() == 4401


ORIGINS = {
    "no browser": (None, True),
    "the same host": ("http://chat.example:8080", True),
    "the same host in capitals": ("HTTP://CHAT.EXAMPLE:8080", True),
    "an allowed origin": ("https://console.example", True),
    "an allowed origin with a slash": ("https://console.example/", True),
    "another host": ("http://evil.example:8080", False),
    "another port": ("http://chat.example:8081", False),
    "the default port": ("http://chat.example", False),
    "a longer name": ("http://chat.example.evil.example:8080", False),
    "a user part": ("http://chat.example:8080@evil.example", False),
    "an allowed name under another scheme": ("http://console.example", False),
    "no origin to speak of": ("null", False),
    "an empty origin": ("", False),
    "no port at all": ("http://chat.example:x", False),
    "a file": ("file://chat.example:8080", False),
}


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS.values(), ids=ORIGINS.keys())
def test_pages_of_this_host_and_of_allowed_origins_may_open_sockets(
    origin: str | None, allowed: bool
) -> None:
    sent = {"host": "chat.example:8080"} | ({"origin": origin} if origin is not None else {})

    answer = origin_allowed(Headers(sent), frozenset({"https://console.example"}))

    assert answer is allowed


def test_a_host_without_a_port_has_the_default_one() -> None:
    headers = Headers({"host": "chat.example", "origin": "https://chat.example:443"})

    assert not origin_allowed(
        Headers({**headers, "origin": "https://chat.example:8443"}), frozenset()
    )


def test_two_origins_are_none() -> None:
    raw = [
        (b"host", b"a.example"),
        (b"origin", b"http://a.example"),
        (b"origin", b"http://b.example"),
    ]

    assert not origin_allowed(Headers(raw=raw), frozenset())


async def test_a_page_of_another_origin_gets_a_problem_instead_of_a_socket() -> None:
    async with served() as it:
        with pytest.raises(InvalidStatus) as caught:
            async with it.socket(origin="https://evil.example"):
                pass

        response = caught.value.response
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_page_of_an_allowed_origin_gets_a_socket() -> None:
    async with (
        served(allowed_origins=frozenset({"https://console.example"})) as it,
        it.socket(origin="https://console.example") as client,
    ):
        await client.send(type="hello", token=it.token("ana"))
        assert (await client.get())["type"] == "welcome"


BAD_FRAMES: dict[str, str | bytes] = {
    "no JSON": "hello",
    "a duplicate key": '{"type":"ping","type":"ping"}',
    "a lone surrogate": '{"type":"ping","n":"\\ud800"}',
    "an unknown type": '{"type":"shout"}',
    "a field too many": '{"type":"ping","x":1}',
    "a room that is no id": '{"type":"subscribe","room":"a.>"}',
    "the tenant's own mailbox": '{"type":"post","room":"_tenant","client_id":"c","body":"x"}',
    "binary": b'{"type":"ping"}',
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
async def test_a_bad_frame_closes_its_socket_and_no_other(data: str | bytes) -> None:
    async with served() as it, it.signed_in("ana") as bad, it.signed_in("bob") as good:
        await good.follow()
        await bad.send_raw(data)

        assert await bad.closed() == 4400
        await post(good, "still here", "c-1")
        assert (await good.get())["body"] == "still here"


async def test_a_bad_frame_is_explained_before_the_socket_closes() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.send(type="subscribe", room=ROOM, after=-1)
        await client.closed()

        assert client.seen[-1]["type"] == "error"
        assert client.seen[-1]["code"] == "bad_frame"
        assert "after" in client.seen[-1]["detail"]


async def test_one_frame_too_many_in_a_second_closes_the_socket() -> None:
    async with served(frames_per_second_max=5) as it, it.signed_in("ana") as client:
        for number in range(6):
            await client.send(type="ping", n=number)

        assert await client.closed() == 4429
