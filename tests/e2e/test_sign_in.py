"""Signing in and out through the public surface."""

from collections.abc import Callable
from typing import Final

import jwt
import pytest
from jwt import PyJWKSet

from tests.e2e.clients import Client
from tests.e2e.system import PASSWORD, ROLES, Company

NAMES: Final[dict[str, Callable[[Company], str]]] = {
    "a username": lambda company: company.username("ana"),
    "a username in other letters": lambda company: company.username("ana").upper(),
    "an e-mail": lambda company: company.email("ana"),
    "a username at its tenant": lambda company: f"{company.username('ana')}@{company.tenant}",
}


@pytest.mark.parametrize("kind", NAMES)
async def test_a_user_signs_in_by(kind: str, company: Company) -> None:
    name = NAMES[kind](company)
    client = await Client.sign_in(company.system.gateways[0].http, name, PASSWORD)
    me = await client.call("GET", "/auth/me")
    assert (me["user"], me["tenant"], me["role"]) == (
        company.user("ana"),
        company.tenant,
        "analyst",
    )
    assert (me["username"], me["email"]) == (company.username("ana"), company.email("ana"))


async def test_a_name_that_two_tenants_know_needs_its_tenant(
    company: Company, other_company: Company
) -> None:
    shared = f"shared.{company.tenant}"
    for each in (company, other_company):
        await each.hire("sam", ROLES["ana"], username=shared)
    http = company.system.gateways[0].http
    anybody = await Client(http).ask(
        "POST", "/auth/login", {"username": shared, "password": PASSWORD}
    )
    assert (anybody.status_code, anybody.json()["code"]) == (401, "login_failed")
    for each in (company, other_company):
        client = await Client.sign_in(http, f"{shared}@{each.tenant}", PASSWORD)
        assert client.user == each.user("sam")


async def test_a_wrong_password_and_an_unknown_name_are_refused_alike(company: Company) -> None:
    nobody = Client(company.system.gateways[0].http)
    refusals = [
        await nobody.ask("POST", "/auth/login", {"username": name, "password": password})
        for name, password in (
            (company.username("ana"), "wrong"),
            (company.username("ana"), ""),
            (company.username("nobody"), PASSWORD),
            (f"{company.username('ana')}@nowhere", PASSWORD),
        )
    ]
    assert {answer.status_code for answer in refusals} == {401}
    assert len({answer.content for answer in refusals}) == 1
    assert {answer.headers["www-authenticate"] for answer in refusals} == {"Bearer"}


async def test_a_refresh_gives_the_next_pair(company: Company) -> None:
    client = await company.sign_in("ana")
    pair = await client.call("POST", "/auth/refresh", {"refresh_token": client.refresh})
    assert pair["token_type"] == "bearer"
    assert pair["refresh_token"] != client.refresh
    renewed = Client(client.http, client.user, pair["access_token"], pair["refresh_token"])
    assert (await renewed.call("GET", "/auth/me"))["user"] == client.user


async def test_a_refresh_token_that_comes_twice_ends_the_session(company: Company) -> None:
    client = await company.sign_in("ana")
    pair = await client.call("POST", "/auth/refresh", {"refresh_token": client.refresh})

    elsewhere = client.at(company.system.gateways[1].http)
    again = await elsewhere.ask("POST", "/auth/refresh", {"refresh_token": client.refresh})
    assert (again.status_code, again.json()["code"]) == (401, "refresh_reused")

    thief = Client(client.http, client.user, pair["access_token"], pair["refresh_token"])
    for one in (client, elsewhere, thief):
        refused = await one.ask("GET", "/auth/me")
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    last = await thief.ask("POST", "/auth/refresh", {"refresh_token": thief.refresh})
    assert (last.status_code, last.json()["code"]) == (401, "session_ended")


async def test_a_sign_out_ends_one_session_and_its_sockets(company: Company) -> None:
    leaving, staying = await company.sign_in("ana"), await company.sign_in("ana")
    async with leaving.socket() as left, staying.socket() as open_still:
        answer = await leaving.ask("POST", "/auth/logout")
        assert (answer.status_code, answer.content) == (204, b"")
        assert await left.closed() == 4401
        assert await open_still.echo("still here") == []
    for gateway in company.system.gateways:
        assert (await leaving.at(gateway.http).ask("GET", "/auth/me")).status_code == 401
        assert (await staying.at(gateway.http).ask("GET", "/auth/me")).status_code == 200
    refresh = await leaving.ask("POST", "/auth/refresh", {"refresh_token": leaving.refresh})
    assert (refresh.status_code, refresh.json()["code"]) == (401, "session_ended")


async def test_anybody_can_verify_a_token_with_the_published_keys(company: Company) -> None:
    client = await company.sign_in("tom")
    for gateway in company.system.gateways:
        published = (await gateway.http.get("/.well-known/jwks.json")).json()
        header = jwt.get_unverified_header(client.access)
        key = PyJWKSet.from_dict(published)[header["kid"]]
        claims = jwt.decode(
            client.access, key, algorithms=["EdDSA"], audience="wardroom", issuer="wardroom"
        )
        assert (header["typ"], header["alg"]) == ("at+jwt", "EdDSA")
        assert claims["tenant"] == company.tenant
        assert (claims["sub"], claims["role"]) == (company.user("tom"), "tenant_admin")
        assert claims["exp"] - claims["iat"] == 600
        assert all("d" not in item for item in published["keys"])
