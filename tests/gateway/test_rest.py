"""REST: rooms, members, entries, the chain; problems; and what stands outside the API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
import yaml

from actors.protocol.errors import OutcomeUnknown
from actors.protocol.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX
from gateway import limits
from gateway.rest import health
from tests.gateway.serving import ROOM, Served, Unreachable, peopled, served
from tests.gateway.world import room_command

API = "/api/v1"
MORE_THAN_ANY_BUFFER = 100_000_000
ENTRIES = f"{API}/rooms/{ROOM}/entries"


async def ask(it: Served, method: str, path: str, name: str = "ana", **more: Any) -> httpx.Response:
    """A request of somebody's."""
    headers = it.headers(name) | more.pop("headers", {})
    return await it.http.request(method, f"{API}{path}", headers=headers, **more)


# Rooms ----------------------------------------------------------------------------------------


async def test_a_room_that_was_opened_can_be_read_at_once() -> None:
    async with served() as it:
        body = {"name": "Phishing", "members": {"usr_bob": "observer"}, "open_to": ["viewer"]}

        answer = await ask(it, "POST", "/rooms", json=body)

        assert answer.status_code == 201
        room = answer.json()["room"]
        assert answer.headers["Location"] == f"{API}/rooms/{room}"
        assert answer.json()["receipt"]["seq"] == 1
        detail = (await ask(it, "GET", f"/rooms/{room}")).json()
        assert detail.pop("created_at").endswith("Z")
        assert detail == {
            "id": room,
            "room": room,
            "name": "Phishing",
            "kind": "standing",
            "status": "open",
            "incident": None,
            "members": 2,
            "role": "owner",
            "open_to": ["viewer"],
            "created_by": "usr_ana",
            "head": 1,
        }
        assert (await ask(it, "GET", f"/rooms/{room}", name="vera")).json()["role"] is None


async def test_a_repeated_request_opens_one_room() -> None:
    async with served() as it:
        headers = {"Idempotency-Key": "key-1"}

        first, second = [
            await ask(it, "POST", "/rooms", json={"name": "once"}, headers=headers)
            for _ in range(2)
        ]
        other = await ask(it, "POST", "/rooms", json={"name": "twice"}, headers=headers)
        bobs = await ask(it, "POST", "/rooms", name="bob", json={"name": "mine"}, headers=headers)

        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        assert (other.status_code, other.json()["code"]) == (409, "conflict")
        assert bobs.status_code == 201
        assert bobs.json()["room"] != first.json()["room"]


async def test_requests_without_a_key_open_a_room_each() -> None:
    async with served() as it:
        rooms = [
            (await ask(it, "POST", "/rooms", json={"name": "x"})).json()["room"] for _ in range(2)
        ]

        assert rooms[0] != rooms[1]


async def test_rooms_are_listed_page_by_page_and_only_those_one_may_see() -> None:
    async with served() as it:
        for number in range(5):
            body = {"name": f"room {number}"}
            name = "ana" if number % 2 else "bob"
            await ask(it, "POST", "/rooms", name=name, json=body)

        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await ask(it, "GET", f"/rooms?limit=2{cursor and f'&cursor={cursor}'}")
            seen += [room["name"] for room in page.json()["items"]]
            cursor = page.json()["next"]

        assert sorted(seen) == ["War room", "room 1", "room 3"]


async def test_a_room_is_renamed_closed_and_reopened_by_a_record_each() -> None:
    async with served() as it:
        changes = (
            {"name": "New name"},
            {"status": "closed", "reason": "solved"},
            {"status": "open", "reason": "not so"},
        )
        for change in changes:
            answer = await ask(it, "PATCH", f"/rooms/{ROOM}", json=change)
            assert answer.status_code == 200, answer.text

        kinds = [entry.kind for entry in it.world.at("acme", ROOM).entries]
        assert kinds[1:] == ["room_renamed", "room_closed", "room_reopened"]
        assert (await ask(it, "GET", f"/rooms/{ROOM}")).json()["name"] == "New name"


