"""Setting an identity provider: who may, what is refused, and that its secret never comes out again."""

from typing import Any

import httpx
import pytest

from actors.protocol.ids import TENANT_ROOM
from gateway.oidc.settings import ProviderSettings
from tests.gateway.oidc.browsing import API, told
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.stage import SECRET, Spoil

PATH = f"{API}/tenants/current/identity-provider"


async def ask(place: Place, method: str, path: str = PATH, **more: Any) -> httpx.Response:
    """What the administrator is told."""
    headers = {**place.it.headers("tom"), **more.pop("headers", {})}
    return await place.it.http.request(method, path, headers=headers, **more)


def codes(tested: dict[str, Any], level: str) -> set[str]:
    """The codes of a level among the findings of a test."""
    return {finding["code"] for finding in tested["findings"] if finding["level"] == level}


async def test_settings_are_shown_as_they_were_put_but_for_the_secret(place: Place) -> None:
    answer = await ask(place, "GET")
    shown, put = answer.json(), place.provider.settings()
    assert {name: shown[name] for name in put if name != "client_secret"} == {
        name: value for name, value in put.items() if name != "client_secret"
    }
    assert shown["client_secret_set"] is True
    assert shown["redirect_uri"].endswith("/api/v1/auth/oidc/acme/callback")
    assert SECRET not in answer.text


async def test_the_secret_is_in_no_record_in_clear_and_the_audit_log_shows_what_changed(
    place: Place,
) -> None:
    await place.install(roles=[], default_role="viewer")
    for entry in place.it.world.at("acme", TENANT_ROOM).entries:
        assert SECRET.encode() not in (entry.content or b"")
    logs = await ask(place, "GET", f"{API}/audit-logs?operation=identity_provider.put")
    newest = logs.json()["items"][0]
    assert newest["after"]["default_role"] == "viewer"
    assert newest["before"]["grants"] == ["analyst: soc", "tenant_admin: leads"]
    assert "secret" not in str(newest)


@pytest.mark.parametrize("name", ["ana", "vera"])
async def test_it_is_for_administrators(place: Place, name: str) -> None:
    headers = place.it.headers(name)
    for method, path, body in (
        ("GET", PATH, None),
        ("PUT", PATH, place.provider.settings()),
        ("DELETE", PATH, None),
        ("POST", f"{PATH}/test", {}),
    ):
        answer = await place.it.http.request(method, path, headers=headers, json=body)
        assert answer.status_code == 403, method


async def test_a_secret_goes_nowhere_but_where_it_was_given_for(place: Place) -> None:
    for changes in (
        {"issuer": "https://evil.example"},
        {"client_id": "another"},
        {"ca_pem": "another authority"},
    ):
        body = place.provider.settings(**changes)
        del body["client_secret"]
        for method, path, asked in (
            ("PUT", PATH, body),
            ("POST", f"{PATH}/test", {"settings": body}),
        ):
            answer = await ask(place, method, path, json=asked)
            assert told(answer) == (422, "invalid"), changes
            assert answer.json()["errors"][0]["pointer"] == "#/client_secret"
    kept = place.provider.settings(session_hours_max=1)
    del kept["client_secret"]
    assert (await ask(place, "PUT", json=kept)).status_code == 200
    await place.signed_in()


@pytest.mark.parametrize(
    "changes",
    [
        *({"issuer": text} for text in ("", "corp.example", "http://corp.example", "file:///x")),
        *({"issuer": f"https://corp.example{text}"} for text in ("?a=b", "#a", "/a b", "\\evil")),
        *({"issuer": f"https://{text}"} for text in ("", "a:b@corp.example", "[", "a:99999")),
        *({"scopes": scopes} for scopes in ([], ["email"], ["openid", "a b"], ["openid", ""])),
        *({"client_id": text} for text in ("", "a\nb", "a" * 256)),
        {"roles": [], "default_role": None},
        {"roles": [{"group": "soc", "role": "system"}]},
        {"roles": [{"group": "", "role": "analyst"}]},
        {"default_role": "external"},
        *({"session_hours_max": hours} for hours in (0, -1, 337, 1.5, "12")),
        {"required_acr": "a b"},
        {"anything": 1},
    ],
)
async def test_settings_that_can_not_be_meant_are_refused_and_nothing_of_them_is_said(
    place: Place, changes: dict[str, Any]
) -> None:
    answer = await ask(place, "PUT", json=place.provider.settings(**changes))
    assert told(answer) == (422, "invalid"), changes
    assert SECRET not in answer.text


