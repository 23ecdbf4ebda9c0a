"""Clearance at the gateway: a room that takes more than one has is no room, wherever one asks."""

from typing import Any, Final

import jwt
import pytest

from actors.protocol.commands import Command
from actors.protocol.envelope import Receipt
from actors.protocol.errors import Refusal
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from gateway.tokens import new_principal
from tests.gateway.asking import ask
from tests.gateway.serving import ROOM, peopled, served
from tests.gateway.talking import post
from tests.gateway.world import NOW_MS, World, room_command, tenant_command

HIGH: Final = 2


def give(world: World, name: str, level: int, tenant: str = "acme") -> None:
    """Give somebody a clearance, and sign him in again."""
    user = f"usr_{name}"
    world.commit(
        tenant, TENANT_ROOM, tenant_command(type="update_user", user=user, user_clearance=level)
    )
    session = {"session": f"ses_{name}", "user": user, "refresh": "0" * 64}
    opened = tenant_command(
        type="open_session", **session, expires_ms=NOW_MS * 2, address=f"{level}"
    )
    world.commit(tenant, TENANT_ROOM, opened)


def raise_room(world: World, level: int = HIGH, room: str = ROOM) -> None:
    """Have the room take a clearance, by its owner."""
    marks = {"actor": "usr_ana", "clearance": 3, "room_clearance": level}
    world.commit("acme", room, room_command(type="mark_room", **marks))


def raised() -> World:
    """A world in which ana has the clearance for her room, and bob, its member, has not; nor has tom, an
    administrator to whom it is open."""
    world = peopled("acme")
    give(world, "ana", HIGH)
    give(world, "bob", HIGH - 1)
    raise_room(world)
    return world


ROUTES: Final[tuple[tuple[str, str, Any], ...]] = (
    ("GET", "", None),
    ("PATCH", "", {"name": "Other"}),
    ("PATCH", "", {"clearance": 0}),
    ("GET", "/members", None),
    ("PUT", "/members/usr_vera", {"role": "member"}),
    ("DELETE", "/members/usr_bob", None),
    ("GET", "/entries", None),
    ("POST", "/entries", {"client_id": "c-1", "body": "hello"}),
    ("GET", "/chain", None),
    ("GET", "/verify", None),
)


async def test_a_member_below_it_finds_no_room_on_any_route() -> None:
    async with served(raised()) as it:
        head = it.world.at("acme", ROOM).head
        for method, path, body in ROUTES:
            answers = [
                await ask(it, method, f"/rooms/{room}{path}", "bob", json=body)
                for room in (ROOM, "room_none")
            ]
            assert answers[0].status_code == 404, path
            assert answers[0].content == answers[1].content, path
        assert (await ask(it, "GET", "/rooms", "bob")).json()["items"] == []
        assert it.world.at("acme", ROOM).head == head
        listed = (await ask(it, "GET", "/rooms", "ana")).json()["items"]
        assert [(room["id"], room["clearance"]) for room in listed] == [(ROOM, HIGH)]


async def test_a_member_below_it_finds_no_room_by_any_frame() -> None:
    async with served(raised()) as it, it.signed_in("bob") as bob:
        for room in (ROOM, "room_none"):
            await bob.send(type="subscribe", room=room, after=0)
            await bob.send(type="unsubscribe", room=room)
            await post(bob, "hello", "c-1", room)
        told = [await bob.get() for _ in range(6)]
        assert [{**frame, "room": ""} for frame in told[:3]] == [
            {**frame, "room": ""} for frame in told[3:]
        ]
        assert {frame["code"] for frame in told} == {"not_found"}


async def test_being_an_administrator_grants_nothing() -> None:
    world = peopled("acme")
    give(world, "ana", HIGH)
    opened = {"type": "create_room", "name": "Insider", "actor": "usr_ana", "clearance": HIGH}
    listed = {"members": {"usr_tom": "owner"}, "open_to": ["tenant_admin"]}
    world.commit("acme", "room_2", room_command(**opened, **listed, room_clearance=HIGH))
    async with served(world) as it:
        assert (await ask(it, "GET", "/rooms/room_2", "tom")).status_code == 404
        assert (await ask(it, "GET", "/rooms", "tom")).json()["items"] == []


async def test_a_room_is_marked_when_it_is_opened_and_by_a_change_of_its_own() -> None:
    world = peopled("acme")
    give(world, "ana", HIGH)
    async with served(world) as it:
        body = {"name": "Insider", "clearance": 1, "tlp": "AMBER+STRICT", "pap": "RED"}
        room = (await ask(it, "POST", "/rooms", json=body)).json()["room"]
        facts = (await ask(it, "GET", f"/rooms/{room}")).json()
        assert (facts["clearance"], facts["tlp"], facts["pap"]) == (1, "AMBER+STRICT", "RED")
        change = await ask(it, "PATCH", f"/rooms/{room}", json={"clearance": 2, "tlp": "RED"})
        assert change.status_code == 200
        last = (await ask(it, "GET", f"/rooms/{room}/entries?after=1")).json()["items"][0]
        assert (last["kind"], last["actor"]) == ("room_marked", "usr_ana")
        before = {"clearance": 1, "tlp": "AMBER+STRICT", "pap": "RED"}
        assert last["body"] == {"before": before, "after": {**before, "clearance": 2, "tlp": "RED"}}
        too_much = await ask(it, "PATCH", f"/rooms/{room}", json={"clearance": 3})
        assert (too_much.status_code, too_much.json()["code"]) == (403, "forbidden")
        for bad in (
            {"clearance": 4},
            {"clearance": "2"},
            {"tlp": "WHITE"},
            {"pap": "AMBER+STRICT"},
        ):
            assert (await ask(it, "PATCH", f"/rooms/{room}", json=bad)).status_code == 422, bad
        both = await ask(it, "PATCH", f"/rooms/{room}", json={"name": "x", "tlp": "RED"})
        assert both.status_code == 422
        opened = await ask(it, "POST", "/rooms", json={"name": "x", "clearance": 3})
        assert (opened.status_code, opened.json()["code"]) == (403, "forbidden")


