"""Setting a directory: who may, what is refused, and that its password never comes out again."""

from typing import Any
from uuid import uuid4

import pytest

from deploy.local.process import LOOPBACK, free_port
from gateway.directory.stored import KEPT
from tests.e2e.clients import Client, Json
from tests.e2e.employers import PATH, Employer, told
from tests.e2e.system import Company, Gateway
from tests.e2e.test_directory import door, employer, place, slapd
from tests.e2e.traces import files, forms_of, left_behind
from tests.gateway.directory.slapd import PASSWORD, SEARCHER_PASSWORD, Place

__all__ = ["door", "employer", "place", "slapd"]
pytestmark = pytest.mark.paced


def codes(tested: Json, level: str) -> set[str]:
    """The codes of a level among the findings of a test."""
    return {finding["code"] for finding in tested["findings"] if finding["level"] == level}


async def test_settings_are_shown_as_they_were_put_but_for_the_password(
    employer: Employer,
) -> None:
    admin = await employer.admin()
    shown = await admin.call("GET", PATH)
    assert shown == {**KEPT.shown(employer.settings), "bind_password_set": True}


async def test_a_test_says_what_is_wrong_and_changes_nothing(
    employer: Employer, place: Place
) -> None:
    admin = await employer.admin()
    before = await admin.call("GET", PATH)
    good = await admin.call("POST", f"{PATH}/test", {})
    assert (good["usable"], codes(good, "error"), codes(good, "warning")) == (True, set(), set())
    assert codes(good, "ok") == {"server", "users"}
    dead = f"ldaps://{LOOPBACK}:{free_port()}"
    for changes, usable, error in (
        ({"bind_password": "wrong"}, False, "directory_bind_refused"),
        ({"servers": [dead]}, False, "directory_unreachable"),
        ({"servers": [dead, *before["servers"]]}, True, "directory_unreachable"),
        ({"ca_pem": ""}, False, "directory_tls_failed"),
        ({"ca_pem": "no certificate"}, False, "directory_tls_failed"),
        ({"base_dn": f"ou=nowhere,{place.base}"}, False, "directory_not_as_set"),
        ({"user_filter": "(uid=no-such-user)"}, False, "no_users"),
    ):
        body = {"settings": employer.body(**changes)}
        tested = await admin.call("POST", f"{PATH}/test", body)
        assert (tested["usable"], codes(tested, "error")) == (usable, {error}), changes
        assert SEARCHER_PASSWORD not in str(tested)
    assert await admin.call("GET", PATH) == before


async def test_a_password_goes_nowhere_but_where_it_was_given_for(employer: Employer) -> None:
    admin = await employer.admin()
    rogue = f"ldaps://{LOOPBACK}:{free_port()}"
    for changes in (
        {"servers": [rogue]},
        {"servers": [*employer.settings.servers, rogue]},
        {"ca_pem": "another authority"},
        {"bind_dn": "cn=somebody else,dc=corp,dc=test"},
        {"tls": "starttls", "servers": [rogue.replace("ldaps", "ldap")]},
    ):
        body = employer.body(bind_password=None, **changes)
        for method, path, asked in (
            ("PUT", PATH, body),
            ("POST", f"{PATH}/test", {"settings": body}),
        ):
            answer = await admin.ask(method, path, asked)
            assert told(answer) == (422, "invalid"), (path, changes)
            assert answer.json()["errors"][0]["pointer"] == "#/bind_password"
    # What says nothing of where it goes may change without it.
    await admin.call("PUT", PATH, employer.body(bind_password=None, roles=[]))
    assert (await admin.call("POST", f"{PATH}/test", {}))["usable"] is True
    await admin.call("PUT", PATH, employer.body(bind_password=None))
    assert (await employer.sign_in("ada")).access


