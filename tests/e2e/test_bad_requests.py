"""Bad requests: each answer has its status and code, and names the field that is wrong."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import httpx
import orjson

from actors.protocol.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_CHARS_MAX
from tests.e2e.clients import Client, Json
from tests.e2e.system import Company, System

ENDLESS_BYTES: Final = 64 * 1024 * 1024
"""More than the kernel buffers of a connection hold."""

Answer = tuple[int, str, list[str]]
"""Status, code, and what is wrong: pointers into the body, or names of parameters."""

UNREADABLE: Final[dict[str, tuple[bytes, Answer]]] = {
    "no JSON": (b"name=x", (400, "bad_frame", [])),
    "half of a document": (b'{"name":', (400, "bad_frame", [])),
    "an array": (b'[{"name":"x"}]', (400, "bad_frame", [])),
    "a text": (b'"x"', (400, "bad_frame", [])),
    "null": (b"null", (400, "bad_frame", [])),
    "a key twice": (b'{"name":"x","name":"y"}', (400, "bad_frame", [])),
    "not a number": (b'{"name":NaN}', (400, "bad_frame", [])),
    "infinity": (b'{"name":-Infinity}', (400, "bad_frame", [])),
    "a number that overflows": (b'{"name":1e400}', (400, "bad_frame", [])),
    "an integer of many digits": (b'{"name":' + b"9" * 5_000 + b"}", (400, "bad_frame", [])),
    "a lone surrogate": (b'{"name":"\\ud800"}', (400, "bad_frame", [])),
    "not UTF-8": (b'{"name":"\xff"}', (400, "bad_frame", [])),
    "UTF-16": ('{"name":"x"}'.encode("utf-16"), (400, "bad_frame", [])),
    "too deep": (b'{"name":' + b"[" * 20 + b"]" * 20 + b"}", (400, "bad_frame", [])),
    "very deep": (b"[" * 30_000 + b"]" * 30_000, (400, "bad_frame", [])),
    "too large": (b'{"name":"' + b"x" * FRAME_BYTES_MAX + b'"}', (413, "too_large", [])),
}
"""Bodies that no route reads."""

ROOMS: Final[dict[str, tuple[Json, list[str]]]] = {
    "no name": ({}, ["#/name"]),
    "an empty name": ({"name": ""}, ["#/name"]),
    "a long name": ({"name": "x" * (NAME_CHARS_MAX + 1)}, ["#/name"]),
    "a name that is a number": ({"name": 1}, ["#/name"]),
    "a name that is an operator": ({"name": {"$ne": None}}, ["#/name"]),
    "a field too many": ({"name": "x", "owner": "me"}, ["#/owner"]),
    "a field with a slash": ({"name": "x", "a/b~c": 1}, ["#/a~1b~0c"]),
    "an unknown kind": ({"name": "x", "kind": "secret"}, ["#/kind"]),
    "members that are a list": ({"name": "x", "members": ["a"]}, ["#/members"]),
    "an unknown member's role": ({"name": "x", "members": {"u": "god"}}, ["#/members/u"]),
    "a member that is no id": (
        {"name": "x", "members": {"a.b": "member"}},
        ["#/members/a.b/[key]"],
    ),
    "an unknown role": ({"name": "x", "open_to": ["viewer", "god"]}, ["#/open_to/1"]),
    "two faults": ({"name": 1, "kind": 1}, ["#/name", "#/kind"]),
}
"""Rooms that can't be: the body, and where it is wrong."""

ENTRIES: Final[dict[str, tuple[Json, Answer]]] = {
    "no client id": ({"client_id": None}, (422, "invalid", ["#/client_id"])),
    "a client id with a dot": ({"client_id": "a.b"}, (422, "invalid", ["#/client_id"])),
    "a client id that is too long": ({"client_id": "x" * 65}, (422, "invalid", ["#/client_id"])),
    "a body that is a number": ({"body": 1}, (422, "invalid", ["#/body"])),
    "an empty body": ({"body": ""}, (422, "invalid", [])),
    "a long body": ({"body": "x" * (MESSAGE_BYTES_MAX + 1)}, (413, "too_large", [])),
    "another kind": ({"kind": "finding"}, (422, "invalid", ["#/kind"])),
    "a thread that is a bool": ({"thread": True}, (422, "invalid", ["#/thread"])),
    "a thread before the first": ({"thread": 0}, (422, "invalid", ["#/thread"])),
    "a thread that is not there": ({"thread": 99}, (422, "invalid", [])),
    "an actor": ({"actor": "usr_none"}, (422, "invalid", ["#/actor"])),
    "a seq": ({"seq": 7}, (422, "invalid", ["#/seq"])),
}
"""Changes to a post that make it bad."""

