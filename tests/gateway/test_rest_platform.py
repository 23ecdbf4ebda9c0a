"""Who may do what with tenants: every role of the platform on every route of it; and what is refused."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest

from actors.protocol.errors import OutcomeUnknown
from actors.protocol.ids import PLATFORM_TENANT, TENANT_ROOM
from actors.protocol.roles import Role
from gateway.tokens import new_principal
from tests.gateway.asking import API
from tests.gateway.serving import PASSWORD_HASH, Served, peopled, served
from tests.gateway.world import NOW_MS, World, room_command, tenant_command

CAST: Final = {
    "petra": Role.PLATFORM_ADMIN,
    "vic": Role.PLATFORM_VIEWER,
    "sam": Role.ANALYST,
    "tina": Role.TENANT_ADMIN,
}
"""The people of the platform tenant."""
NEW: Final = {"id": "newco", "name": "New Co"}
READING: Final = {
    "GET /tenants": None,
    "GET /tenants/acme": None,
    "GET /users/usr_sam/grants": None,
}
WRITING: Final[dict[str, Any]] = {
    "POST /tenants": NEW,
    "PATCH /tenants/acme": {"name": "Acme AG"},
    "DELETE /tenants/globex": None,
    "POST /tenants/acme/suspend": {"reason": "unpaid"},
    "POST /tenants/initech/resume": None,
    "POST /tenants/hooli/cancel-deletion": None,
    "PUT /users/usr_sam/grants/acme": {"role": "viewer"},
    "DELETE /users/usr_sam/grants/globex": None,
}
GRANTED: Final = ("rooms", "rooms/room_1", "rooms/room_1/entries", "users", "audit-logs")
OTHER_WRITING: Final[dict[str, Any]] = {
    "POST /rooms": {"name": "A room"},
    "POST /users": {
        "username": "new",
        "display_name": "New",
        "role": "viewer",
        "password": "a long password",
    },
    "PATCH /users/usr_sam": {"display_name": "Samuel"},
    "DELETE /users/usr_sam": None,
    "POST /users/usr_sam/disable": {},
    "POST /users/usr_sam/password": {"password": "a long password"},
    "PATCH /rooms/room_1": {"name": "Another"},
    "PUT /rooms/room_1/members/usr_sam": {"role": "member"},
    "POST /rooms/room_1/entries": {"client_id": "c-1", "body": "hello"},
}


def platform() -> World:
    """A platform with its people, and tenants in several states."""
    world = peopled("acme", "globex")
    world.tenants = (*world.tenants, PLATFORM_TENANT)
    for name, role in CAST.items():
        user = {"user": f"usr_{name}", "username": name, "display_name": name.title()}
        _commit(world, type="create_user", user_role=role, password_hash=PASSWORD_HASH, **user)
        opened = {"session": f"ses_{name}", "refresh": "0" * 64, "expires_ms": NOW_MS * 2}
        _commit(world, type="open_session", user=f"usr_{name}", **opened)
    for tenant in ("acme", "globex", "initech", "hooli"):
        _manage(world, tenant, do="adopt", name=tenant.title())
    _manage(world, "initech", do="suspend")
    _manage(world, "hooli", do="delete", wait_days=30)
    grant = {"user": "usr_sam", "tenant": "globex", "granted": "tenant_admin"}
    _commit(world, type="grant_tenant", **grant)
    return world


def _commit(world: World, **fields: Any) -> None:
    world.commit(PLATFORM_TENANT, TENANT_ROOM, tenant_command(**fields))


def _manage(world: World, tenant: str, **action: Any) -> None:
    _commit(world, type="manage_tenant", tenant=tenant, action=action)


@pytest.fixture
async def it() -> AsyncIterator[Served]:
    async with served(platform()) as running:
        yield running


async def ask(it: Served, name: str, route: str, body: Any = None, **more: Any) -> httpx.Response:
    """A request of one of the platform's people, or of somebody of acme."""
    if name in CAST:
        who = new_principal(PLATFORM_TENANT, f"usr_{name}", CAST[name], f"ses_{name}")
        headers = {"Authorization": f"Bearer {it.tokens.access_token(who)}"}
    else:
        headers = it.headers(name)
    method, path = route.split()
    sent = {} if body is None else {"json": body}
    return await it.http.request(
        method, f"{API}{path}", headers=headers | more.pop("headers", {}), **sent
    )


