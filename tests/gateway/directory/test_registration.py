"""Who registers himself, or accepts an invitation, in a tenant whose people a directory knows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import pytest

from actors.protocol.ids import TENANT_ROOM
from gateway.directory.settings import DirectorySettings
from gateway.directory.stored import KEPT
from tests.gateway.asking import API, ask
from tests.gateway.directory.slapd import PASSWORD, Place
from tests.gateway.serving import Served, served

STRANGERS: Final = "a password of a stranger's"


@asynccontextmanager
async def _beside(place: Place, mode: str = "open", **changes: Any) -> AsyncIterator[Served]:
    """A gateway; acme's people sign in with a directory, in which ada is."""
    group = place.add_group("analysts", place.add_user("ada", mail="ada.l@corp.test"))
    settings = place.settings(roles=[{"group": group, "role": "analyst"}], **changes)
    async with served(directory_loopback=True) as it:
        installed = await ask(it, "PUT", "/tenants/current/directory", "tom", json=_put(settings))
        assert installed.status_code == 200, installed.text
        opened = await ask(it, "PUT", "/policies/registration", "tom", json={"mode": mode})
        assert opened.status_code == 200
        yield it


def _put(settings: DirectorySettings) -> dict[str, Any]:
    return {**KEPT.shown(settings), "bind_password": settings.bind_password.get_secret_value()}


async def _register(it: Served, username: str, **changes: Any) -> httpx.Response:
    facts = {"username": username, "display_name": "Ada", "password": STRANGERS, **changes}
    return await it.http.post(f"{API}/auth/register", json={"tenant": "acme", **facts})


async def _login(it: Served, name: str, password: str) -> httpx.Response:
    body = {"username": name, "password": password}
    return await it.http.post(f"{API}/auth/login", json=body)


def _names(it: Served) -> set[str]:
    state = it.world.at("acme", TENANT_ROOM).state
    return {user.username for user in state.users.values()}


@pytest.mark.parametrize("mode", ["open", "with_approval"])
@pytest.mark.parametrize(
    "facts",
    [
        {"username": "ada"},
        {"username": " ADA "},
        {"username": "ada@acme"},
        {"username": "ada.l@corp.test"},
        {"username": "someone", "email": "Ada.L@corp.test"},
    ],
    ids=lambda facts: " ".join(facts.values()),
)
async def test_nobody_takes_the_name_of_somebody_in_the_directory_and_nobody_is_told(
    place: Place, mode: str, facts: dict[str, str]
) -> None:
    async with _beside(place, mode) as it:
        free, before = await _register(it, "nina"), _names(it)
        squatting = await _register(it, **facts)
        assert (squatting.status_code, squatting.content) == (202, free.content)
        assert _names(it) == before
        assert it.world.at("acme", TENANT_ROOM).entries[-1].kind == "registration_ignored"
        assert (await _login(it, "ada@acme", STRANGERS)).status_code == 401
        assert (await _login(it, "ada@acme", PASSWORD)).status_code == 200


async def test_while_the_directory_does_not_answer_nobody_registers(place: Place) -> None:
    async with _beside(place, servers=("ldaps://127.0.0.1:1",)) as it:
        before = it.world.at("acme", TENANT_ROOM).head
        answers = [await _register(it, name) for name in ("ada", "nina", "tom")]
        assert {(one.status_code, one.json()["code"]) for one in answers} == {(503, "unavailable")}
        assert len({one.content for one in answers}) == 1
        assert it.world.at("acme", TENANT_ROOM).head == before


async def test_nobody_accepts_an_invitation_under_the_name_of_somebody_in_the_directory(
    place: Place,
) -> None:
    async with _beside(place) as it:
        body = {"email": "guest@else.test", "role": "analyst"}
        invitation = (await ask(it, "POST", "/invitations", "tom", json=body)).json()
        facts = {"token": invitation["token"], "display_name": "G", "password": STRANGERS}
        path = f"{API}/auth/invitations/accept"
        taken = await it.http.post(path, json={**facts, "username": "ada"})
        assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
        assert (await it.http.post(path, json={**facts, "username": "g"})).status_code == 201
        assert (await _login(it, "ada@acme", PASSWORD)).status_code == 200


async def test_an_e_mail_that_a_local_user_has_keeps_nobody_of_the_directory_out(
    place: Place,
) -> None:
    async with _beside(place) as it:
        given = await ask(it, "PATCH", "/auth/me", "bob", json={"email": "ada.l@corp.test"})
        assert given.status_code == 200
        signed_in = await _login(it, "ada@acme", PASSWORD)
        assert signed_in.status_code == 200
        headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        me = (await it.http.get(f"{API}/auth/me", headers=headers)).json()
        assert (me["username"], me["email"]) == ("ada", None)