async def test_an_administrator_changes_a_clearance_and_it_is_audited() -> None:
    world = peopled("acme")
    give(world, "tom", HIGH)
    async with served(world) as it:
        given = await ask(it, "PATCH", "/users/usr_bob", "tom", json={"clearance": HIGH})
        assert given.status_code == 200
        assert (await ask(it, "GET", "/users/usr_bob", "tom")).json()["clearance"] == HIGH
        refused = await ask(it, "PATCH", "/users/usr_bob", "tom", json={"clearance": 3})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        log = await ask(it, "GET", "/audit-logs?operation=user.change&object_id=usr_bob", "tom")
        [entry] = log.json()["items"]
        assert (entry["before"]["clearance"], entry["after"]["clearance"]) == (0, HIGH)


async def test_a_lost_clearance_ends_tokens_and_sockets_at_once() -> None:
    async with served(raised()) as it:
        token = it.headers("ana")
        async with it.signed_in("ana") as ana:
            await ana.follow()
            lowered = tenant_command(type="update_user", user="usr_ana", user_clearance=0)
            it.world.commit("acme", TENANT_ROOM, lowered)
            assert await ana.closed() == 4401
        answer = await it.http.get(f"/api/v1/rooms/{ROOM}", headers=token)
        assert answer.status_code == 401


async def test_a_token_carries_the_clearance_of_its_user_and_a_ticket_that_of_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(raised()) as it:
        login = {"username": "ana", "password": "correct horse battery staple"}
        pair = (await it.http.post("/api/v1/auth/login", json=login)).json()
        assert it.tokens.read_access_token(pair["access_token"]).clearance == HIGH
        again = {"refresh_token": pair["refresh_token"]}
        asked: list[int] = []
        commit = it.world.commit

        def noted(tenant: str, room: str, command: Command) -> Receipt:
            asked.append(command.clearance)
            return commit(tenant, room, command)

        # So that the tenant can refuse a token for a clearance that was lost a moment ago.
        monkeypatch.setattr(it.world, "commit", noted)
        pair = (await it.http.post("/api/v1/auth/refresh", json=again)).json()
        principal = it.tokens.read_access_token(pair["access_token"])
        assert (principal.clearance, asked) == (HIGH, [HIGH])
        assert it.tokens.read_ticket(it.tokens.ticket(principal)).principal.clearance == HIGH


async def test_a_socket_does_not_go_on_under_another_clearance() -> None:
    async with served(raised()) as it, it.signed_in("ana") as ana:
        lower = new_principal("acme", "usr_ana", Role.ANALYST, "ses_ana", clearance=0)
        await ana.send(type="hello", token=it.tokens.access_token(lower))
        assert await ana.closed() == 4403


# What leads there -------------------------------------------------------------------------------


async def test_the_audit_log_names_no_room_that_its_reader_may_not_know_of() -> None:
    world = raised()
    give(world, "tom", HIGH)
    async with served(world) as it:
        assert (await ask(it, "GET", f"/rooms/{ROOM}/verify", "ana")).status_code == 200
        found = await ask(it, "GET", f"/audit-logs/export?object_id={ROOM}", "tom")
        assert ROOM in found.text
    give(world, "tom", 0)
    async with served(world) as it:
        for query in ("", "?object_type=room", "?format=csv"):
            path = "/audit-logs/export" if "format" in query else "/audit-logs"
            log = await ask(it, "GET", f"{path}{query}", "tom")
            assert log.status_code == 200
            assert ROOM not in log.text, query
        read = (await ask(it, "GET", "/audit-logs?object_type=room", "tom")).json()["items"]
        assert [entry["object"]["id"] for entry in read] == ["inaccessible"]
        searched = await ask(it, "GET", f"/audit-logs?object_id={ROOM}", "tom")
        assert searched.json()["items"] == []


@pytest.mark.parametrize("claim", [-1, 4, True, "2", None])
async def test_a_token_with_a_clearance_that_there_is_not_is_none(claim: object) -> None:
    async with served() as it:
        principal = it.principal("ana")
        forged = it.tokens._sign(
            principal, "at+jwt", "wardroom", principal.expires, {"clearance": claim}
        )
        with pytest.raises(Refusal):
            it.tokens.read_access_token(forged)


async def test_a_token_of_before_there_were_clearances_has_the_lowest() -> None:
    async with served(raised()) as it:
        claims = jwt.decode(it.token("ana"), options={"verify_signature": False})
        assert claims.pop("clearance") == HIGH
        headers = {"typ": "at+jwt", "kid": it.keys.kid}
        old = jwt.encode(claims, it.keys.private_key, algorithm="EdDSA", headers=headers)
        assert it.tokens.read_access_token(old).clearance == 0
