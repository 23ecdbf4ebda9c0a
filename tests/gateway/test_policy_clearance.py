"""Every route and every frame about a room, asked by those whose clearance is too low: nothing is there.

What is asked is made from the tables of the policy: each route and frame that names a room is tried by
everybody who could otherwise pass, beside the same about a room that there is not.
"""

from dataclasses import replace
from typing import Any, Final

import httpx
import orjson
import pytest

from actors.protocol.ids import TENANT_ROOM
from actors.protocol.markings import HIGHEST
from actors.protocol.roles import Role
from gateway.inaccessible import INACCESSIBLE
from gateway.policy import FRAMES, ROUTES, Granted, allows
from tests.gateway.serving import Client, Served, served
from tests.gateway.test_policy_matrix import ASKERS, FIELDS, Asker, ask, everybody, outcome
from tests.gateway.world import World, room_command, tenant_command

HIGH: Final = 2
RAISED, PLAIN, NONE = "room_raised", "room_plain", "room_none"
NAME: Final = "Nightfall"
SECRET: Final = "the insider is Mallory"
MARKED: Final = "marked_message"
TOLD_OF_IT: Final = {"actor", "body", "client_id", "thread", "target"}

OWNER: Final = next(asker for asker in ASKERS if asker.user == "usr_ana")
CLEARED: Final = replace(OWNER, clearance=HIGH)
GUEST: Final = next(asker for asker in ASKERS if asker.role is Role.PLATFORM_VIEWER)
BELOW: Final = tuple(
    replace(asker, clearance=HIGH - 1)
    for asker in ASKERS
    if asker.tenant == "acme" and asker.permissions is not None and not asker.restricted
)
"""Members of both rooms, their owner and administrators among them. A clearance that somebody has in the
platform's tenant is none in another, however high."""

ABOUT_A_ROOM: Final = [route for route in ROUTES if "{room}" in route]
CARRYING: Final = ("GET /rooms/{room}/entries", "GET /rooms/{room}/chain")
"""Those whose answers have entries in them."""
READING: Final = [route for route in ROUTES if route.startswith("GET ") and "{room}" not in route]
FRAMES_ABOUT_A_ROOM: Final = [type_ for type_ in FRAMES if "room" in FIELDS[type_]]


def marked() -> World:
    """Two rooms of the same people; one takes a clearance, and one entry of the other does."""
    world = everybody()
    members = {asker.user: "member" for asker in BELOW if asker.user != OWNER.user}
    roles = {"open_to": ["tenant_admin", "analyst", "viewer"], "members": members}
    said: dict[str, Any] = {"actor": OWNER.user, "clearance": HIGH}
    for room, level in ((RAISED, HIGH), (PLAIN, 0)):
        name = NAME if level else "War room"
        create = {"type": "create_room", "name": name, "room_clearance": level, **roles, **said}
        world.commit("acme", room, room_command(**create))
        post = {"type": "post", **said, "entry_clearance": HIGH, "body": SECRET}
        world.commit("acme", room, room_command(**post, client_id="c-secret"))
    grant = {"user": GUEST.user, "granted": "tenant_admin"}
    adopt = {"type": "manage_tenant", "action": {"do": "adopt", "name": "Acme"}}
    for about_acme in (adopt, {"type": "grant_tenant", **grant}):
        world.commit("platform", TENANT_ROOM, tenant_command(**about_acme, tenant="acme"))
    return world


def those_below(route: str) -> tuple[Asker, ...]:
    """Who could read or write by a route if it were not for the clearance."""
    if isinstance(ROUTES[route], Granted):
        return (GUEST, replace(GUEST, clearance=HIGHEST))
    return BELOW


async def asked(it: Served, route: str, asker: Asker, room: str = "") -> httpx.Response:
    """A request about a room; paths of granted tenants are about the tenant that it is in."""
    granted = {"tenant": "acme"} if isinstance(ROUTES[route], Granted) else {}
    return await ask(it, route, asker, room=room, **granted)


def all_of(answer: httpx.Response) -> tuple[int, str | None, bytes]:
    """All of an answer that could tell something."""
    return answer.status_code, answer.headers.get("content-type"), answer.content


# Rooms ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ABOUT_A_ROOM)
async def test_below_its_clearance_there_is_no_room_on_a_route(route: str) -> None:
    async with served(marked()) as it:
        head = it.world.at("acme", RAISED).head
        for asker in those_below(route):
            there, nowhere = [await asked(it, route, asker, room) for room in (RAISED, NONE)]
            assert all_of(there) == all_of(nowhere), asker.name
            passes = allows(ROUTES[route], asker.permissions or frozenset())
            assert outcome(there) == ("not there" if passes else "denied"), asker.name
        assert it.world.at("acme", RAISED).head == head


