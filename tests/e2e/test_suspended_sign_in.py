"""Of a suspended tenant nobody comes in by any way, and who shows nothing is told nothing of it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from deploy.local.children import Child
from tests.e2e.clients import Client
from tests.e2e.employers import Employer, refreshed, told
from tests.e2e.platform import platform_of, provisioner, settled
from tests.e2e.system import Company, System
from tests.e2e.test_directory import FAILED, door, employer, place, slapd
from tests.e2e.test_joining import newcomer
from tests.e2e.test_second_factor import POLICY, answer, challenged, client_of, enrol, login

__all__ = ["door", "employer", "place", "slapd"]
pytestmark = pytest.mark.paced

SUSPENDED = (403, "tenant_suspended")


@pytest.fixture(scope="module")
async def worker(system: System) -> AsyncIterator[Child]:
    async with provisioner(system) as child:
        await child.wait_ready()
        yield child


@pytest.fixture
async def admin(system: System, worker: Child) -> Client:
    """An administrator of the platform."""
    return await platform_of(system).admin()


async def suspend(admin: Client, company: Company) -> None:
    """Suspend a company, and wait until it is so."""
    await settled(admin, company.tenant, "active")
    await admin.call("POST", f"/tenants/{company.tenant}/suspend", {})
    await settled(admin, company.tenant, "suspended")


async def resume(admin: Client, company: Company) -> None:
    """Let it in again."""
    await admin.call("POST", f"/tenants/{company.tenant}/resume")
    await settled(admin, company.tenant, "active")


async def test_a_code_of_a_second_factor_opens_no_session_and_is_not_spent(
    admin: Client, company: Company
) -> None:
    ana, name = await company.sign_in("ana"), company.username("ana")
    device, codes = await enrol(ana)
    before = await challenged(ana.http, name)
    await suspend(admin, company)
    after = await challenged(ana.http, name)
    for challenge in (before, after):
        assert told(await answer(ana.http, challenge, codes[0])) == SUSPENDED
        assert told(await answer(ana.http, challenge, "000000")) == FAILED
    assert told(await login(ana.http, name, otp=codes[0])) == SUSPENDED
    await resume(admin, company)
    assert (await answer(ana.http, after, codes[0])).status_code == 200
    assert (await login(ana.http, name, otp=device.code(1))).status_code == 200


async def test_who_must_enrol_comes_in_by_no_restricted_session_either(
    admin: Client, company: Company
) -> None:
    tom = await company.sign_in("tom")
    await enrol(tom)
    await tom.call("PUT", POLICY, {"policy": "required"})
    entered = (await login(tom.http, company.username("ana"))).json()
    assert entered["scope"] == "enrol"
    ana = client_of(tom.http, company.user("ana"), entered)
    await suspend(admin, company)
    assert told(await login(tom.http, company.username("ana"))) == SUSPENDED
    assert told(await ana.ask("GET", "/auth/second-factor")) == (401, "unauthenticated")
    assert (await refreshed(ana)).status_code == 401


async def test_a_user_of_the_directory_is_told_so_after_his_password_only(
    admin: Client, employer: Employer
) -> None:
    ada = await employer.sign_in("ada")
    await suspend(admin, employer.company)
    assert told(await employer.knock("ada")) == SUSPENDED
    assert told(await employer.knock("bea")) == SUSPENDED
    assert told(await employer.knock("ada", "wrong")) == FAILED
    assert (await refreshed(ada)).status_code == 401
    await resume(admin, employer.company)
    assert (await employer.sign_in("ada")).user == ada.user


async def test_nobody_joins_and_an_invitation_is_good_again_afterwards(
    admin: Client, company: Company
) -> None:
    tom = await company.sign_in("tom")
    await tom.call("PUT", "/policies/registration", {"mode": "open"})
    email = f"{uuid4().hex}@example.org"
    made = await tom.call("POST", "/invitations", {"email": email, "role": "viewer"})
    await suspend(admin, company)
    stranger, invited = Client(tom.http), {**newcomer(), "token": made["token"]}
    asked = {"tenant": company.tenant, **newcomer()}
    assert told(await stranger.ask("POST", "/auth/register", asked)) == (403, "forbidden")
    accept = "/auth/invitations/accept"
    assert told(await stranger.ask("POST", accept, invited)) == SUSPENDED
    guessed = {**invited, "token": f"{made['token'][:-4]}AAAA"}
    assert told(await stranger.ask("POST", accept, guessed)) == (404, "not_found")
    await resume(admin, company)
    assert (await stranger.ask("POST", accept, invited)).is_success
