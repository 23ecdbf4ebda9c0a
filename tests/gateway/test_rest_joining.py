"""Registration, invitations and the list of sessions over HTTP: who may, and what nobody is told."""

import asyncio
from typing import Any, Final

import httpx
import pytest
from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from gateway.limits import INVITATION_TTL_S, NEWCOMERS_AT_ONCE_ADDRESS
from tests.gateway.asking import API, ask
from tests.gateway.serving import Served, peopled, served
from tests.gateway.world import NOW_MS

REGISTRANT: Final[dict[str, Any]] = {
    "tenant": "acme",
    "username": "nina",
    "display_name": "Nina",
    "email": "nina@acme.example",
    "password": "a password of hers",
}
NEWCOMER: Final[dict[str, Any]] = {
    "username": "nina",
    "display_name": "Nina",
    "password": "a password of hers",
}


async def post(it: Served, path: str, body: dict[str, Any]) -> httpx.Response:
    """A request of nobody."""
    return await it.http.post(f"{API}{path}", json=body)


async def login(it: Served, name: str = "nina") -> int:
    """The status of a sign-in."""
    body = {"username": name, "password": "a password of hers"}
    return (await post(it, "/auth/login", body)).status_code


async def opened(it: Served, mode: str) -> None:
    """Set the policy."""
    answer = await ask(it, "PUT", "/policies/registration", "tom", json={"mode": mode})
    assert answer.status_code == 200, answer.text