async def test_what_is_refused_is_told_without_what_was_put_in(employer: Employer) -> None:
    admin = await employer.admin()
    before = await admin.call("GET", PATH)
    canary = "canary-of-a-refused-password"
    broken: list[dict[str, Any]] = [
        {"servers": []},
        {"servers": ["http://directory.example"]},
        {"servers": [f"ldaps://somebody:{canary}@directory.example"]},
        {"servers": ["ldap://directory.example"]},
        {"tls": "plain"},
        {"allow_plain": True},
        {"ca_file": "/etc/passwd"},
        {"bind_dn": ""},
        {"base_dn": ""},
        {"base_dn": canary},
        {"user_filter": "uid=*"},
        {"roles": [{"group": "x", "role": "system"}]},
        {"roles": [{"group": "x", "role": "external"}]},
        {"page_size": 100_000},
        {"call_s": 1e9},
        {"names": {"key": "(x=*)"}},
        {"bind_password": canary * 100},
        {"bind_password": [canary]},
        {"flavour": canary},
        {"more": canary},
    ]
    for changes in broken:
        body = employer.body(**{"bind_password": canary, **changes})
        for method, path, asked in (
            ("PUT", PATH, body),
            ("POST", f"{PATH}/test", {"settings": body}),
        ):
            answer = await admin.ask(method, path, asked)
            assert told(answer) == (422, "invalid"), (path, changes, answer.text)
            assert canary not in answer.text, changes
    assert await admin.call("GET", PATH) == before
    assert canary.encode() not in await files(employer.company, "*.log")


async def test_only_an_administrator_sees_or_sets_a_directory_and_only_his_own(
    employer: Employer, other_company: Company
) -> None:
    company = employer.company
    for client in (
        await company.sign_in("ana"),
        await company.sign_in("vera"),
        Client(employer.http),
    ):
        for method, path, body in (
            ("GET", PATH, None),
            ("PUT", PATH, employer.body()),
            ("DELETE", PATH, None),
            ("POST", f"{PATH}/test", {}),
        ):
            assert (await client.ask(method, path, body)).status_code in (401, 403), (method, path)
    stranger = await other_company.sign_in("tom")
    assert told(await stranger.ask("GET", PATH)) == (404, "not_found")
    assert told(await stranger.ask("POST", f"{PATH}/test", {})) == (404, "not_found")
    body = employer.body(bind_password=None)
    assert told(await stranger.ask("PUT", PATH, body)) == (422, "invalid")


async def test_a_put_that_comes_again_is_the_same_put(employer: Employer) -> None:
    admin, key = await employer.admin(), uuid4().hex
    first = await admin.call("PUT", PATH, employer.body(roles=[]), key=key)
    again = await admin.call("PUT", PATH, employer.body(roles=[]), key=key)
    assert first == again
    for changes in ({"roles": [], "bind_password": "another"}, {"page_size": 7}):
        answer = await admin.ask("PUT", PATH, employer.body(**changes), key=key)
        assert told(answer) == (409, "conflict"), changes


async def test_this_machine_is_asked_only_where_its_operator_allows_it(employer: Employer) -> None:
    gateway = employer.company.system.gateways[0]
    admin = await employer.at(gateway.http).admin()
    tested = await admin.call("POST", f"{PATH}/test", {})
    assert (tested["usable"], codes(tested, "error")) == (False, {"directory_address_refused"})
    for server in ("ldaps://localhost", "ldaps://[::1]", "ldaps://169.254.169.254", "ldaps://0"):
        body = {"settings": employer.body(servers=[server])}
        tested = await admin.call("POST", f"{PATH}/test", body)
        assert codes(tested, "error") == {"directory_address_refused"}, server
    assert told(await employer.at(gateway.http).knock("ada")) == (503, "unavailable")


async def test_the_password_is_nowhere(employer: Employer, door: Gateway) -> None:
    admin, company = await employer.admin(), employer.company
    ada = await employer.sign_in("ada")
    await employer.knock("ada", "wrong")
    answers = [
        await admin.ask("PUT", PATH, employer.body()),
        await admin.ask("GET", PATH),
        await admin.ask("POST", f"{PATH}/test", {}),
        await admin.ask("POST", f"{PATH}/test", {"settings": employer.body()}),
        await admin.ask("GET", "/audit-logs?limit=200"),
        await admin.ask("GET", "/audit-logs/export?format=json"),
        await admin.ask("GET", f"/users/{ada.user}"),
        await ada.ask("GET", "/auth/me"),
    ]
    assert all(answer.is_success for answer in answers)
    found = b"".join(answer.content for answer in answers)
    async with company.system.reader() as reader:
        tenant = await reader.tenant(company.tenant)
        assert tenant is not None
        row = await tenant.people.directory()
    assert row is not None
    assert row.secret
    # The record holds it sealed; what is shown holds not even that.
    assert all(row.secret.encode() not in answer.content for answer in answers)
    found += repr(row).encode()
    found += await left_behind(company)
    assert b"directory.denied" in found
    for secret in (SEARCHER_PASSWORD, PASSWORD):
        for form in forms_of(secret):
            assert form not in found, form
