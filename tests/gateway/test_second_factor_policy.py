"""A tenant that requires a second factor: whoever lacks it may enrol one and nothing else, by no door."""

from typing import Any, Final

import pytest

from actors.protocol.ids import TENANT_ROOM
from gateway.tokens import Tokens
from tests.gateway.enrolling import OWN, Person, WallClock, login, sign_in
from tests.gateway.serving import PASSWORD, Served, peopled, served
from tests.gateway.world import World, tenant_command

POLICY: Final = "/policies/second-factor"
REFUSED: Final = "second_factor_enrolment_required"
OPEN_TO_ALL: Final = {
    "POST /auth/register",
    "POST /auth/invitations/accept",
    "POST /auth/login",
    "POST /auth/login/second-factor",
    "POST /auth/refresh",
}
TO_ENROL: Final = {
    f"GET {OWN}",
    f"POST {OWN}",
    f"POST {OWN}/confirm",
    "POST /auth/logout",
}
"""What a token for enrolling is good for."""


def requiring(*tenants: str) -> World:
    """A world in which a tenant requires a second factor."""
    world = peopled(*(tenants or ("acme",)))
    command = tenant_command(type="set_second_factor_policy", required=True)
    world.commit("acme", TENANT_ROOM, command)
    return world


async def restricted(it: Served, name: str = "ana") -> Person:
    """Somebody who has signed in and may only enrol."""
    person = await sign_in(it, name)
    assert person.tokens["scope"] == "enrol"
    return person


async def refused_routes(it: Served, person: Person) -> tuple[set[str], set[str]]:
    """The routes that refuse somebody because he lacks a second factor, and the others."""
    refused: set[str] = set()
    others: set[str] = set()
    paths: dict[str, Any] = (await it.http.get("/openapi.json")).json()["paths"]
    for path, methods in paths.items():
        short = path.removeprefix("/api/v1")
        filled = short.replace("{room}", "room_1").replace("{user}", "usr_bob")
        for method in map(str.upper, methods):
            if f"{method} {short}" == "POST /auth/logout":
                others.add(f"{method} {short}")
                continue
            found = await person.ask(method, filled, {} if method != "GET" else None)
            ours = (found.status_code, found.json().get("code")) == (403, REFUSED)
            (refused if ours else others).add(f"{method} {short}")
    return refused, others


async def test_no_route_but_those_to_enrol_serves_a_restricted_token() -> None:
    async with served(requiring()) as it:
        ana = await restricted(it)
        refused, others = await refused_routes(it, ana)
        assert others == OPEN_TO_ALL | TO_ENROL
        assert len(refused) > 20
        assert (await ana.call("GET", OWN))["policy"] == "required"
        assert (await ana.ask("POST", "/auth/logout")).status_code == 204
        assert (await ana.ask("GET", OWN)).status_code == 401


async def test_no_socket_is_opened_with_a_restricted_token_nor_with_a_ticket_of_one() -> None:
    async with served(requiring()) as it:
        ana = await restricted(it)
        refused = await ana.ask("POST", "/auth/ws-ticket")
        assert (refused.status_code, refused.json()["code"]) == (403, REFUSED)
        async with it.socket() as socket:
            await socket.send(type="hello", token=ana.tokens["access_token"])
            assert await socket.closed() == 4403
            assert [frame["code"] for frame in socket.seen] == [REFUSED]
        # Nobody hands out such a ticket; were there one, it would open nothing.
        principal = it.tokens.read_access_token(ana.tokens["access_token"])
        assert principal.restricted
        async with it.socket(f"?ticket={it.tokens.ticket(principal)}") as socket:
            assert await socket.closed() == 4403
            assert [frame["code"] for frame in socket.seen] == [REFUSED]


