"""Rooms through the public surface: opened, shared, renamed, closed, reopened."""

from typing import Any

from tests.e2e.clients import Client, Json
from tests.e2e.system import Company


async def names_of(client: Client, limit: int = 50) -> list[str]:
    """The names of all rooms that a client may see."""
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        after = f"&cursor={cursor}" if cursor else ""
        page = await client.call("GET", f"/rooms?limit={limit}{after}")
        names += [room["name"] for room in page["items"]]
        cursor = page["next"]
    return names


async def test_a_room_is_seen_by_its_members_and_by_the_roles_it_is_open_to(
    company: Company,
) -> None:
    ana, bob, vera = [await company.sign_in(name) for name in ("ana", "bob", "vera")]
    await ana.open_room("Private")
    await ana.open_room("With bob", members={company.user("bob"): "member"})
    await ana.open_room("For viewers", open_to=["viewer"])
    assert sorted(await names_of(ana)) == ["For viewers", "Private", "With bob"]
    assert await names_of(bob) == ["With bob"]
    assert await names_of(vera) == ["For viewers"]


async def test_rooms_are_listed_in_pages(company: Company) -> None:
    ana = await company.sign_in("ana")
    for number in range(5):
        await ana.open_room(f"Room {number}")
    assert sorted(await names_of(ana, limit=2)) == [f"Room {number}" for number in range(5)]


async def test_a_room_tells_what_it_is_and_where_its_head_is(company: Company) -> None:
    ana = await company.sign_in("ana")
    link = {"incident": "inc_1", "source": "qradar", "source_id": "17", "severity": "high"}
    room = await ana.open_room("Ransomware", kind="incident", incident=link)
    await ana.say(room, "hello", "c-1")
    detail = await ana.call("GET", f"/rooms/{room}")
    told = ("id", "room", "name", "kind", "status", "members", "role", "created_by", "head")
    assert [detail[name] for name in told] == [
        *(room, room, "Ransomware", "incident", "open", 1, "owner", company.user("ana"), 2)
    ]
    assert {name: detail["incident"][name] for name in link} == link


async def test_a_viewer_may_not_open_a_room(company: Company) -> None:
    vera = await company.sign_in("vera")
    refused = await vera.ask("POST", "/rooms", {"name": "Mine"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert await names_of(vera) == []


async def test_members_come_change_and_go(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob")
    room = await ana.open_room()
    path = f"/rooms/{room}/members"
    bobs, anas = f"{path}/{company.user('bob')}", f"{path}/{company.user('ana')}"
    say: Json = {"client_id": "c-1", "body": "hello"}

    assert (await bob.ask("GET", f"/rooms/{room}")).status_code == 404
    await ana.call("PUT", bobs, {"role": "observer"})
    assert (await bob.call("GET", f"/rooms/{room}"))["role"] == "observer"
    assert (await bob.ask("POST", f"/rooms/{room}/entries", say)).json()["code"] == "forbidden"
    await ana.call("PUT", bobs, {"role": "member"})
    assert (await bob.ask("POST", f"/rooms/{room}/entries", say)).status_code == 201
    listed = (await ana.call("GET", path))["items"]
    assert {item["user"]: (item["role"], item["username"]) for item in listed} == {
        company.user("ana"): ("owner", company.username("ana")),
        company.user("bob"): ("member", company.username("bob")),
    }
    last_owner = await ana.ask("DELETE", anas)
    assert (last_owner.status_code, last_owner.json()["code"]) == (409, "conflict")
    await ana.call("DELETE", bobs)
    assert (await bob.ask("GET", f"/rooms/{room}")).status_code == 404
    kinds = [entry["kind"] for entry in await ana.entries(room)]
    assert kinds == ["room_created", "member_added", "member_added", "message", "member_removed"]


async def test_only_an_owner_or_an_administrator_manages_a_room(company: Company) -> None:
    ana, bob, tom = [await company.sign_in(name) for name in ("ana", "bob", "tom")]
    listed = {company.user("bob"): "member", company.user("tom"): "member"}
    room = await ana.open_room(members=listed)
    refused = await bob.ask("PATCH", f"/rooms/{room}", {"name": "Bob's"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    await tom.call("PATCH", f"/rooms/{room}", {"name": "Tom's"})
    assert (await ana.call("GET", f"/rooms/{room}"))["name"] == "Tom's"


async def test_a_closed_room_is_read_only_until_it_is_reopened(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
    room = await ana.open_room(members={company.user("bob"): "member"})
    await ana.say(room, "hello", "c-1")
    async with bob.socket() as socket:
        await socket.follow(room)
        await ana.call("PATCH", f"/rooms/{room}", {"status": "closed", "reason": "contained"})
        [closed] = await socket.entries(1)
        assert (closed["kind"], closed["body"]["reason"]) == ("room_closed", "contained")

        await socket.say(room, "too late", "c-2")
        rejected = await socket.get()
        assert (rejected["type"], rejected["code"]) == ("rejected", "room_closed")
        refused = await ana.ask("POST", f"/rooms/{room}/entries", {"client_id": "c", "body": "x"})
        assert (refused.status_code, refused.json()["code"]) == (409, "room_closed")
        again = await ana.ask("PATCH", f"/rooms/{room}", {"status": "closed"})
        assert (again.status_code, again.json()["code"]) == (409, "room_closed")
        assert (await ana.call("GET", f"/rooms/{room}"))["status"] == "closed"
        assert len(await bob.entries(room)) == 3

        await ana.call("PATCH", f"/rooms/{room}", {"status": "open", "reason": "it is back"})
        await socket.say(room, "again", "c-2")
        reopened, said = await socket.entries(2)
    assert (reopened["kind"], said["body"], said["seq"]) == ("room_reopened", "again", 5)
    assert (await ana.verdict(room))["verified"] is True


async def test_every_change_of_a_room_is_made_once_however_often_it_is_sent(
    company: Company,
) -> None:
    ana, elsewhere = await company.sign_in("ana"), await company.sign_in("ana", gateway=1)
    opening = {"name": "Once"}
    first = await ana.ask("POST", "/rooms", opening, key="open-1")
    again = await elsewhere.ask("POST", "/rooms", opening, key="open-1")
    other = await ana.ask("POST", "/rooms", {"name": "Other"}, key="open-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.content == again.content
    assert (other.status_code, other.json()["code"]) == (409, "conflict")

    room = f"/rooms/{first.json()['room']}"
    bob = f"{room}/members/{company.user('bob')}"
    changes: list[tuple[str, str, Any, Any]] = [
        ("PATCH", room, {"name": "Renamed"}, {"name": "Renamed otherwise"}),
        ("PATCH", room, {"status": "closed"}, {"status": "closed", "reason": "other"}),
        ("PATCH", room, {"status": "open"}, {"status": "open", "reason": "other"}),
        ("PUT", bob, {"role": "member"}, {"role": "observer"}),
        ("DELETE", bob, None, None),
    ]
    for number, (method, path, body, differing) in enumerate(changes):
        key, seq = f"change-{number}", number + 2
        answers = [await one.ask(method, path, body, key=key) for one in (ana, elsewhere)]
        assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
        assert answers[0].content == answers[1].content
        assert answers[0].json()["receipt"]["seq"] == seq
        assert answers[0].json()["receipt"]["client_id"] == key
        if differing is not None:
            conflict = await ana.ask(method, path, differing, key=key)
            assert (conflict.status_code, conflict.json()["code"]) == (409, "conflict")
    assert len(await ana.entries(first.json()["room"])) == 1 + len(changes)
    assert await names_of(ana) == ["Renamed"]