QUERIES: Final[dict[str, list[str]]] = {
    "/rooms?limit=0": ["limit"],
    "/rooms?limit=201": ["limit"],
    "/rooms?limit=-1": ["limit"],
    "/rooms?limit=x": ["limit"],
    "/rooms?limit=1.5": ["limit"],
    "/rooms?limit=": ["limit"],
    "/rooms?limit=99999999999999999999": ["limit"],
    "/rooms?cursor=a.b": ["cursor"],
    "/rooms?cursor=%00": ["cursor"],
    "/rooms?cursor=": ["cursor"],
    "/rooms/{room}/members?cursor=a%2Fb": ["cursor"],
    "/rooms/{room}/entries?after=-1": ["after"],
    "/rooms/{room}/entries?after=9007199254740992": ["after"],
    "/rooms/{room}/entries?after=x&before=0": ["after", "before"],
    "/rooms/{room}/entries?kind=A%20B": ["kind"],
    "/rooms/{room}/entries?kind=$ne": ["kind"],
    "/rooms/{room}/entries?limit=1000": ["limit"],
    "/rooms/{room}/chain?after=1e3": ["after"],
    "/rooms/{room}/chain?limit=0": ["limit"],
}
"""Parameters that can't be, and which."""

BAD_IDS: Final = (
    *("a.b", "_tenant", "%00", "a%2Fb", "x" * 65, "*", "%3E", "%E2%82%AC", "a%20b", "a%0A"),
    *("$where", "room_", "-"),
)
"""Ids that nothing has; most of them nothing can have."""