@pytest.mark.parametrize("route", [*READING, *WRITING])
async def test_an_administrator_of_the_platform_may_do_all_of_it(it: Served, route: str) -> None:
    answer = await ask(it, "petra", route, WRITING.get(route))
    assert answer.status_code in (200, 202), answer.text


@pytest.mark.parametrize("route", READING)
async def test_a_viewer_of_the_platform_reads_all_of_it(it: Served, route: str) -> None:
    assert (await ask(it, "vic", route)).status_code == 200


@pytest.mark.parametrize("route", ["GET /users", "GET /users/usr_sam", "GET /audit-logs"])
async def test_a_viewer_of_the_platform_reads_the_platforms_own_tenant_too(
    it: Served, route: str
) -> None:
    assert (await ask(it, "vic", route)).status_code == 200


@pytest.mark.parametrize("route", [*WRITING, *OTHER_WRITING])
async def test_a_viewer_of_the_platform_is_refused_whatever_would_change_something(
    it: Served, route: str
) -> None:
    place = it.world.at(PLATFORM_TENANT, TENANT_ROOM)
    before = place.head
    answer = await ask(it, "vic", route, (WRITING | OTHER_WRITING)[route])
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert place.head == before


async def test_a_viewer_of_the_platform_may_see_to_his_own_signing_in(it: Served) -> None:
    assert (await ask(it, "vic", "POST /auth/ws-ticket")).status_code == 200
    assert (await ask(it, "vic", "POST /auth/logout")).status_code in (200, 204)


@pytest.mark.parametrize("name", ["ana", "vera", "tom", "sam", "tina"])
@pytest.mark.parametrize("route", [*READING, *WRITING])
async def test_nobody_else_finds_anything_there(it: Served, name: str, route: str) -> None:
    answer = await ask(it, name, route, WRITING.get(route))
    nothing = await ask(it, name, "GET /nowhere")
    assert (answer.status_code, answer.content) == (404, nothing.content)


@pytest.mark.parametrize("route", WRITING)
async def test_a_role_of_the_platform_is_worth_nothing_in_another_tenant(
    it: Served, route: str
) -> None:
    who = new_principal("acme", "usr_tom", Role.PLATFORM_ADMIN, "ses_tom")
    headers = {"Authorization": f"Bearer {it.tokens.access_token(who)}"}
    method, path = route.split()
    body = WRITING[route]
    sent = {} if body is None else {"json": body}
    answer = await it.http.request(method, f"{API}{path}", headers=headers, **sent)
    assert answer.status_code == 404


@pytest.mark.parametrize("under", GRANTED)
async def test_a_tenant_that_is_not_granted_is_not_there_for_anybody(
    it: Served, under: str
) -> None:
    for name in ("petra", "vic", "tina", "sam", "tom"):
        for tenant in ("acme", "nowhere", "platform"):
            answer = await ask(it, name, f"GET /tenants/{tenant}/{under}")
            assert answer.status_code == 404, (name, tenant)


async def test_what_is_granted_is_read_and_each_reading_is_in_the_chain_of_who_is_read(
    it: Served,
) -> None:
    for under in ("rooms", "users", "audit-logs"):
        assert (await ask(it, "sam", f"GET /tenants/globex/{under}")).status_code == 200
    assert (await ask(it, "sam", "GET /tenants/globex/rooms/room_1")).status_code == 404
    read = [e for e in it.world.at("globex", TENANT_ROOM).entries if e.kind == "evidence_read"]
    assert {entry.actor for entry in read} == {"usr_sam"}
    assert len(read) == 3
    mine = (await ask(it, "sam", "GET /auth/grants")).json()["items"]
    assert mine == [{"tenant": "globex", "role": "tenant_admin"}]