@pytest.mark.parametrize("route", ABOUT_A_ROOM)
async def test_it_is_the_clearance_that_keeps_them_out(route: str) -> None:
    async with served(marked()) as it:
        able = [
            asker.name
            for asker in those_below(route)
            if (await asked(it, route, asker, PLAIN)).status_code < 400
        ]
        assert able
        if not isinstance(ROUTES[route], Granted):
            assert (await asked(it, route, CLEARED, RAISED)).status_code < 400


# What leads there -------------------------------------------------------------------------------


async def _leading(it: Served, asker: Asker) -> set[str]:
    """The routes about no room whose answer gives one away."""
    return {
        route
        for route in READING
        for text in [(await asked(it, route, asker)).text]
        if RAISED in text or NAME in text
    }


async def test_no_route_leads_to_a_room_below_its_clearance() -> None:
    admin = next(asker for asker in BELOW if asker.role is Role.TENANT_ADMIN)
    async with served(marked()) as it:
        verified = await asked(it, "GET /rooms/{room}/verify", CLEARED, RAISED)
        assert verified.status_code == 200
        shown = {"GET /rooms", "GET /audit-logs", "GET /audit-logs/export"}
        assert await _leading(it, replace(admin, clearance=HIGH)) == shown
        for asker in (*BELOW, GUEST, replace(GUEST, clearance=HIGHEST)):
            assert await _leading(it, asker) == set(), asker.name


# Entries ----------------------------------------------------------------------------------------


def _hides(answer: httpx.Response) -> bool:
    """Whether an answer shows the place of the marked entry, and no more of it."""
    assert answer.status_code == 200
    items = answer.json()["items"]
    [hidden] = [item for item in items if item["kind"] in (INACCESSIBLE, MARKED)]
    return hidden["kind"] == INACCESSIBLE and not TOLD_OF_IT & hidden.keys()


@pytest.mark.parametrize("route", ABOUT_A_ROOM)
async def test_below_its_clearance_an_entry_is_no_more_than_its_place_on_a_route(
    route: str,
) -> None:
    async with served(marked()) as it:
        own = route.replace("/tenants/{tenant}", "")
        above = await asked(it, own, CLEARED, PLAIN)
        carries = SECRET in above.text or MARKED in above.text
        assert carries is (own in CARRYING)
        for asker in those_below(route):
            below = await asked(it, route, asker, PLAIN)
            assert not any(word in below.text for word in (SECRET, MARKED, "c-secret")), asker.name
            assert not carries or below.status_code in (403, 404) or _hides(below), asker.name


# Frames -----------------------------------------------------------------------------------------


async def _answers(client: Client, type_: str, room: str) -> list[dict[str, Any]]:
    """All that a frame about a room is answered with, without the name of the room."""
    more = {"after": 0} if type_ == "subscribe" else {}
    await client.send(type=type_, **FIELDS[type_] | more | {"room": room})
    await client.send(type="ping", n=1)
    frames = (await client.get_until("pong"))[:-1]
    told: list[dict[str, Any]] = orjson.loads(orjson.dumps(frames).replace(room.encode(), b"-"))
    return told


@pytest.mark.parametrize("asker", BELOW, ids=lambda asker: asker.name)
async def test_below_its_clearance_there_is_no_room_for_a_frame(asker: Asker) -> None:
    async with served(marked()) as it, it.socket() as client:
        await client.send(type="hello", token=it.tokens.access_token(asker.principal()))
        assert (await client.get())["type"] == "welcome"
        for type_ in FRAMES_ABOUT_A_ROOM:
            there, nowhere = [await _answers(client, type_, room) for room in (RAISED, NONE)]
            assert there == nowhere, type_
            passes = allows(FRAMES[type_], asker.permissions or frozenset())
            assert [frame["code"] for frame in there] == ["not_found" if passes else "forbidden"]
        post = {"type": "post", "actor": OWNER.user, "clearance": HIGH, "body": "said after that"}
        it.world.commit("acme", RAISED, room_command(**post))
        await client.send(type="ping", n=2)
        assert (await client.get())["type"] == "pong"
        assert it.world.at("acme", RAISED).head == 3


async def _told(it: Served, asker: Asker) -> str:
    """All that somebody is told who sends every frame about the room with the marked entry."""
    async with it.socket() as client:
        await client.send(type="hello", token=it.tokens.access_token(asker.principal()))
        assert (await client.get())["type"] == "welcome"
        for type_ in FRAMES_ABOUT_A_ROOM:
            await _answers(client, type_, PLAIN)
        return orjson.dumps(client.seen).decode()


async def test_below_its_clearance_an_entry_is_no_more_than_its_place_for_any_frame() -> None:
    async with served(marked()) as it:
        above = await _told(it, CLEARED)
        assert SECRET in above
        assert INACCESSIBLE not in above
        for asker in BELOW:
            below = await _told(it, asker)
            assert not any(word in below for word in (SECRET, MARKED, "c-secret")), asker.name
            reads = allows(FRAMES["subscribe"], asker.permissions or frozenset())
            assert (INACCESSIBLE in below) is reads, asker.name
