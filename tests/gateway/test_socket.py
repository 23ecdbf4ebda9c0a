"""The WebSocket over a real connection: who gets in, what is answered, what stops."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from websockets.exceptions import InvalidStatus

from actors.protocol.errors import ErrorCode
from actors.protocol.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX
from gateway import connection as connection_module
from gateway import sockets as sockets_module
from gateway.socket import origin_allowed
from tests.gateway.serving import ROOM, Client, Served, Unreachable, peopled, served
from tests.gateway.world import eventually, room_command, row_of


async def post(client: Client, body: str, client_id: str, room: str = ROOM) -> None:
    """Say something over a socket."""
    await client.send(type="post", room=room, client_id=client_id, kind="message", body=body)


# Getting in -----------------------------------------------------------------------------------


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


# Origins --------------------------------------------------------------------------------------

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


# Bad frames -----------------------------------------------------------------------------------

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


# Following and posting ------------------------------------------------------------------------


async def test_a_post_comes_back_to_its_author_with_its_client_id_and_to_others_without() -> None:
    async with served() as it, it.signed_in("ana") as ana, it.signed_in("bob") as bob:
        await ana.follow()
        await bob.follow()

        await post(ana, "hello", "c-1")

        mine, theirs = await ana.get(), await bob.get()
        assert mine.pop("client_id") == "c-1"
        assert mine == theirs
        assert (mine["seq"], mine["body"], mine["actor"]) == (2, "hello", "usr_ana")
        assert len(mine["hash"]) == 64


async def test_a_client_resumes_where_it_left_off() -> None:
    async with served() as it, it.signed_in("ana") as client:
        for number in range(5):
            command = {"type": "post", "actor": "usr_bob", "client_id": f"c-{number}"}
            it.world.commit("acme", ROOM, room_command(**command, body=f"m{number}"))

        frames = await client.follow(after=3)

        assert [frame["seq"] for frame in frames[:-1]] == [4, 5, 6]
        assert frames[-1] == {"type": "caught_up", "room": ROOM, "head": 6}


async def test_a_resend_is_answered_with_the_entry_it_became_the_first_time() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        await post(client, "hello", "c-1")
        first = await client.get()

        await post(client, "hello", "c-1")

        assert await client.get() == first
        assert it.world.at("acme", ROOM).head == 2


async def test_another_body_under_a_used_client_id_is_rejected() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        await post(client, "hello", "c-1")
        await client.get()

        await post(client, "goodbye", "c-1")

        rejected = await client.get()
        assert rejected["type"] == "rejected"
        assert (rejected["room"], rejected["client_id"]) == (ROOM, "c-1")
        assert rejected["code"] == "conflict"


async def test_who_does_not_follow_a_room_is_acknowledged_too() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await post(client, "hello", "c-1")

        entry = await client.get()

        assert (entry["type"], entry["seq"], entry["client_id"]) == ("entry", 2, "c-1")


REJECTED = {
    "an unknown room": ({"room": "room_none", "body": "x"}, "not_found"),
    "an empty text": ({"room": ROOM, "body": ""}, "invalid"),
    "a text too long": ({"room": ROOM, "body": "x" * (MESSAGE_BYTES_MAX + 1)}, "too_large"),
    "a thread that is not there": ({"room": ROOM, "body": "x", "thread": 99}, "invalid"),
}


@pytest.mark.parametrize("follows", [True, False], ids=["following", "not following"])
@pytest.mark.parametrize(("frame", "code"), REJECTED.values(), ids=REJECTED.keys())
async def test_a_post_that_is_refused_is_rejected_and_the_socket_stays(
    frame: dict[str, Any], code: str, follows: bool
) -> None:
    async with served() as it, it.signed_in("ana") as client:
        if follows:
            await client.follow()
        await client.send(type="post", client_id="c-1", **frame)

        rejected = await client.get()
        assert rejected.pop("detail")
        expected = {"type": "rejected", "room": frame["room"], "client_id": "c-1", "code": code}
        assert rejected == expected
        await post(client, "still here", "c-2")
        assert (await client.get())["body"] == "still here"


async def test_a_closed_room_rejects_posts_and_can_be_read() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.commit("acme", ROOM, room_command(type="close_room", actor="usr_ana"))
        assert (await client.get())["kind"] == "room_closed"

        await post(client, "too late", "c-1")

        assert (await client.get())["code"] == "room_closed"


async def test_another_tenants_room_is_as_unknown_as_none() -> None:
    world = peopled("acme", "globex")
    world.commit(
        "globex", "room_g", room_command(type="create_room", name="theirs", actor="usr_ana")
    )
    async with served(world) as it, it.signed_in("ana") as client:
        answers = []
        for room in ("room_g", "room_none"):
            for frame in ({"type": "subscribe"}, {"type": "post", "client_id": "c", "body": "x"}):
                await client.send(room=room, **frame)
                answers.append({**(await client.get()), "room": "?"})

        assert answers[:2] == answers[2:]
        assert {answer["code"] for answer in answers} == {"not_found"}
        assert world.at("globex", "room_g").head == 1


async def test_a_room_that_one_is_not_in_is_as_unknown_as_none() -> None:
    async with served() as it, it.signed_in("vera") as client:
        await client.send(type="subscribe", room=ROOM, after=0)
        hidden = await client.get()
        await client.send(type="subscribe", room="room_none", after=0)
        unknown = await client.get()

        assert hidden == {**unknown, "room": ROOM}
        assert hidden["code"] == "not_found"


async def test_a_removed_member_gets_the_removal_and_nothing_after_it() -> None:
    async with served() as it, it.signed_in("bob") as bob, it.signed_in("ana") as ana:
        await bob.follow()
        await ana.follow()

        removal = {"type": "remove_member", "user": "usr_bob", "actor": "usr_ana"}
        it.world.commit("acme", ROOM, room_command(**removal))
        await post(ana, "among us", "c-1")
        await ana.get_until("entry")

        assert (await bob.get())["kind"] == "member_removed"
        rejected = await bob.get()
        assert (rejected["type"], rejected["code"]) == ("rejected", "not_a_member")
        await post(bob, "let me in", "c-2")
        assert (await bob.get())["code"] == "not_found"


async def test_a_removal_that_the_row_does_not_show_yet_holds_already() -> None:
    async with served() as it, it.signed_in("bob") as client:
        row = row_of(it.world.at("acme", ROOM))
        assert row is not None
        it.world.stale_rows["acme", ROOM] = row
        removal = {"type": "remove_member", "user": "usr_bob", "actor": "usr_ana"}
        it.world.commit("acme", ROOM, room_command(**removal))

        await client.send(type="subscribe", room=ROOM, after=0)

        assert (await client.get())["code"] == "not_found"


async def test_who_unsubscribes_hears_nothing_more() -> None:
    async with served() as it, it.signed_in("bob") as client:
        await client.follow()
        await client.send(type="unsubscribe", room=ROOM)
        await client.send(type="unsubscribe", room="room_none")
        await client.send(type="ping")
        await client.get()
        it.world.commit(
            "acme", ROOM, room_command(type="post", actor="usr_ana", client_id="x", body="x")
        )
        await client.send(type="ping")

        assert (await client.get())["type"] == "pong"
        await eventually(lambda: not it.world.at("acme", ROOM).handlers)


async def test_who_unsubscribes_right_after_a_post_is_still_told_what_became_of_it() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.held = []
        await post(client, "hello", "c-1")
        await client.send(type="unsubscribe", room=ROOM)
        await eventually(lambda: bool(it.world.held))
        await settled_reads(it)
        it.world.release()

        assert (await client.get())["client_id"] == "c-1"
        await eventually(lambda: not it.world.at("acme", ROOM).handlers)


async def test_subscribing_again_starts_again() -> None:
    async with served() as it, it.signed_in("bob") as client:
        await client.follow(after=0)

        frames = await client.follow(after=0)
        await post(client, "once", "c-1")

        assert [frame["type"] for frame in frames] == ["entry", "caught_up"]
        assert (await client.get())["body"] == "once"
        await client.send(type="ping")
        assert (await client.get())["type"] == "pong"


async def test_one_room_too_many_is_rejected() -> None:
    async with served(subscriptions_max=1) as it, it.signed_in("ana") as client:
        for room in ("room_2", ROOM):
            create = room_command(type="create_room", name=room, actor="usr_ana")
            if room != ROOM:
                it.world.commit("acme", room, create)
        await client.follow()

        await client.send(type="subscribe", room="room_2")

        assert (await client.get())["code"] == "too_many"


async def test_a_store_that_is_away_rejects_and_keeps_the_socket() -> None:
    async with served() as it, it.signed_in("ana") as client:
        it.world.broken = Unreachable()
        await client.send(type="subscribe", room=ROOM, after=0)
        assert (await client.get())["code"] == "unavailable"
        await post(client, "hello", "c-1")
        assert (await client.get())["code"] == "unavailable"

        it.world.broken = None
        assert (await client.follow(after=0))[-1]["type"] == "caught_up"


async def test_the_order_of_one_clients_posts_is_kept() -> None:
    async with served() as it, it.signed_in("ana") as client:
        for number in range(50):
            await post(client, f"m{number}", f"c-{number}")
            if number == 10:
                await client.send(type="subscribe", room=ROOM)
            if number == 30:
                await client.send(type="unsubscribe", room=ROOM)
        acknowledged: set[str] = set()
        while len(acknowledged) < 50:
            acknowledged.add((await client.get()).get("client_id", "c-0"))

        said = [entry.content for entry in it.world.at("acme", ROOM).entries[1:]]
        assert said == [f"m{number}".encode() for number in range(50)]


# Flow control ---------------------------------------------------------------------------------


async def test_a_socket_with_too_many_posts_under_way_is_read_again_when_they_are_settled() -> None:
    async with served(inflight_posts_max=4) as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.held = []
        for number in range(4):
            await post(client, f"m{number}", f"c-{number}")
        await eventually(lambda: len(it.world.held or []) == 4)
        await client.send(type="ping", n="waits")
        for number in range(4, 8):
            await post(client, f"m{number}", f"c-{number}")

        reader = asyncio.create_task(client.get_until("pong"))
        await settled_reads(it)
        assert not reader.done()
        assert len(it.world.held or []) == 4
        it.world.release()
        frames = await reader

        assert [frame["type"] for frame in frames] == ["entry"] * 4 + ["pong"]
        assert [(await client.get())["body"] for _ in range(4)] == ["m4", "m5", "m6", "m7"]


async def settled_reads(it: Served) -> None:
    """Let everything that is on the wire arrive: another connection goes there and back."""
    for _ in range(5):
        answer = await it.http.get("/livez")
        assert answer.status_code == 200


async def test_a_post_without_any_answer_is_found_out_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets_module, "SWEEP_S", 0.01)
    monkeypatch.setattr("gateway.session.COMMAND_TIMEOUT_S", 0.05)
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.announcing = False
        await post(client, "committed, but nobody said so", "c-1")
        committed = await client.get()
        it.world.held = []
        await post(client, "lost", "c-2")
        lost = await client.get()

        assert (committed["type"], committed["client_id"]) == ("entry", "c-1")
        assert (lost["type"], lost["client_id"]) == ("rejected", "c-2")
        assert lost["code"] == ErrorCode.OUTCOME_UNKNOWN


async def test_a_peer_that_does_not_read_is_closed_and_others_notice_nothing() -> None:
    async with (
        served(outbound_bytes_max=512 * 1024) as it,
        it.signed_in("bob") as slow,
        it.signed_in("ana") as fast,
    ):
        await slow.follow()
        await fast.follow()
        slow.connection.transport.pause_reading()

        sent = 0
        while it.metrics.slow_closes._value.get() == 0:
            await post(fast, "x" * 16_000, f"c-{sent}")
            assert (await fast.get())["client_id"] == f"c-{sent}"
            sent += 1
            assert sent < 5_000

        slow.connection.transport.resume_reading()
        assert await slow.closed() == 4430
        seqs = [frame["seq"] for frame in slow.seen if frame["type"] == "entry"]
        assert seqs == list(range(2, 2 + len(seqs)))


async def test_a_socket_that_is_gone_leaves_nothing_behind() -> None:
    async with served() as it:
        async with it.signed_in("ana") as client:
            await client.follow()
            assert it.metrics.sockets._value.get() == 1
            client.connection.transport.abort()
        await eventually(lambda: it.metrics.sockets._value.get() == 0)
        await eventually(lambda: not it.world.at("acme", ROOM).handlers)

        assert it.metrics.feeds._value.get() == 0


async def test_a_stopping_gateway_tells_its_sockets_to_resume_elsewhere() -> None:
    async with served() as it, it.signed_in("ana") as client:
        stopping = asyncio.create_task(it.server.shutdown())

        assert await client.closed() == 1012
        await stopping


async def test_a_message_of_the_greatest_size_is_taken_and_one_byte_more_is_not() -> None:
    async with served() as it, it.signed_in("ana") as client:
        ping = b'{"type":"ping"' + b" " * (FRAME_BYTES_MAX - 15) + b"}"
        await client.send_raw(ping.decode())
        assert (await client.get())["type"] == "pong"

        await client.send_raw(ping.decode() + " ")

        assert await client.closed() == 4413


async def test_the_socket_needs_the_upgrade() -> None:
    async with served() as it:
        answer = await it.http.get("/ws/v1")

        assert answer.status_code == 404
        assert isinstance(answer, httpx.Response)