async def test_an_open_socket_takes_no_restricted_token_to_go_on_with() -> None:
    world = peopled("acme")
    async with served(world) as it:
        ana = await sign_in(it)
        async with it.socket() as socket:
            await socket.send(type="hello", token=ana.tokens["access_token"])
            assert (await socket.get())["type"] == "welcome"
            command = tenant_command(type="set_second_factor_policy", required=True)
            world.commit("acme", TENANT_ROOM, command)
            later = await ana.refreshed()
            assert later.tokens["scope"] == "enrol"
            await socket.send(type="hello", token=later.tokens["access_token"])
            assert await socket.closed() == 4403


async def test_who_enrols_gets_full_tokens_at_the_next_refresh() -> None:
    clock = WallClock()
    async with served(requiring(), wall_clock=clock) as it:
        ana = await restricted(it)
        assert (await ana.refreshed()).tokens["scope"] == "enrol"
        ana = await restricted(it)
        device, _ = await ana.enrol(clock)
        assert (await ana.ask("GET", "/auth/me")).status_code == 403
        full = await ana.refreshed()
        assert "scope" not in full.tokens
        assert (await full.call("GET", "/auth/me"))["user"] == "usr_ana"
        async with it.socket() as socket:
            await socket.send(type="hello", token=full.tokens["access_token"])
            assert (await socket.get())["type"] == "welcome"
        clock.step_on()
        assert "scope" not in (await sign_in(it, otp=device.code())).tokens
        body = {"password": PASSWORD, "code": device.code(1)}
        kept = await full.ask("POST", f"{OWN}/remove", body)
        assert (kept.status_code, kept.json()["code"]) == (403, "forbidden")


async def test_an_administrator_with_a_second_factor_sets_the_policy_and_nobody_else() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        ana, tom = await sign_in(it), await sign_in(it, "tom")
        body = {"policy": "required"}
        assert (await ana.call("GET", POLICY)) == {"policy": "optional"}
        assert (await ana.ask("PUT", POLICY, body)).status_code == 403
        early = await tom.ask("PUT", POLICY, body)
        assert (early.status_code, early.json()["code"]) == (409, "conflict")
        await tom.enrol(clock)
        assert (await tom.call("PUT", POLICY, body))["policy"] == "required"
        assert (await tom.call("GET", POLICY)) == {"policy": "required"}
        assert (await tom.ask("PUT", POLICY, {"policy": "perhaps"})).status_code == 422
        # Who is signed in goes on until the token ends, and no further.
        assert (await ana.ask("GET", "/auth/me")).status_code == 200
        ana = await ana.refreshed()
        assert (await ana.ask("GET", "/auth/me")).json()["code"] == REFUSED
        await tom.call("PUT", POLICY, {"policy": "optional"})
        ana = await ana.refreshed()
        assert (await ana.ask("GET", "/auth/me")).status_code == 200


async def test_what_one_tenant_requires_is_nothing_to_another() -> None:
    async with served(requiring("acme", "globex")) as it:
        assert (await login(it, "ana@acme")).json()["scope"] == "enrol"
        assert "scope" not in (await login(it, "ana@globex")).json()


async def test_whose_second_factor_is_reset_where_one_is_required_must_enrol_again() -> None:
    clock = WallClock()
    async with served(requiring(), wall_clock=clock) as it:
        ana, tom = await restricted(it), await restricted(it, "tom")
        device, _ = await ana.enrol(clock)
        await tom.enrol(clock)
        tom = await tom.refreshed()
        await tom.call("POST", "/users/usr_ana/second-factor/reset")
        again = await restricted(it)
        clock.step_on()
        await again.enrol(clock)
        clock.step_on()
        assert (await login(it, otp=device.code())).status_code == 401


@pytest.mark.parametrize("scope", ["", "all", ["enrol"], True, 1])
async def test_a_token_of_a_scope_that_is_unknown_is_none(
    scope: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served() as it:
        principal = it.principal("ana")
        signed = Tokens._signed

        def forged(self: Tokens, more: dict[str, Any], *rest: Any) -> str:
            return signed(self, {**more, "scope": scope}, *rest)

        monkeypatch.setattr(Tokens, "_signed", forged)
        token = it.tokens.access_token(principal)
        found = await it.http.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
        assert (found.status_code, found.json()["code"]) == (401, "unauthenticated")
