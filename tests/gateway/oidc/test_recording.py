"""Sign-ins at a provider that are refused are in the tenant's audit trail, a few records a minute."""

from typing import Any

import orjson
import pytest

from actors.protocol.audit import audit_facts
from actors.protocol.ids import TENANT_ROOM
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.refusals import AWAY, REFUSED, come_back, users
from tests.gateway.world import eventually, tenant_command


def failures(place: Place, tenant: str = "acme") -> list[dict[str, Any]]:
    """What a tenant's chain says of failed sign-ins."""
    return [
        orjson.loads(entry.content or b"")
        for entry in place.it.world.at(tenant, TENANT_ROOM).entries
        if entry.kind == "sign_in_failed"
    ]


async def recorded(place: Place, number: int = 1) -> list[tuple[str, str, int]]:
    """User, reason and count of that many records."""
    await eventually(lambda: len(failures(place)) == number)
    found = failures(place)
    assert {one["address"] for one in found} == {"127.0.0.1"}
    return [(one["user"], one["reason"], one["count"]) for one in found]


@pytest.mark.parametrize(
    ("settings", "claims", "reason"),
    [
        ({}, {"groups": []}, "oidc_no_role"),
        ({}, {"preferred_username": "tom"}, "oidc_name_taken"),
        ({"required_acr": "mfa"}, {}, "oidc_acr"),
        ({}, {"nonce": "another"}, "oidc_id_token_nonce"),
    ],
)
async def test_a_refusal_is_recorded_with_its_reason_and_address(
    place: Place, settings: dict[str, Any], claims: dict[str, Any], reason: str
) -> None:
    await place.install(**settings)
    place.provider.claims |= claims
    assert await come_back(place) == REFUSED
    assert await recorded(place) == [("", reason, 1)]
    [entry] = [
        entry
        for entry in place.it.world.at("acme", TENANT_ROOM).entries
        if entry.kind == "sign_in_failed"
    ]
    shown = audit_facts(entry.kind, entry.content)
    assert (shown.operation, shown.outcome, shown.address) == (
        "user.sign_in",
        "refused",
        "127.0.0.1",
    )
    assert failures(place, "globex") == []


async def test_a_user_who_was_disabled_here_is_named(place: Place) -> None:
    await place.signed_in()
    [user] = users(place)
    disable = tenant_command(type="disable_user", user=user)
    place.it.world.commit("acme", TENANT_ROOM, disable)
    assert await come_back(place) == REFUSED
    assert await recorded(place) == [(user, "oidc_disabled_here", 1)]


async def test_a_user_who_has_left_his_groups_is_named(place: Place) -> None:
    await place.signed_in()
    [user] = users(place)
    place.provider.claims["groups"] = []
    assert await come_back(place) == REFUSED
    assert await recorded(place) == [(user, "oidc_no_role", 1)]


async def test_a_provider_that_fails_is_recorded_too(place: Place) -> None:
    browser = place.browser()
    started = await browser.start()
    place.provider.raw["/token"] = b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"
    back = await browser.come_back(place.provider.authorize(started.headers["location"]))
    assert (back.status_code, back.json()["code"]) == AWAY
    assert await recorded(place) == [("", "oidc_provider_bad_answer", 1)]


async def test_a_ticket_that_is_none_is_recorded(place: Place) -> None:
    body = {"code": "none", "verifier": "v" * 43}
    answer = await place.it.http.post("/api/v1/auth/oidc/acme/session", json=body)
    assert answer.status_code == 401
    assert await recorded(place) == [("", "oidc_handover", 1)]


async def test_a_stranger_who_comes_back_a_hundred_times_makes_one_record(place: Place) -> None:
    """Counted, and written once a minute by the clock that nothing moves here."""
    for _ in range(100):
        answer = await place.it.http.get("/api/v1/auth/oidc/acme/callback?state=x&code=y")
        assert answer.status_code == 401
    assert await recorded(place) == [("", "oidc_no_cookie", 1)]


async def test_nothing_is_recorded_for_a_tenant_that_is_not_there(place: Place) -> None:
    answer = await place.it.http.get("/api/v1/auth/oidc/nowhere/callback?state=x&code=y")
    assert answer.status_code == 404
    assert failures(place) == []