@pytest.mark.parametrize("change", [{}, {"name": "x", "status": "open"}, {"reason": "x"}])
async def test_a_change_of_a_room_is_one_change(change: dict[str, str]) -> None:
    async with served() as it:
        answer = await ask(it, "PATCH", f"/rooms/{ROOM}", json=change)

        assert answer.status_code == 422


async def test_who_may_not_change_a_room_is_told_so() -> None:
    async with served() as it:
        answer = await ask(it, "PATCH", f"/rooms/{ROOM}", name="bob", json={"name": "mine"})

        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_unknown_people_are_not_made_members() -> None:
    async with served() as it:
        body = {"name": "x", "members": {"usr_nobody": "member"}}
        opened = await ask(it, "POST", "/rooms", json=body)
        put = await ask(it, "PUT", f"/rooms/{ROOM}/members/usr_nobody", json={"role": "member"})

        assert (opened.status_code, opened.json()["code"]) == (422, "invalid")
        assert (put.status_code, put.json()["code"]) == (404, "not_found")


# Members --------------------------------------------------------------------------------------


async def test_members_are_put_listed_and_removed() -> None:
    async with served() as it:
        members = f"/rooms/{ROOM}/members"

        put = await ask(it, "PUT", f"{members}/usr_vera", json={"role": "observer"})
        first = (await ask(it, "GET", f"{members}?limit=2")).json()
        rest = (await ask(it, "GET", f"{members}?limit=2&cursor={first['next']}")).json()
        removed = await ask(it, "DELETE", f"{members}/usr_vera")
        left = (await ask(it, "GET", members)).json()

        assert (put.json()["role"], put.json()["receipt"]["seq"]) == ("observer", 2)
        assert [member["username"] for member in first["items"]] == ["ana", "bob"]
        assert [member["role"] for member in rest["items"]] == ["observer"]
        assert rest["next"] is None
        assert (removed.json()["user"], removed.json()["role"]) == ("usr_vera", None)
        assert [member["user"] for member in left["items"]] == ["usr_ana", "usr_bob"]


async def test_a_removed_member_finds_no_room_any_more() -> None:
    async with served() as it:
        await ask(it, "DELETE", f"/rooms/{ROOM}/members/usr_bob")

        assert (await ask(it, "GET", f"/rooms/{ROOM}", name="bob")).status_code == 404
        body = {"client_id": "c", "body": "x"}
        answer = await ask(it, "POST", f"/rooms/{ROOM}/entries", name="bob", json=body)
        assert answer.status_code == 404


# Entries --------------------------------------------------------------------------------------


async def test_a_post_is_answered_with_its_receipt_and_a_repeat_with_the_same() -> None:
    async with served() as it:
        body = {"client_id": "c-1", "kind": "message", "body": "hello"}

        first = await it.http.post(ENTRIES, json=body, headers=it.headers("ana"))
        again = await it.http.post(ENTRIES, json=body, headers=it.headers("ana"))
        other = await it.http.post(ENTRIES, json={**body, "body": "bye"}, headers=it.headers("ana"))

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        keys = {"room", "seq", "id", "hash", "prev", "at", "client_id"}
        assert set(first.json()) == keys
        assert (first.json()["seq"], first.json()["client_id"]) == (2, "c-1")
        assert (other.status_code, other.json()["code"]) == (409, "conflict")


async def test_a_post_over_rest_reaches_the_sockets() -> None:
    async with served() as it, it.signed_in("bob") as bob:
        await bob.follow()

        body = {"client_id": "c-1", "body": "hello"}
        receipt = await it.http.post(ENTRIES, json=body, headers=it.headers("ana"))

        entry = await bob.get()
        assert {name: entry[name] for name in ("seq", "hash", "at")} == {
            name: receipt.json()[name] for name in ("seq", "hash", "at")
        }


async def test_entries_are_read_as_on_the_socket() -> None:
    async with served() as it, it.signed_in("ana") as ana:
        frames = await ana.follow(after=0)
        await ana.send(type="post", room=ROOM, client_id="c-1", body="caf\u00e9", thread=1)
        frames = [*frames[:-1], await ana.get()]

        mine = await it.http.get(ENTRIES, headers=it.headers("ana"))
        theirs = await it.http.get(ENTRIES, headers=it.headers("bob"))

        assert mine.json() == {"items": frames, "next": None}
        assert all("client_id" not in entry for entry in theirs.json()["items"])


