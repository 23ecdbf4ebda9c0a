"""Clearance at the gateway: a room that takes more than one has is no room, wherever one asks."""

import asyncio
import random
from typing import Any, Final

import pytest

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from gateway.tokens import new_principal
from tests.gateway.asking import ask
from tests.gateway.following import Socket, setting
from tests.gateway.serving import ROOM, Served, peopled, served
from tests.gateway.talking import post, settled_reads
from tests.gateway.world import NOW_MS, World, eventually, room_command, tenant_command

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


async def test_a_token_carries_the_clearance_and_without_one_the_lowest() -> None:
    async with served(raised()) as it:
        login = {"username": "ana", "password": "correct horse battery staple"}
        pair = (await it.http.post("/api/v1/auth/login", json=login)).json()
        assert it.tokens.read_access_token(pair["access_token"]).clearance == HIGH
        again = {"refresh_token": pair["refresh_token"]}
        pair = (await it.http.post("/api/v1/auth/refresh", json=again)).json()
        principal = it.tokens.read_access_token(pair["access_token"])
        assert principal.clearance == HIGH
        assert it.tokens.read_ticket(it.tokens.ticket(principal)).principal.clearance == HIGH


async def test_a_socket_does_not_go_on_under_another_clearance() -> None:
    async with served(raised()) as it, it.signed_in("ana") as ana:
        lower = new_principal("acme", "usr_ana", Role.ANALYST, "ses_ana", 0)
        await ana.send(type="hello", token=it.tokens.access_token(lower))
        assert await ana.closed() == 4403


# The cut ----------------------------------------------------------------------------------------


async def posted(it: Served, body: str) -> None:
    """Ana says something that nobody below may see."""
    said = {"actor": "usr_ana", "clearance": HIGH, "body": body}
    it.world.commit("acme", ROOM, room_command(type="post", **said))


async def test_who_is_below_is_cut_off_the_moment_the_room_is_raised() -> None:
    world = peopled("acme")
    give(world, "ana", HIGH)
    async with (
        served(world) as it,
        it.signed_in("ana") as ana,
        it.signed_in("bob") as bob,
    ):
        await ana.follow()
        await bob.follow()
        raise_room(world)
        await posted(it, "secret")
        told = await bob.get()
        nowhere = {"type": "rejected", "room": ROOM, "code": "not_found", "detail": "no such room"}
        assert told == nowhere
        assert [(await ana.get())["kind"] for _ in range(2)] == ["room_marked", "message"]
        await post(bob, "still there?", "c-9")
        assert (await bob.get())["code"] == "not_found"
        await settled_reads(it)
        await bob.send(type="ping", n=1)
        assert (await bob.get())["type"] == "pong"


async def test_a_message_of_the_same_event_as_the_raise_is_not_seen_below() -> None:
    async with setting() as it:
        it.world.announcing = False
        low, high = Socket("usr_bob"), Socket("usr_ana", clearance=HIGH)
        await it.follow(low)
        await it.follow(high)
        before = it.say("for all")
        raise_room(it.world)
        it.do(type="post", body="secret", actor="usr_ana", clearance=HIGH, client_id="s")
        it.room.announce(before, before + 1, before + 2)
        assert low.seqs == [before]
        assert low.told == [ErrorCode.NOT_FOUND]
        assert high.seqs == [before, before + 1, before + 2]


async def test_a_replay_is_broken_off_when_the_room_is_raised_meanwhile() -> None:
    async with setting() as it:
        for number in range(5):
            it.say(f"message {number}")
        low = Socket("usr_bob")
        low.drained.clear()
        feed = await it.join(low)
        it.background.spawn(it.replayer.run(feed, low.follower, 0, low.wait_drained))
        await asyncio.sleep(0)
        raise_room(it.world)
        low.drained.set()
        await eventually(lambda: low.evicted == 1)
        assert low.frames == []
        assert low.told == [ErrorCode.NOT_FOUND]


async def test_a_page_of_the_store_that_holds_the_raise_is_not_sent() -> None:
    async with setting() as it:
        low = Socket("usr_bob")
        feed = await it.join(low)
        it.world.announcing = False
        it.say("before")
        raise_room(it.world)
        it.do(type="post", body="secret", actor="usr_ana", clearance=HIGH, client_id="s")
        await it.replayer.run(feed, low.follower, 0, low.wait_drained)
        assert low.frames == []
        assert low.told == [ErrorCode.NOT_FOUND]


async def test_a_row_that_was_read_before_the_raise_lets_nobody_in() -> None:
    world = peopled("acme")
    give(world, "ana", HIGH)
    async with served(world) as it:
        reader = await world.reader.tenant("acme")
        assert reader is not None
        row = await reader.room(ROOM)
        assert row is not None
        raise_room(world)
        await posted(it, "secret")
        world.stale_rows["acme", ROOM] = row
        async with it.signed_in("bob") as bob:
            await bob.send(type="subscribe", room=ROOM, after=0)
            assert (await bob.get())["code"] == "not_found"
        for path in ("entries", "entries?after=2", "chain"):
            answer = await ask(it, "GET", f"/rooms/{ROOM}/{path}", "bob")
            assert answer.status_code == 404, path
            assert "secret" not in answer.text
        assert (await ask(it, "GET", f"/rooms/{ROOM}/entries", "ana")).status_code == 200


async def test_of_a_mark_that_was_erased_the_strictest_is_believed() -> None:
    async with setting() as it:
        low, high = Socket("usr_bob", clearance=2), Socket("usr_ana", clearance=3)
        await it.follow(low)
        await it.follow(high)
        it.world.announcing = False
        raise_room(it.world, level=1)
        marked = it.room.entries[-1]
        it.room.entries[-1] = type(marked)(
            **{name: getattr(marked, name) for name in marked.__slots__ if name != "content"},
            content=None,
        )
        it.room.announce(it.room.head)
        assert low.told == [ErrorCode.NOT_FOUND]
        assert high.seqs == [it.room.head]


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


@pytest.mark.parametrize("seed", range(24))
async def test_whatever_is_raised_lowered_lost_and_said_nobody_gets_more_than_his_clearance(
    seed: int,
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- the same chance at every run
    async with setting() as it:
        sockets = [Socket("usr_bob", clearance=level) for level in range(4)]
        first_at: dict[int, int] = {}
        for socket in sockets:
            await it.follow(socket, after=chance.choice([0, None]))
        it.world.announcing = False
        head, told = it.room.head, it.room.head
        for number in range(30):
            level = chance.randrange(4)
            said = {"actor": "usr_ana", "clearance": 3, "client_id": f"c{number}"}
            if chance.random() < 0.3 and level != it.room.state.marking.clearance:
                it.do(type="mark_room", room_clearance=level, **said)
                for below in range(level):
                    first_at.setdefault(below, it.room.head)
            else:
                it.do(type="post", body="x", **said)
            if chance.random() < 0.4:
                # Some of what happened is announced, and some is lost on the way.
                seqs = range(chance.choice([told, it.room.head - 1]) + 1, it.room.head + 1)
                it.room.announce(*seqs)
                told = it.room.head
        it.room.announce()
        await eventually(lambda: sockets[3].seqs[-1:] == [it.room.head])
        for level, socket in enumerate(sockets):
            last = first_at.get(level, it.room.head + 1) - 1
            first = 1 if socket.seqs[:1] == [1] else head + 1
            assert socket.seqs == list(range(first, last + 1))
            assert socket.told == ([ErrorCode.NOT_FOUND] if level in first_at else [])
