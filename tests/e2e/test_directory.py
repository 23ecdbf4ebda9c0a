"""Signing in with the tenant's directory: OpenLDAP's server behind the system that runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.process import LOOPBACK, free_port
from tests.e2e.clients import Client
from tests.e2e.employers import Employer, refreshed, told
from tests.e2e.system import PASSWORD as LOCAL_PASSWORD
from tests.e2e.system import Company, Gateway, System
from tests.gateway.directory.authority import Authority
from tests.gateway.directory.slapd import PASSWORD, Place, Slapd, running_slapd

pytestmark = pytest.mark.paced

ON_LOOPBACK = {"WARDROOM_DIRECTORY_LOOPBACK": "true"}
LOCKED = "000001010000Z"
"""pwdAccountLockedTime of an account that only an administrator opens."""
FAILED = (401, "login_failed")
ENDED = (401, "session_ended")


@pytest.fixture(scope="module")
async def slapd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Slapd]:
    """One OpenLDAP server for these tests."""
    authority = Authority("the authority of the tests")
    async with running_slapd(tmp_path_factory.mktemp("slapd"), authority) as running:
        yield running


@pytest.fixture(scope="module")
async def door(system: System) -> AsyncIterator[Gateway]:
    """A gateway that may ask directories of this machine, and looks after nobody by itself."""
    async with system.another_gateway(**ON_LOOPBACK, WARDROOM_DIRECTORY_SYNC_S="86400") as gateway:
        yield gateway


@pytest.fixture
def place(slapd: Slapd) -> Iterator[Place]:
    """A branch of the server that no other test knows."""
    made = Place(slapd)
    yield made
    made.close()


@pytest.fixture
async def employer(company: Company, door: Gateway, place: Place) -> Employer:
    """A company with its directory: nested groups of analysts and of administrators."""
    people = {name: place.add_user(name) for name in ("ada", "bea", "cleo", "nobody-yet")}
    inner = place.add_group("inner", people["ada"], people["bea"])
    analysts = place.add_group("analysts", inner)
    chiefs = place.add_group("chiefs", people["cleo"])
    rules = [
        {"group": analysts, "role": "analyst"},
        {"group": chiefs, "role": "tenant_admin"},
    ]
    made = Employer(company, door.http, place.settings(roles=rules), PASSWORD)
    await made.install()
    return made


async def test_a_first_sign_in_makes_the_user_with_the_role_of_his_groups(
    employer: Employer,
) -> None:
    roles = {}
    for name in ("ada", "cleo"):
        client = await employer.sign_in(name)
        me = await client.call("GET", "/auth/me")
        assert (me["username"], me["email"]) == (name, f"{name}@corp.test")
        roles[name] = me["role"]
        seen = await employer.view(client.user)
        assert (seen["source"], seen["disabled"], seen["suspended"]) == ("directory", False, False)
    # ada is in a group of a group.
    assert roles == {"ada": "analyst", "cleo": "tenant_admin"}


async def test_every_name_of_somebody_leads_to_the_same_user_and_many_at_once_make_one(
    employer: Employer,
) -> None:
    names = ("ada", "ADA", "ada@corp.test", " ada", "ada", "ada@CORP.test")
    clients = await asyncio.gather(*(employer.sign_in(name) for name in names))
    assert len({client.user for client in clients}) == 1
    users = await (await employer.admin()).call("GET", "/users?limit=200")
    assert [item["username"] for item in users["items"]].count("ada") == 1


async def test_who_is_not_let_in_is_told_nothing_of_why(employer: Employer, place: Place) -> None:
    place.add_user("expired", shadowExpire=1)
    place.change(place.add_user("locked"), pwdAccountLockedTime=LOCKED)
    wrong = [("ada", "wrong"), ("ada", ""), ("ada", " "), ("ada", PASSWORD.upper())]
    refused = ["nobody-yet", "expired", "locked", "stranger", "nobody-yet@corp.test"]
    injected = ["*", "a*", "*)(|(uid=*", "ada)(|(uid=*)", "\\61da", f"uid=ada,{place.base}"]
    injected += ["ada*", "ada\u202e", "ada\n", "(uid=ada)", "ada,dc=corp"]
    answers = [await employer.knock(name, password) for name, password in wrong]
    answers += [await employer.knock(name) for name in (*refused, *injected)]
    answers.append(await employer.knock("stranger", "x"))
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (401, answers[0].text),
    }
    assert told(answers[0]) == FAILED
    users = await (await employer.admin()).call("GET", "/users?limit=200")
    assert {item["source"] for item in users["items"]} == {"local"}


async def test_a_disabled_user_is_refused_at_sign_in_and_at_refresh(
    employer: Employer, place: Place
) -> None:
    client = await employer.sign_in("ada")
    assert (await refreshed(client)).is_success
    place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=LOCKED)
    assert told(await refreshed(client)) == ENDED
    # What he has still in his hands is good for nothing either.
    assert (await client.ask("GET", "/auth/me")).status_code == 401
    assert told(await employer.knock("ada")) == FAILED
    assert (await employer.view(client.user))["suspended"] is True
    place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=[])
    again = await employer.sign_in("ada")
    assert again.user == client.user
    assert (await employer.view(client.user))["suspended"] is False


async def test_who_was_removed_or_lost_his_groups_is_refused_at_refresh(
    employer: Employer, place: Place
) -> None:
    ada, cleo = await employer.sign_in("ada"), await employer.sign_in("cleo")
    place.delete(f"uid=ada,{place.base}")
    place.change(f"cn=chiefs,{place.base}", member=f"uid=nobody-yet,{place.base}")
    for client in (ada, cleo):
        assert told(await refreshed(client)) == ENDED
    assert told(await employer.knock("ada")) == told(await employer.knock("cleo")) == FAILED


async def test_another_role_counts_from_the_next_refresh_on(
    employer: Employer, place: Place
) -> None:
    cleo = await employer.sign_in("cleo")
    place.change(f"cn=chiefs,{place.base}", member=f"uid=nobody-yet,{place.base}")
    place.change(f"cn=inner,{place.base}", member=f"uid=cleo,{place.base}")
    assert told(await refreshed(cleo)) == ENDED
    assert (await cleo.ask("GET", "/users")).status_code == 401
    again = await employer.sign_in("cleo")
    assert again.user == cleo.user
    assert (await again.call("GET", "/auth/me"))["role"] == "analyst"
    assert (await again.ask("GET", "/users")).status_code == 403


async def test_an_administrators_word_counts_more_than_the_directorys(
    employer: Employer, place: Place
) -> None:
    ada, bea = await employer.sign_in("ada"), await employer.sign_in("bea")
    admin = await employer.admin()
    await admin.call("POST", f"/users/{ada.user}/disable", {"reason": "on leave"})
    await admin.call("DELETE", f"/users/{bea.user}")
    for name, client in (("ada", ada), ("bea", bea)):
        assert told(await employer.knock(name)) == FAILED
        assert told(await refreshed(client)) == ENDED
    place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=LOCKED)
    place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=[])
    assert told(await employer.knock("ada")) == FAILED
    await admin.call("POST", f"/users/{ada.user}/enable")
    assert (await employer.sign_in("ada")).user == ada.user


async def test_a_local_user_is_not_taken_over_by_a_namesake(
    employer: Employer, place: Place
) -> None:
    company = employer.company
    by_name, by_mail = company.username("ana"), company.email("bob")
    chiefs = [place.add_user(by_name, mail="x@corp.test"), place.add_user("new", mail=by_mail)]
    place.change(f"cn=chiefs,{place.base}", member=chiefs)
    for name in (by_name, by_mail, "x@corp.test"):
        assert told(await employer.knock(name)) == FAILED, name
    # Who has another's e-mail is himself, without it: by his mail nobody could keep him out.
    me = await (await employer.sign_in("new")).call("GET", "/auth/me")
    assert (me["username"], me["email"]) == ("new", None)
    assert told(await employer.knock(by_mail)) == FAILED
    for name in ("ana", "bob"):
        local = await Client.sign_in(employer.http, company.username(name), LOCAL_PASSWORD)
        assert local.user == company.user(name)
        assert (await local.call("GET", "/auth/me"))["role"] == "analyst"
    # Nor while the local one is kept out.
    admin = await employer.admin()
    await admin.call("POST", f"/users/{company.user('ana')}/disable", {})
    assert told(await employer.knock(by_name)) == FAILED


async def test_what_the_directory_keeps_is_not_changed_here(employer: Employer) -> None:
    ada, admin = await employer.sign_in("ada"), await employer.admin()
    for client, method, path, body in (
        (admin, "PATCH", f"/users/{ada.user}", {"role": "tenant_admin"}),
        (admin, "POST", f"/users/{ada.user}/password", {"password": "a local password"}),
        (ada, "PATCH", "/auth/me", {"email": "other@corp.test"}),
        (ada, "POST", "/auth/password", {"old_password": PASSWORD, "password": "a new password"}),
    ):
        assert told(await client.ask(method, path, body)) == (409, "conflict"), path
    assert told(await employer.knock("ada", "a local password")) == FAILED


async def test_while_the_directory_is_down_nobody_is_let_in_and_nobody_thrown_out(
    employer: Employer,
) -> None:
    ada = await employer.sign_in("ada")
    down = [f"ldaps://{LOOPBACK}:{free_port()}"]
    admin = await employer.install(servers=down)
    for name, password in (("ada", PASSWORD), ("ada", "wrong"), ("stranger", "x")):
        assert told(await employer.knock(name, password)) == (503, "unavailable")
    assert told(await refreshed(ada)) == (503, "unavailable")
    assert (await ada.ask("GET", "/auth/me")).is_success
    # Local people do not need it.
    assert (await admin.ask("GET", "/auth/me")).is_success
    assert (await refreshed(admin)).is_success
    await employer.install()
    assert (await refreshed(ada)).is_success
    assert (await employer.view(ada.user))["suspended"] is False


async def test_tries_that_nobody_could_answer_are_not_counted(
    system: System, employer: Employer
) -> None:
    strict = {**ON_LOOPBACK, "WARDROOM_LOGIN_FAILURES_ACCOUNT": "2"}
    async with system.another_gateway(**strict) as gateway:
        here = employer.at(gateway.http)
        await here.install(servers=[f"ldaps://{LOOPBACK}:{free_port()}"])
        for _ in range(4):
            assert told(await here.knock("ada")) == (503, "unavailable")
        await here.install()
        assert (await here.knock("ada")).is_success
        wrong = [told(await here.knock("ada", "wrong")) for _ in range(4)]
        assert wrong[:2] == [FAILED] * 2
        assert (429, "too_many") in wrong


async def test_while_a_directory_is_down_local_passwords_are_not_guessed_any_longer_than_else(
    system: System, employer: Employer, other_company: Company
) -> None:
    strict = {**ON_LOOPBACK, "WARDROOM_LOGIN_FAILURES_ACCOUNT": "2"}
    strict["WARDROOM_DIRECTORY_TENANT"] = employer.company.tenant
    await employer.install(servers=[f"ldaps://{LOOPBACK}:{free_port()}"])
    credentials = {"username": other_company.username("ana"), "password": "wrong"}
    async with system.another_gateway(**strict) as gateway:
        anybody = Client(gateway.http)
        answers = [told(await anybody.ask("POST", "/auth/login", credentials)) for _ in range(4)]
    assert answers[:2] == [(503, "unavailable")] * 2
    assert (429, "too_many") in answers


async def test_without_its_tenant_a_name_is_shown_to_no_directory_but_the_operators_choice(
    system: System, employer: Employer
) -> None:
    credentials = {"username": "ada@corp.test", "password": PASSWORD}
    for _ in range(2):
        stranger = await Client(employer.http).ask("POST", "/auth/login", credentials)
        assert told(stranger) == FAILED
        await employer.sign_in("ada")
    chosen = {**ON_LOOPBACK, "WARDROOM_DIRECTORY_TENANT": employer.company.tenant}
    async with system.another_gateway(**chosen) as gateway:
        for name in ("ada", "ada@corp.test"):
            client = await Client.sign_in(gateway.http, name, PASSWORD)
            me = await client.call("GET", "/auth/me")
            assert (me["tenant"], me["username"]) == (employer.company.tenant, "ada")


async def test_a_directory_speaks_for_its_own_tenant_only(
    employer: Employer, other_company: Company
) -> None:
    credentials = {"username": f"ada@{other_company.tenant}", "password": PASSWORD}
    answer = await Client(employer.http).ask("POST", "/auth/login", credentials)
    assert told(answer) == FAILED