def answer_of(answer: Any) -> Answer:
    """What an answer says is wrong."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    places = [item.get("pointer") or item["parameter"] for item in document.get("errors", [])]
    return answer.status_code, document["code"], places


async def test_a_body_that_can_not_be_read_is_refused_on_every_route(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    for method, path in (
        ("POST", "/auth/login"),
        ("POST", "/auth/refresh"),
        ("POST", "/rooms"),
        ("PATCH", f"/rooms/{room}"),
        ("POST", f"/rooms/{room}/entries"),
        ("PUT", f"/rooms/{room}/members/{company.user('bob')}"),
    ):
        found = {
            name: answer_of(await ana.ask(method, path, body))
            for name, (body, _) in UNREADABLE.items()
        }
        assert found == {name: wanted for name, (_, wanted) in UNREADABLE.items()}, path
    assert len(await ana.chain(room)) == 1


async def test_a_body_of_another_media_type_is_refused(company: Company) -> None:
    ana = await company.sign_in("ana")
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        headers = {"Authorization": f"Bearer {ana.access}", "Content-Type": media_type}
        answer = await ana.http.post("/api/v1/rooms", content=b'{"name":"x"}', headers=headers)
        assert answer_of(answer) == (400, "bad_frame", []), media_type
    charset = {**headers, "Content-Type": "Application/JSON; charset=utf-8"}
    answer = await ana.http.post("/api/v1/rooms", content=b'{"name":"x"}', headers=charset)
    assert answer.status_code == 201


async def test_a_body_in_pieces_is_bounded_as_a_whole(company: Company) -> None:
    ana = await company.sign_in("ana")
    headers = {"Authorization": f"Bearer {ana.access}", "Content-Type": "application/json"}
    sent = 0

    async def pieces(size: int) -> AsyncIterator[bytes]:
        nonlocal sent
        sent = 0
        while sent < size:
            sent += 1024
            yield b" " * 1024

    over = await ana.http.post(
        "/api/v1/rooms", content=pieces(FRAME_BYTES_MAX + 1), headers=headers
    )
    assert answer_of(over) == (413, "too_large", [])
    assert over.headers["connection"] == "close"
    # Whoever goes on writing may find the connection gone before the answer is read.
    with suppress(httpx.TransportError):
        endless = pieces(ENDLESS_BYTES)
        answer = await ana.http.post("/api/v1/rooms", content=endless, headers=headers)
        assert answer_of(answer) == (413, "too_large", [])
    assert sent < ENDLESS_BYTES


async def test_a_room_that_can_not_be_is_refused_field_by_field(company: Company) -> None:
    ana = await company.sign_in("ana")
    found = {
        name: answer_of(await ana.ask("POST", "/rooms", body)) for name, (body, _) in ROOMS.items()
    }
    assert found == {name: (422, "invalid", places) for name, (_, places) in ROOMS.items()}
    assert (await ana.call("GET", "/rooms"))["items"] == []


async def test_a_post_that_can_not_be_is_refused_and_others_go_on(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    found = {}
    for name, (change, _) in ENTRIES.items():
        body = {"client_id": "c-1", "kind": "message", "body": "x", **change}
        found[name] = answer_of(await ana.ask("POST", f"/rooms/{room}/entries", body))
        await ana.say(room, "undisturbed", f"u-{len(found)}")
    assert found == {name: wanted for name, (_, wanted) in ENTRIES.items()}
    bodies = [entry["body"] for entry in await ana.entries(room, after=1)]
    assert bodies == ["undisturbed"] * len(ENTRIES)


async def test_one_change_of_a_room_at_a_time(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    for change in ({}, {"name": "x", "status": "closed"}, {"reason": "x"}):
        answer = answer_of(await ana.ask("PATCH", f"/rooms/{room}", change))
        assert answer == (422, "invalid", ["#"]), change
    assert len(await ana.chain(room)) == 1


async def test_parameters_out_of_bounds_are_named(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    found = {
        query: answer_of(await ana.ask("GET", query.replace("{room}", room))) for query in QUERIES
    }
    assert found == {query: (422, "invalid", places) for query, places in QUERIES.items()}


async def test_an_idempotency_key_that_is_none_is_refused(company: Company) -> None:
    ana = await company.sign_in("ana")
    for key in ("a b", "a.b", "x" * 65, ""):
        answer = await ana.ask("POST", "/rooms", {"name": "x"}, key=key)
        assert answer_of(answer) == (422, "invalid", ["Idempotency-Key"]), key
    assert (await ana.call("GET", "/rooms"))["items"] == []


async def test_an_id_that_nothing_can_have_is_the_id_of_nothing(company: Company) -> None:
    ana = await company.sign_in("ana")
    own = await ana.open_room()
    nothing = (await ana.ask("GET", "/rooms/room_none")).content
    for name in BAD_IDS:
        for path in ("", "/entries", "/chain", "/members", "/verify"):
            answer = await ana.ask("GET", f"/rooms/{name}{path}")
            assert answer.status_code == 404, f"{name}{path}"
            assert answer.json()["code"] == "not_found"
        member = await ana.ask("PUT", f"/rooms/{own}/members/{name}", {"role": "member"})
        assert (member.status_code, member.json()["code"]) == (404, "not_found"), name
    assert orjson.loads(nothing)["code"] == "not_found"
    assert len(await ana.chain(own)) == 1


async def test_a_sign_in_of_odd_things_is_refused(system: System) -> None:
    nobody = Client(system.gateways[0].http)
    long = "x" * 1_025
    wrong: Answer = (401, "login_failed", [])
    cases: list[tuple[Json, Answer]] = [
        ({"username": {"$ne": None}, "password": "x"}, (422, "invalid", ["#/username"])),
        ({"username": "x", "password": {"$gt": ""}}, (422, "invalid", ["#/password"])),
        ({"username": "", "password": "x"}, (422, "invalid", ["#/username"])),
        ({"username": "x", "password": long}, (422, "invalid", ["#/password"])),
        ({"username": "x"}, (422, "invalid", ["#/password"])),
        ({"username": "x", "password": "x", "role": "god"}, (422, "invalid", ["#/role"])),
        ({"username": "\x00", "password": "\x00"}, wrong),
        ({"username": "@", "password": "x"}, wrong),
        ({"username": "x@*", "password": "x"}, wrong),
        ({"username": "a@b@c@d", "password": "x"}, wrong),
    ]
    for body, wanted in cases:
        assert answer_of(await nobody.ask("POST", "/auth/login", body)) == wanted, body
    for token in ("", "x", "a.b", "a.b.c", "a.b.c.d", "*.ses_x.y", "x" * 4_096):
        answer = await nobody.ask("POST", "/auth/refresh", {"refresh_token": token})
        assert answer_of(answer) == (401, "session_ended", []), token
