"""REST: rooms and their members."""

import pytest

from tests.gateway.asking import API, ask
from tests.gateway.serving import ROOM, served


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
            "clearance": 0,
            "tlp": "AMBER",
            "pap": "AMBER",
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