async def test_entries_are_paged_onwards_backwards_and_by_kind() -> None:
    async with served() as it:
        for number in range(9):
            command = {"type": "post", "actor": "usr_bob", "client_id": f"c-{number}"}
            it.world.commit("acme", ROOM, room_command(**command, body=f"m{number}"))

        async def page(query: str) -> tuple[list[int], str | None]:
            answer = await it.http.get(f"{ENTRIES}?{query}", headers=it.headers("ana"))
            assert answer.status_code == 200, answer.text
            return [entry["seq"] for entry in answer.json()["items"]], answer.json()["next"]

        assert await page("after=2&limit=3") == ([3, 4, 5], "5")
        assert await page("after=8&limit=3") == ([9, 10], None)
        assert await page("before=9&limit=3") == ([6, 7, 8], None)
        assert await page("after=3&before=6&limit=9") == ([4, 5], None)
        assert await page("kind=room_created") == ([1], None)
        assert await page("after=10") == ([], None)


REFUSED_POSTS = {
    "no client id": ({"body": "x"}, 422, "#/client_id"),
    "a client id with a blank": ({"client_id": "a b", "body": "x"}, 422, "#/client_id"),
    "no body": ({"client_id": "c"}, 422, "#/body"),
    "a body that is no text": ({"client_id": "c", "body": 1}, 422, "#/body"),
    "another kind": ({"client_id": "c", "body": "x", "kind": "finding"}, 422, "#/kind"),
    "a field too many": ({"client_id": "c", "body": "x", "actor": "y"}, 422, "#/actor"),
    "a thread that is true": ({"client_id": "c", "body": "x", "thread": True}, 422, "#/thread"),
    "an empty text": ({"client_id": "c", "body": ""}, 422, None),
    "a long text": ({"client_id": "c", "body": "x" * (MESSAGE_BYTES_MAX + 1)}, 413, None),
}


@pytest.mark.parametrize(
    ("body", "status", "pointer"), REFUSED_POSTS.values(), ids=REFUSED_POSTS.keys()
)
async def test_a_post_that_is_not_valid_is_refused_by_name(
    body: dict[str, Any], status: int, pointer: str | None
) -> None:
    async with served() as it:
        answer = await it.http.post(ENTRIES, json=body, headers=it.headers("ana"))

        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        if pointer is not None:
            assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
        assert it.world.at("acme", ROOM).head == 1