async def test_a_clearance_of_the_platforms_tenant_opens_nothing_in_another(it: Served) -> None:
    common = {"type": "create_room", "actor": "usr_tom", "role": Role.TENANT_ADMIN}
    both = {"clearance": 3, "open_to": ["tenant_admin"]}
    for room, clearance in (("room_low", 0), ("room_high", 1)):
        create = room_command(**common, **both, name=room, room_clearance=clearance)
        it.world.commit("globex", room, create)
    session, cleared = "ses_sam_again", {"user": "usr_sam", "user_clearance": 3}
    _commit(it.world, type="update_user", **cleared)
    opened = {"session": session, "refresh": "0" * 64, "expires_ms": NOW_MS * 2}
    _commit(it.world, type="open_session", user="usr_sam", **opened)
    who = new_principal(PLATFORM_TENANT, "usr_sam", Role.ANALYST, session, clearance=3)
    headers = {"Authorization": f"Bearer {it.tokens.access_token(who)}"}
    listed = await it.http.get(f"{API}/tenants/globex/rooms", headers=headers)
    assert [item["id"] for item in listed.json()["items"]] == ["room_low"]
    hidden = await it.http.get(f"{API}/tenants/globex/rooms/room_high", headers=headers)
    assert hidden.status_code == 404


async def test_what_can_not_be_recorded_is_not_shown(it: Served) -> None:
    it.world.broken_commit = OutcomeUnknown("no receipt")
    for under in ("rooms", "users", "audit-logs"):
        answer = await ask(it, "sam", f"GET /tenants/globex/{under}")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("POST /tenants", {"id": "Bad Id", "name": "x"}),
        ("POST /tenants", {"id": "ok"}),
        ("POST /tenants", {"id": "ok", "name": ""}),
        ("POST /tenants", {"id": "ok", "name": "x", "status": "active"}),
        ("POST /tenants", {"id": "ok", "name": "x", "picture": "javascript:1"}),
        ("POST /tenants", {"id": "ok", "name": "x", "administrator": {"username": "a"}}),
        ("PATCH /tenants/acme", {}),
        ("PATCH /tenants/acme", {"id": "other"}),
        ("PATCH /tenants/acme", {"name": {"$gt": ""}}),
        ("PUT /users/usr_sam/grants/acme", {"role": "platform_admin"}),
        ("PUT /users/usr_sam/grants/acme", {"role": "system"}),
    ],
)
async def test_a_bad_body_is_refused_with_what_is_wrong(
    it: Served, route: str, body: dict[str, Any]
) -> None:
    answer = await ask(it, "petra", route, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_request_that_comes_again_asks_for_no_second_tenant(it: Served) -> None:
    first = {"username": "boss", "password": "a long password"}
    body = {**NEW, "administrator": first}
    key = {"headers": {"Idempotency-Key": "k-1"}}
    answers = [await ask(it, "petra", "POST /tenants", body, **key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[0].headers["Location"] == "/api/v1/tenants/newco"
    again = await ask(it, "petra", "POST /tenants", body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    shown = (await ask(it, "petra", "GET /tenants/newco")).json()
    assert (shown["status"], shown["settled"]) == ("creating", False)
    assert "administrator" not in shown


async def test_tenants_are_listed_a_page_at_a_time(it: Served) -> None:
    first = (await ask(it, "vic", "GET /tenants?limit=3")).json()
    assert [item["id"] for item in first["items"]] == ["acme", "globex", "hooli"]
    rest = (await ask(it, "vic", f"GET /tenants?limit=3&cursor={first['next']}")).json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == (["initech"], None)
    assert {item["id"]: item["status"] for item in first["items"]}["hooli"] == "deleting"