async def test_a_request_that_comes_again_changes_nothing_and_answers_the_same(
    place: Place,
) -> None:
    head = place.it.world.at("acme", TENANT_ROOM).head
    bodies = [
        (
            await ask(
                place, "PUT", json=place.provider.settings(), headers={"Idempotency-Key": "k-1"}
            )
        ).json()
        for _ in range(2)
    ]
    assert bodies[0] == bodies[1]
    assert place.it.world.at("acme", TENANT_ROOM).head == head + 1


async def test_a_test_says_what_is_wrong_and_changes_nothing(place: Place) -> None:
    head = place.it.world.at("acme", TENANT_ROOM).head
    good = (await ask(place, "POST", f"{PATH}/test", json={})).json()
    assert (good["usable"], codes(good, "error"), codes(good, "warning")) == (True, set(), set())
    assert codes(good, "ok") == {"redirect_uri", "discovery", "keys"}

    def without_pkce(said: dict[str, Any]) -> None:
        said.pop("code_challenge_methods_supported")
        said.pop("authorization_response_iss_parameter_supported")

    spoils: list[tuple[Spoil, bool, str, str]] = [
        (lambda said: said.update(issuer="https://o.example"), False, "error", "not_as_set"),
        (lambda said: said.pop("jwks_uri"), False, "error", "bad_answer"),
        (without_pkce, True, "warning", ""),
        (
            lambda said: said.update(token_endpoint_auth_methods_supported=["private_key_jwt"]),
            False,
            "error",
            "",
        ),
    ]
    for spoil, usable, level, code in spoils:
        place.provider.spoil_discovery = spoil
        tested = (await ask(place, "POST", f"{PATH}/test", json={})).json()
        wanted = {f"provider_{code}"} if code else {"no_pkce", "no_iss", "client_auth"}
        assert tested["usable"] is usable
        assert codes(tested, level), tested
        assert codes(tested, level) <= wanted
    place.provider.spoil_discovery = lambda _: None
    for keys in ([], [{"kty": "oct", "k": "AAAA"}], [{"kty": "RSA", "use": "enc"}]):
        place.provider.published = keys
        tested = (await ask(place, "POST", f"{PATH}/test", json={})).json()
        assert codes(tested, "error") == {"provider_bad_answer"}
    unreachable = place.provider.settings(issuer="http://127.0.0.1:1")
    tested = (await ask(place, "POST", f"{PATH}/test", json={"settings": unreachable})).json()
    assert codes(tested, "error") == {"provider_unreachable"}
    forbidden = place.provider.settings(issuer="https://10.0.0.1")
    tested = (await ask(place, "POST", f"{PATH}/test", json={"settings": forbidden})).json()
    assert codes(tested, "error") == {"provider_address_refused"}
    assert SECRET not in str(tested)
    assert place.it.world.at("acme", TENANT_ROOM).head == head


async def test_a_removed_provider_is_gone(place: Place) -> None:
    assert (await ask(place, "DELETE")).status_code == 200
    assert told(await ask(place, "GET")) == (404, "not_found")
    assert told(await ask(place, "DELETE")) == (404, "not_found")
    assert told(await ask(place, "POST", f"{PATH}/test", json={})) == (404, "not_found")


async def test_a_users_source_is_told_and_what_the_provider_keeps_is_not_changed_here(
    place: Place,
) -> None:
    me = await place.me(await place.signed_in())
    path = f"{API}/users/{me['user']}"
    assert (await ask(place, "GET", path)).json()["source"] == "identity_provider"
    changed = await ask(place, "PATCH", path, json={"display_name": "Somebody"})
    assert told(changed) == (409, "conflict")
    password = await ask(place, "POST", f"{path}/password", json={"password": "a long password"})
    assert told(password) == (409, "conflict")


def test_the_secret_is_in_no_repr() -> None:
    settings = ProviderSettings(
        issuer="https://corp.example",
        client_id="wardroom",
        client_secret=SECRET,  # type: ignore[arg-type]
        default_role="viewer",  # type: ignore[arg-type]
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
