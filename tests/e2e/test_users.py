"""Users through the public surface: what takes something away from them holds at once, at every gateway.

Two real gateways; what is done at one must be felt at the other. The bound of each wait for a socket's
end is far below the interval at which a gateway asks by itself, so that it is the news that closes it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

import httpx
import orjson
import pytest

from gateway.limits import SESSION_CHECK_S
from tests.e2e.clients import PAGE, Client, Json
from tests.e2e.system import PASSWORD, Company

AT_ONCE_S: Final = SESSION_CHECK_S / 3
ANOTHER: Final = "another good password"


async def _disabled(_: Client, admin: Client, user: str) -> None:
    await admin.call("POST", f"/users/{user}/disable", {"reason": "left"})


async def _deleted(_: Client, admin: Client, user: str) -> None:
    await admin.call("DELETE", f"/users/{user}")


async def _demoted(_: Client, admin: Client, user: str) -> None:
    await admin.call("PATCH", f"/users/{user}", {"role": "viewer"})


async def _given_another_password(_: Client, admin: Client, user: str) -> None:
    await admin.call("POST", f"/users/{user}/password", {"password": ANOTHER})


async def _signed_out_by_an_administrator(_: Client, admin: Client, user: str) -> None:
    await admin.call("POST", f"/users/{user}/logout-everywhere")


async def _signed_out_elsewhere(own: Client, _: Client, __: str) -> None:
    await own.call("POST", "/auth/logout")


async def _signed_out_everywhere(own: Client, _: Client, __: str) -> None:
    await own.call("POST", "/auth/logout-everywhere")


@pytest.mark.parametrize(
    "done",
    [
        _disabled,
        _deleted,
        _demoted,
        _given_another_password,
        _signed_out_by_an_administrator,
        _signed_out_elsewhere,
        _signed_out_everywhere,
    ],
    ids=lambda done: done.__name__.removeprefix("_"),
)
async def test_a_socket_at_another_gateway_is_closed_at_once_when_its_user_is(
    done: Callable[[Client, Client, str], Awaitable[None]], company: Company
) -> None:
    first, second = company.system.gateways
    admin, ana = await company.sign_in("tom"), await company.sign_in("ana", gateway=1)
    bystander = await company.sign_in("bob", gateway=1)
    room = await ana.open_room(members={bystander.user: "member"})
    async with ana.socket() as socket, bystander.socket() as other:
        await socket.follow(room)
        await done(ana.at(first.http), admin, ana.user)
        async with asyncio.timeout(AT_ONCE_S):
            assert await socket.closed() == 4401
        assert await other.echo("still here") == []
    for gateway in (first, second):
        refused = await ana.at(gateway.http).ask("GET", "/auth/me")
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    renewed = await ana.ask("POST", "/auth/refresh", {"refresh_token": ana.refresh})
    assert (renewed.status_code, renewed.json()["code"]) == (401, "session_ended")


async def test_another_role_is_that_of_the_next_sign_in(company: Company) -> None:
    admin = await company.sign_in("tom")
    await _demoted(admin, admin, company.user("ana"))
    ana = await company.sign_in("ana", gateway=1)
    assert (await ana.call("GET", "/auth/me"))["role"] == "viewer"
    assert (await ana.ask("POST", "/rooms", {"name": "A room"})).status_code == 403


async def test_ones_own_new_password_ends_all_sessions_but_the_one_it_was_set_in(
    company: Company,
) -> None:
    first, second = company.system.gateways
    here, there = await company.sign_in("ana"), await company.sign_in("ana", gateway=1)
    body = {"old_password": PASSWORD, "password": ANOTHER}
    async with here.socket() as stays, there.socket() as ends:
        done = await here.call("POST", "/auth/password", body, key="change-1")
        async with asyncio.timeout(AT_ONCE_S):
            assert await ends.closed() == 4401
        assert await stays.echo("still here") == []
    again = await here.at(second.http).call("POST", "/auth/password", body, key="change-1")
    assert again["receipt"] == done["receipt"]
    assert (await _tried(first.http, company, "ana", PASSWORD)).status_code == 401
    assert (await _tried(second.http, company, "ana", ANOTHER)).status_code == 200


async def test_a_disabled_user_stays_out_until_he_is_enabled(company: Company) -> None:
    admin, user = await company.sign_in("tom"), company.user("ana")
    await admin.call("POST", f"/users/{user}/disable", {})
    wrong = await _tried(admin.http, company, "ana", "wrong")
    right = await _tried(admin.http, company, "ana", PASSWORD)
    assert (right.status_code, right.content) == (401, wrong.content)
    assert (await admin.call("GET", f"/users/{user}"))["disabled"] is True
    await admin.call("POST", f"/users/{user}/enable")
    assert (await _tried(admin.http, company, "ana", PASSWORD)).status_code == 200


async def test_a_deleted_users_names_are_free_and_he_is_listed_among_the_deleted(
    company: Company,
) -> None:
    admin, gone = await company.sign_in("tom"), company.user("ana")
    await admin.call("DELETE", f"/users/{gone}")
    assert (await _tried(admin.http, company, "ana", PASSWORD)).status_code == 401
    body = {
        "username": company.username("ana").upper(),
        "email": company.email("ana"),
        "display_name": "Another Ana",
        "role": "analyst",
        "password": ANOTHER,
    }
    made = await admin.call("POST", "/users", body)
    assert made["user"] != gone
    present, deleted = await _listed(admin, ""), await _listed(admin, "&deleted=true")
    assert (gone in present, made["user"] in present) == (False, True)
    assert deleted == [gone]
    client = await Client.sign_in(admin.http, company.email("ana"), ANOTHER)
    assert client.user == made["user"]
    assert {"user_deleted", "user_created"} <= set(await _audited(company, gone, made["user"]))


async def test_another_email_is_the_one_to_sign_in_with(company: Company) -> None:
    ana = await company.sign_in("ana")
    other = f"{uuid4().hex}@example.org"
    await ana.call("PATCH", "/auth/me", {"email": other, "display_name": "Ana L."})
    me = await ana.call("GET", "/auth/me")
    assert (me["email"], me["display_name"]) == (other, "Ana L.")
    http = company.system.gateways[1].http
    assert (await Client.sign_in(http, other, PASSWORD)).user == ana.user
    old = {"username": company.email("ana"), "password": PASSWORD}
    assert (await Client(http).ask("POST", "/auth/login", old)).status_code == 401


async def test_another_tenants_users_are_not_there(
    company: Company, other_company: Company
) -> None:
    admin = await company.sign_in("tom")
    theirs = other_company.user("ana")
    assert theirs not in await _listed(admin, "")
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/enable")):
        answers = [await admin.ask(method, f"/users/{user}{path}") for user in (theirs, "usr_none")]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].content == answers[1].content
    await other_company.sign_in("ana")


async def _tried(
    http: httpx.AsyncClient, company: Company, name: str, password: str
) -> httpx.Response:
    credentials: Json = {"username": company.username(name), "password": password}
    return await Client(http).ask("POST", "/auth/login", credentials)


async def _listed(admin: Client, query: str) -> list[str]:
    found: list[str] = []
    following: str | None = ""
    while following is not None:
        cursor = f"&cursor={following}" if following else ""
        page = await admin.call("GET", f"/users?limit=2{cursor}{query}")
        found += [item["user"] for item in page["items"]]
        following = page["next"]
    return found


async def _audited(company: Company, *users: str) -> list[str]:
    """The kinds of records in the tenant's own chain that are about some users."""
    async with company.system.reader() as reader:
        tenant = await reader.tenant(company.tenant)
        assert tenant is not None
        entries = await tenant.entries("_tenant", limit=PAGE)
    bodies = [(entry.kind, orjson.loads(entry.content or b"{}")) for entry in entries]
    return [kind for kind, body in bodies if body.get("user") in users]