BODIES = {
    "half": (b'{"client_id":"c"', 400),
    "a duplicate key": (b'{"client_id":"c","body":"x","body":"y"}', 400),
    "a lone surrogate": (b'{"client_id":"c","body":"\\ud800"}', 400),
    "NaN": (b'{"client_id":"c","body":NaN}', 400),
    "no object": (b'["client_id"]', 400),
    "not UTF-8": (b'{"client_id":"c","body":"\xff"}', 400),
    "nothing": (b"", 422),
    "too much": (b'{"body":"' + b"x" * FRAME_BYTES_MAX + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
async def test_a_body_passes_the_strict_parser_first(body: bytes, status: int) -> None:
    async with served() as it:
        headers = {**it.headers("ana"), "Content-Type": "application/json"}

        answer = await it.http.post(ENTRIES, content=body, headers=headers)

        assert answer.status_code == status
        assert answer.json()["status"] == status


async def test_a_body_without_end_is_cut_off() -> None:
    async with served() as it:
        headers = {**it.headers("ana"), "Content-Type": "application/json"}
        taken = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal taken
            while taken < MORE_THAN_ANY_BUFFER:
                taken += 10_000
                yield b"x" * 10_000

        # Whether the answer is seen by a client that is still sending is up to its library.
        with contextlib.suppress(httpx.TransportError):
            answer = await it.http.post(ENTRIES, content=endless(), headers=headers)
            assert answer.status_code == 413

        assert taken < MORE_THAN_ANY_BUFFER


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_of_another_media_type_is_refused(media_type: str) -> None:
    async with served() as it:
        headers = {**it.headers("ana"), "Content-Type": media_type}

        answer = await it.http.post(ENTRIES, content=b"{}", headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (400, "bad_frame")


# Evidence -------------------------------------------------------------------------------------


async def test_the_chain_is_given_out_page_by_page() -> None:
    async with served() as it:
        for number in range(3):
            command = {"type": "post", "actor": "usr_bob", "client_id": f"c-{number}"}
            it.world.commit("acme", ROOM, room_command(**command, body="x"))

        first = (await ask(it, "GET", f"/rooms/{ROOM}/chain?limit=3")).json()
        rest = (await ask(it, "GET", f"/rooms/{ROOM}/chain?limit=3&after={first['next']}")).json()

        assert [header["seq"] for header in first["items"] + rest["items"]] == [1, 2, 3, 4]
        assert rest["next"] is None


async def test_a_verification_tells_how_it_goes() -> None:
    async with served() as it:
        answer = await ask(it, "GET", f"/rooms/{ROOM}/verify")

        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [orjson.loads(line) for line in answer.content.splitlines()]
        assert lines == [
            {"type": "progress", "room": ROOM, "checked": 1},
            {"type": "verdict", "room": ROOM, "verified": True},
        ]


async def test_a_verification_that_breaks_off_says_so() -> None:
    world = peopled("acme")
    create = room_command(type="create_room", name="x", actor="usr_ana")
    world.commit("acme", "room_broken", create)
    async with served(world) as it:
        answer = await ask(it, "GET", "/rooms/room_broken/verify")

        verdict = orjson.loads(answer.content.splitlines()[-1])
        assert (verdict["type"], verdict["verified"]) == ("verdict", None)


# Isolation ------------------------------------------------------------------------------------

ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"name": "x"}),
    ("GET", "/members", None),
    ("PUT", "/members/usr_bob", {"role": "member"}),
    ("DELETE", "/members/usr_bob", None),
    ("GET", "/entries", None),
    ("POST", "/entries", {"client_id": "c", "body": "x"}),
    ("GET", "/chain", None),
    ("GET", "/verify", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_what_one_may_not_see_is_answered_like_what_is_not_there(
    method: str, path: str, body: dict[str, str] | None
) -> None:
    world = peopled("acme", "globex")
    create = room_command(type="create_room", name="theirs", actor="usr_ana")
    world.commit("globex", "room_globex", create)
    heads = {key: room.head for key, room in world.rooms.items()}
    async with served(world) as it:
        unknown = await ask(it, method, f"/rooms/room_none{path}", json=body)
        theirs = await ask(it, method, f"/rooms/room_globex{path}", json=body)
        hidden = await ask(it, method, f"/rooms/{ROOM}{path}", name="vera", json=body)

        assert unknown.status_code == 404
        assert unknown.content == theirs.content == hidden.content
        assert {key: world.at(*key).head for key in heads} == heads


@pytest.mark.parametrize("room", ["_tenant", "a.b", "*", "%3E", "x" * 65, "%00"])
async def test_an_id_of_a_form_that_nothing_has_is_not_found(room: str) -> None:
    async with served() as it:
        answer = await ask(it, "GET", f"/rooms/{room}")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_no_route_of_the_api_but_signing_in_works_without_a_token() -> None:
    async with served() as it:
        document = (await it.http.get("/openapi.json")).json()
        open_paths = {f"{API}/auth/login", f"{API}/auth/refresh"}
        tried = 0
        for path, methods in document["paths"].items():
            for method in methods:
                answer = await it.http.request(
                    method,
                    path.replace("{room}", ROOM).replace("{user}", "usr_bob"),
                    json={} if method in ("post", "put", "patch") else None,
                )
                expected = 422 if path in open_paths else 401
                assert answer.status_code == expected, f"{method} {path}"
                tried += 1

        assert tried > 10


# Failures -------------------------------------------------------------------------------------


async def test_a_server_that_is_away_is_503_with_the_time_to_try_again() -> None:
    async with served() as it:
        it.world.broken = Unreachable("mongodb://user:hunter2@127.0.0.1")

        answer = await it.http.get(ENTRIES, headers=it.headers("ana"))

        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "hunter2" not in answer.text


async def test_a_command_without_a_receipt_is_504_and_may_be_repeated() -> None:
    async with served() as it:
        it.world.broken_commit = OutcomeUnknown("no receipt")
        body = {"client_id": "c-1", "body": "x"}

        answer = await it.http.post(ENTRIES, json=body, headers=it.headers("ana"))

        assert (answer.status_code, answer.json()["code"]) == (504, "outcome_unknown")


async def test_a_fault_of_ours_is_500_with_a_mark_and_without_details() -> None:
    async with served() as it:
        it.world.broken = RuntimeError("hunter2")

        answer = await it.http.get(ENTRIES, headers=it.headers("ana"))

        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert answer.json()["instance"].startswith("urn:wardroom:occurrence:")
        assert "hunter2" not in answer.text


async def test_a_method_that_is_not_there_is_a_problem_too() -> None:
    async with served() as it:
        answer = await it.http.delete(ENTRIES)

        assert answer.status_code == 405
        assert answer.json()["code"] == "method_not_allowed"


async def test_a_bad_parameter_is_named() -> None:
    async with served() as it:
        answer = await ask(it, "GET", "/rooms?limit=0")

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "limit"


async def test_a_bad_idempotency_key_is_named() -> None:
    async with served() as it:
        headers = {"Idempotency-Key": "a b"}

        answer = await ask(it, "POST", "/rooms", json={"name": "x"}, headers=headers)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


# Outside the API ------------------------------------------------------------------------------


async def test_readiness_names_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_CHECK_S", 0.05)

    async def well() -> None:
        return

    async def refused() -> None:
        raise ConnectionRefusedError("mongodb://user:hunter2@127.0.0.1")

    async def hanging() -> None:
        await asyncio.Event().wait()

    async with served() as it:
        it.checks["nats"] = well
        assert (await it.http.get("/readyz")).json() == {"ready": True, "failing": {}}
        it.checks.update(mongodb=refused, clock=hanging)

        answer = await it.http.get("/readyz")

        assert answer.status_code == 503
        failing = answer.json()["failing"]
        assert failing == {"mongodb": "ConnectionRefusedError", "clock": "no answer in 0.05 s"}
        assert (await it.http.get("/livez")).status_code == 200


async def test_the_version_the_keys_and_the_metrics_are_shown() -> None:
    async with served(version="1.2.3") as it, it.signed_in("ana") as client:
        await client.follow()

        assert (await it.http.get("/version")).json()["version"] == "1.2.3"
        keys = (await it.http.get("/.well-known/jwks.json")).json()["keys"]
        assert [key["kid"] for key in keys] == ["k1"]
        metrics = (await it.http.get("/metrics")).text
        assert "wardroom_gateway_sockets 1.0" in metrics
        assert "wardroom_gateway_feeds 1.0" in metrics


async def test_the_openapi_document_is_one_in_both_forms_and_describes_problems() -> None:
    async with served() as it:
        as_json = (await it.http.get("/openapi.json")).json()
        as_yaml = yaml.safe_load((await it.http.get("/openapi.yaml")).text)

        assert as_json == as_yaml
        assert as_json["openapi"].startswith("3.1")
        for methods in as_json["paths"].values():
            for operation in methods.values():
                assert list(operation["responses"]["default"]["content"]) == [
                    "application/problem+json"
                ]
                assert "422" not in operation["responses"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_reference_shows_every_operation_and_needs_no_other_server(path: str) -> None:
    async with served() as it:
        page = await it.http.get(path)
        document = (await it.http.get("/openapi.json")).json()

        assert page.headers["content-type"].startswith("text/html")
        for api_path in document["paths"]:
            assert f"{api_path}</code>" in page.text
        assert "://" not in page.text
        assert "<script" not in page.text


async def test_every_answer_has_security_headers() -> None:
    async with served(tls=True) as it:
        for path in ("/livez", "/nope", f"{API}/rooms", "/docs"):
            headers = (await it.http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "max-age" in headers["strict-transport-security"]
            assert "server" not in headers


def test_limits_are_numbers_with_a_meaning() -> None:
    numbers = {name: value for name, value in vars(limits).items() if name.isupper()}

    assert all(isinstance(value, (int, float)) and value > 0 for value in numbers.values())
