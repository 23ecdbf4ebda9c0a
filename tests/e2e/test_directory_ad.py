"""Signing in with Active Directory: Samba's domain controller behind the system that runs."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.employers import Employer, refreshed, told
from tests.e2e.system import Company, Gateway
from tests.e2e.test_directory import ENDED, FAILED, door
from tests.gateway.directory.authority import Authority
from tests.gateway.directory.samba import (
    DISABLED_ACCOUNT,
    PASSWORD,
    Domain,
    Unit,
    running_samba,
)

__all__ = ["door"]
pytestmark = [pytest.mark.paced, pytest.mark.slow]


@pytest.fixture(scope="module")
async def domain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Domain]:
    """One domain for these tests."""
    authority = Authority("the authority of the tests")
    async with running_samba(tmp_path_factory.mktemp("samba"), authority) as running:
        yield running


@pytest.fixture
def unit(domain: Domain) -> Iterator[Unit]:
    """A part of the domain that no other test knows."""
    made = Unit(domain)
    yield made
    made.close()


@pytest.fixture
async def employer(company: Company, door: Gateway, unit: Unit) -> Employer:
    """A company with its domain: ada is an analyst by a group in a group."""
    inner = unit.add_group("inner", unit.add_user("ada"))
    rules = [{"group": unit.add_group("analysts", inner), "role": "analyst"}]
    made = Employer(company, door.http, unit.settings(roles=rules), PASSWORD)
    await made.install()
    return made


async def test_every_form_of_a_name_signs_in_the_same_user(employer: Employer, unit: Unit) -> None:
    account = unit.name("ada")
    forms = (
        *(account, f"{account}@people.test", f"{account}@mail.test", f"{account}@corp.test"),
        f"CORP\\{account}",
    )
    clients = [await employer.sign_in(form) for form in forms]
    assert len({client.user for client in clients}) == 1
    me = await clients[0].call("GET", "/auth/me")
    assert (me["username"], me["role"]) == (account, "analyst")
    tested = await (await employer.admin()).call("POST", "/tenants/current/directory/test", {})
    assert tested["usable"] is True


async def test_a_disabled_account_is_refused_at_sign_in_and_at_refresh(
    employer: Employer, unit: Unit
) -> None:
    account = unit.name("ada")
    client = await employer.sign_in(f"{account}@people.test")
    assert (await refreshed(client)).is_success
    unit.change(f"CN={account},{unit.base}", userAccountControl=DISABLED_ACCOUNT)
    assert told(await refreshed(client)) == ENDED
    assert told(await employer.knock(account)) == FAILED
    assert told(await employer.knock(account, "")) == FAILED


async def test_who_left_the_group_has_no_role_from_the_next_refresh_on(
    employer: Employer, unit: Unit
) -> None:
    account = unit.name("ada")
    client = await employer.sign_in(account)
    unit.change(f"CN={unit.name('inner')},{unit.base}", member=[])
    assert told(await refreshed(client)) == ENDED
    assert told(await employer.knock(account)) == FAILED
