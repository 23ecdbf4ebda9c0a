"""Signing in, renewing and signing out, over HTTP."""

from typing import Any

import httpx
import pytest

from actors.protocol.ids import TENANT_ROOM
from actors.protocol.permissions import BUILT_IN
from actors.protocol.roles import Role
from gateway.passwords import PasswordCheck
from tests.gateway.serving import PASSWORD, Served, peopled, served
from tests.gateway.world import World, tenant_command

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"


async def login(it: Served, username: str, password: str = PASSWORD) -> httpx.Response:
    """Try to sign in."""
    return await it.http.post(LOGIN, json={"username": username, "password": password})


async def refresh(it: Served, token: str) -> httpx.Response:
    """Try to renew."""
    return await it.http.post(REFRESH, json={"refresh_token": token})


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """The headers that go with these tokens."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.mark.parametrize("name", ["ana", "ANA", "ana@acme.example", "ana@acme"])
async def test_a_username_an_email_or_a_name_at_a_tenant_signs_in(name: str) -> None:
    async with served() as it:
        answer = await login(it, name)

        assert answer.status_code == 200
        tokens = answer.json()
        assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 600)
        me = (await it.http.get("/api/v1/auth/me", headers=bearer(tokens))).json()
        assert me.pop("session").startswith("ses_")
        assert me.pop("permissions") == sorted(BUILT_IN[Role.ANALYST])
        assert me == {
            "user": "usr_ana",
            "username": "ana",
            "email": "ana@acme.example",
            "display_name": "Ana",
            "clearance": 0,
            "role": "analyst",
            "tenant": "acme",
        }


@pytest.mark.parametrize(
    ("name", "password"),
    [("ana", "wrong"), ("nobody", PASSWORD), ("ana@globex", PASSWORD), ("ana", "x" * 1_000)],
)
async def test_a_wrong_name_and_a_wrong_password_are_answered_alike(
    name: str, password: str
) -> None:
    async with served() as it:
        answer = await login(it, name, password)
        unknown = await login(it, "somebody-else", "some-password")

        assert answer.status_code == 401
        assert answer.json()["code"] == "login_failed"
        assert answer.content == unknown.content


@pytest.mark.parametrize(("name", "checks"), [("ana", 1), ("nobody", 1), ("ANA@acme", 1)])
async def test_a_known_and_an_unknown_name_cost_the_same_checks(
    name: str, checks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def counted(_self: PasswordCheck, _hash: str, password: str) -> bool:
        done.append(password)
        return False

    monkeypatch.setattr(PasswordCheck, "_verify", counted)
    async with served() as it:
        await login(it, name)

    assert len(done) == checks


async def test_a_name_in_two_tenants_needs_the_tenant() -> None:
    async with served(peopled("acme", "globex")) as it:
        ambiguous = await login(it, "ana")
        exact = await login(it, "ana@globex")

        assert ambiguous.status_code == 401
        assert "name@tenant" in ambiguous.json()["detail"]
        me = await it.http.get("/api/v1/auth/me", headers=bearer(exact.json()))
        assert me.json()["tenant"] == "globex"


async def test_a_name_in_two_tenants_says_nothing_to_a_wrong_password() -> None:
    async with served(peopled("acme", "globex")) as it:
        answer = await login(it, "ana", "wrong")

        assert "name@tenant" not in answer.json()["detail"]


async def test_a_sign_in_is_a_record_without_the_token() -> None:
    async with served() as it:
        tokens = (await login(it, "ana")).json()

        record = it.world.at("acme", TENANT_ROOM).entries[-1]
        assert (record.kind, record.actor) == ("session_opened", "usr_ana")
        assert record.content is not None
        assert b"127.0.0.1" in record.content
        assert tokens["refresh_token"].rpartition(".")[2].encode() not in record.content


async def test_a_refresh_token_is_good_once_and_renews_both() -> None:
    async with served() as it:
        first = (await login(it, "ana")).json()

        second = await refresh(it, first["refresh_token"])

        assert second.status_code == 200
        assert second.json()["refresh_token"] != first["refresh_token"]
        me = await it.http.get("/api/v1/auth/me", headers=bearer(second.json()))
        assert me.status_code == 200
        third = await refresh(it, second.json()["refresh_token"])
        assert third.status_code == 200


async def test_a_refresh_token_that_comes_again_ends_the_session_for_thief_and_owner() -> None:
    async with served() as it:
        first = (await login(it, "ana")).json()
        second = (await refresh(it, first["refresh_token"])).json()

        stolen = await refresh(it, first["refresh_token"])
        owners = await refresh(it, second["refresh_token"])
        me = await it.http.get("/api/v1/auth/me", headers=bearer(second))

        assert (stolen.status_code, stolen.json()["code"]) == (401, "refresh_reused")
        assert (owners.status_code, owners.json()["code"]) == (401, "session_ended")
        assert me.status_code == 401


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b", "acme.ses_none.secret", "globex.ses_ana.secret", "ACME.ses_ana.s", "...."],
)
async def test_a_refresh_token_that_was_never_given_out_is_refused(token: str) -> None:
    async with served() as it:
        answer = await refresh(it, token)

        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")


async def test_a_guessed_secret_ends_the_session_it_was_tried_on() -> None:
    async with served() as it:
        tokens = (await login(it, "ana")).json()
        stem = tokens["refresh_token"].rpartition(".")[0]

        guessed = await refresh(it, f"{stem}.guess")

        assert guessed.status_code == 401


async def test_after_signing_out_neither_token_is_good() -> None:
    async with served() as it:
        tokens = (await login(it, "ana")).json()

        answer = await it.http.post("/api/v1/auth/logout", headers=bearer(tokens))

        assert (answer.status_code, answer.content) == (204, b"")
        me = await it.http.get("/api/v1/auth/me", headers=bearer(tokens))
        assert me.status_code == 401
        assert (await refresh(it, tokens["refresh_token"])).status_code == 401


async def test_a_ticket_from_the_api_opens_a_socket() -> None:
    async with served() as it:
        answer = await it.http.post("/api/v1/auth/ws-ticket", headers=it.headers("ana"))

        assert answer.json()["expires_in"] == 30
        async with it.socket(f"?ticket={answer.json()['ticket']}") as client:
            assert (await client.get())["user"] == "usr_ana"


HEADERS: dict[str, dict[str, str]] = {
    "none": {},
    "no token": {"Authorization": "Bearer"},
    "another scheme": {"Authorization": "Basic YTpi"},
    "no JWT": {"Authorization": "Bearer abc"},
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
async def test_a_request_without_a_good_token_is_told_how_to_send_one(
    headers: dict[str, str],
) -> None:
    async with served() as it:
        answer = await it.http.get("/api/v1/auth/me", headers=headers)

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["code"] == "unauthenticated"


async def test_a_refresh_token_is_no_access_token() -> None:
    async with served() as it:
        tokens = (await login(it, "ana")).json()
        headers = {"Authorization": f"Bearer {tokens['refresh_token']}"}

        assert (await it.http.get("/api/v1/auth/me", headers=headers)).status_code == 401


async def test_nobody_gets_in_with_an_operator_instead_of_a_password() -> None:
    async with served() as it:
        body = {"username": "ana", "password": {"$ne": None}}

        answer = await it.http.post(LOGIN, json=body)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "#/password"


async def test_a_refused_sign_in_repeats_nothing_of_what_was_typed() -> None:
    async with served() as it:
        body = {"username": "ana", "password": "hunter2", "extra": "hunter2"}

        answer = await it.http.post(LOGIN, json=body)

        assert answer.status_code == 422
        assert "hunter2" not in answer.text


def test_the_world_of_these_tests_knows_its_people() -> None:
    world = World("acme")
    facts = {"user": "usr_x", "username": "x", "display_name": "X", "password_hash": "h"}
    world.commit(
        "acme", TENANT_ROOM, tenant_command(type="create_user", user_role="viewer", **facts)
    )

    assert world.at("acme", TENANT_ROOM).state.users["usr_x"].username == "x"
