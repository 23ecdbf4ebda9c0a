"""REST: entries, bodies, and the evidence."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from actors.protocol.limits import FRAME_BYTES_MAX, MESSAGE_BYTES_MAX
from tests.gateway.asking import ENTRIES, ask
from tests.gateway.serving import ROOM, peopled, served
from tests.gateway.world import room_command

MORE_THAN_ANY_BUFFER = 100_000_000


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