async def invited(it: Served, role: str = "analyst") -> dict[str, Any]:
    """An invitation of nina."""
    body = {"email": "nina@acme.example", "role": role}
    answer = await ask(it, "POST", "/invitations", "tom", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{API}/invitations/{found['invitation']}"
    return found


async def test_a_tenant_that_does_not_allow_it_answers_as_one_that_is_not_there() -> None:
    async with served() as it:
        shown = await ask(it, "GET", "/policies/registration", "tom")
        assert shown.json() == {"mode": "closed"}
        answers = [
            await post(it, "/auth/register", {**REGISTRANT, "tenant": tenant})
            for tenant in ("acme", "nowhere")
        ]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert answers[0].content == answers[1].content


async def test_who_registers_waits_until_an_administrator_lets_him_in() -> None:
    async with served() as it:
        await opened(it, "with_approval")
        assert (await post(it, "/auth/register", REGISTRANT)).status_code == 202
        assert await login(it) == 401
        users = (await ask(it, "GET", "/users", "tom")).json()["items"]
        (waiting,) = [user for user in users if user["pending"]]
        assert (waiting["username"], waiting["role"]) == ("nina", "analyst")
        path = f"/users/{waiting['user']}/approve"
        assert (await ask(it, "POST", path, "ana")).status_code == 403
        assert (await ask(it, "POST", path, "tom")).status_code == 200
        assert await login(it) == 200


async def test_nobody_is_told_whether_a_name_is_taken(logged: list[EventDict]) -> None:
    async with served() as it:
        await opened(it, "with_approval")
        before = it.world.at("acme", TENANT_ROOM).head
        answers = [
            await post(it, "/auth/register", {**REGISTRANT, **taken})
            for taken in ({}, {"username": "ana"}, {"email": "BOB@acme.example"})
        ]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        records = it.world.at("acme", TENANT_ROOM).entries[before:]
        kinds = [entry.kind for entry in records]
        # A record in every case: neither the answer nor its time tells which it was.
        assert kinds == ["user_registered", "registration_ignored", "registration_ignored"]
        told = "".join(answer.text for answer in answers) + repr(logged)
        assert "a password of hers" not in told
        assert "argon2" not in told


async def test_an_address_registers_so_many_times_and_has_to_wait_then() -> None:
    now = 0.0
    async with served(clock=lambda: now) as it:
        await opened(it, "with_approval")
        for number in range(NEWCOMERS_AT_ONCE_ADDRESS):
            body = {**REGISTRANT, "username": f"n{number}", "email": None}
            assert (await post(it, "/auth/register", body)).status_code == 202
        refused = await post(it, "/auth/register", REGISTRANT)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert int(refused.headers["retry-after"]) > 0
        accept = await post(it, "/auth/invitations/accept", {**NEWCOMER, "token": "none"})
        assert accept.status_code == 429
        now = float(refused.headers["retry-after"])
        assert (await post(it, "/auth/register", REGISTRANT)).status_code == 202


async def test_an_invited_person_sets_his_name_and_password_and_signs_in() -> None:
    async with served() as it:
        invitation = await invited(it)
        (listed,) = (await ask(it, "GET", "/invitations", "tom")).json()["items"]
        assert listed == {
            "invitation": invitation["invitation"],
            "email": "nina@acme.example",
            "role": "analyst",
            "expires_at": invitation["expires_at"],
        }
        body = {**NEWCOMER, "token": invitation["token"]}
        done = await post(it, "/auth/invitations/accept", body)
        assert done.status_code == 201, done.text
        assert await login(it) == 200
        assert await login(it, "nina@acme.example") == 200
        shown = (await ask(it, "GET", f"/users/{done.json()['user']}", "tom")).json()
        assert (shown["role"], shown["pending"]) == ("analyst", False)
        assert (await ask(it, "GET", "/invitations", "tom")).json()["items"] == []


async def test_of_two_who_use_an_invitation_at_the_same_moment_one_becomes_a_user() -> None:
    async with served() as it:
        token = (await invited(it))["token"]
        bodies = [{**NEWCOMER, "username": name, "token": token} for name in ("nina", "nino")]
        answers = await asyncio.gather(
            *(post(it, "/auth/invitations/accept", body) for body in bodies)
        )
        assert sorted(answer.status_code for answer in answers) == [201, 404]
        users = (await ask(it, "GET", "/users", "tom")).json()["items"]
        assert len([user for user in users if user["username"] in ("nina", "nino")]) == 1


async def test_every_invitation_that_is_not_good_is_refused_in_the_same_words() -> None:
    async with served(peopled("acme", "globex")) as it:
        used, revoked = await invited(it), None
        body = {**NEWCOMER, "token": used["token"]}
        assert (await post(it, "/auth/invitations/accept", body)).status_code == 201
        await ask(it, "DELETE", f"/users/{(await _user(it, 'nina'))}", "tom")
        revoked = await invited(it)
        path = f"/invitations/{revoked['invitation']}"
        assert (await ask(it, "DELETE", path, "tom")).status_code == 200
        living = await invited(it)
        tenant, invitation, secret = living["token"].split(".")
        forged = [
            *(used["token"], revoked["token"], "none", "..", f"{tenant}.{invitation}.{'A' * 43}"),
            *(f"globex.{invitation}.{secret}", f"nowhere.{invitation}.{secret}"),
        ]
        answers = [
            await post(it, "/auth/invitations/accept", {**NEWCOMER, "token": token})
            for token in forged
        ]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1


async def _user(it: Served, name: str) -> str:
    users = (await ask(it, "GET", "/users", "tom")).json()["items"]
    return str(next(user["user"] for user in users if user["username"] == name))


async def test_the_secret_of_an_invitation_is_shown_once_and_kept_nowhere(
    logged: list[EventDict],
) -> None:
    async with served() as it:
        invitation = await invited(it)
        secret = invitation["token"].rpartition(".")[2]
        later = [
            await ask(it, "GET", "/invitations", "tom"),
            await ask(it, "GET", "/audit-logs", "tom"),
        ]
        assert all(answer.status_code == 200 and secret not in answer.text for answer in later)
        assert "digest" not in later[1].text
        entries = it.world.at("acme", TENANT_ROOM).entries
        assert all(secret.encode() not in (entry.content or b"") for entry in entries)
        assert secret not in repr(logged)
        state = it.world.at("acme", TENANT_ROOM).state.invitations[invitation["invitation"]]
        assert state.expires_ms - NOW_MS > INVITATION_TTL_S


@pytest.mark.parametrize("name", ["ana", "vera"])
async def test_who_may_not_change_users_invites_nobody(name: str) -> None:
    async with served() as it:
        body = {"email": "nina@acme.example", "role": "viewer"}
        for method, path in (("POST", "/invitations"), ("GET", "/invitations")):
            more = {"json": body} if method == "POST" else {}
            assert (await ask(it, method, path, name, **more)).status_code == 403


# Sessions ---------------------------------------------------------------------------------------


async def test_everybody_sees_his_own_sessions_and_an_administrator_everybodys() -> None:
    async with served() as it:
        own = (await ask(it, "GET", "/users/usr_bob/sessions", "bob")).json()["items"]
        (session,) = own
        assert (session["session"], session["current"]) == ("ses_bob", True)
        assert session["address"] == "192.0.2.1"
        seen = (await ask(it, "GET", "/users/usr_bob/sessions", "tom")).json()["items"]
        assert seen == [{**session, "current": False}]
        assert (await ask(it, "GET", "/users/usr_bob/sessions", "ana")).status_code == 403
        assert (await ask(it, "GET", "/users/usr_none/sessions", "tom")).status_code == 404


async def test_one_session_is_ended_and_its_socket_closed_while_another_stays() -> None:
    async with served() as it:
        credentials = {"username": "bob", "password": "correct horse battery staple"}
        signed_in = (await post(it, "/auth/login", credentials)).json()
        listed = (await ask(it, "GET", "/users/usr_bob/sessions", "bob")).json()["items"]
        (other,) = [item for item in listed if not item["current"]]
        assert other["opened_at"] is not None
        async with it.signed_in("bob") as stays, it.socket() as ends:
            await ends.send(type="hello", token=signed_in["access_token"])
            assert (await ends.get())["type"] == "welcome"
            path = f"/users/usr_bob/sessions/{other['session']}"
            assert (await ask(it, "DELETE", path, "ana")).status_code == 403
            assert (await ask(it, "DELETE", path, "bob")).status_code == 200
            assert await ends.closed() == 4401
            await stays.send(type="ping", n=1)
            assert (await stays.get())["type"] == "pong"
        again = await ask(it, "DELETE", path, "bob")
        wrong = await ask(it, "DELETE", "/users/usr_bob/sessions/ses_ana", "bob")
        assert (again.status_code, wrong.status_code) == (404, 404)
        assert again.content == wrong.content
        assert (
            await ask(it, "DELETE", "/users/usr_bob/sessions/ses_bob", "tom")
        ).status_code == 200
        assert (await ask(it, "GET", "/auth/me", "bob")).status_code == 401
