"""Signing in and looking up in Active Directory: Samba's domain controller."""

from collections.abc import Iterator

import pytest

from actors.protocol.roles import Role
from gateway.directory.directory import Directory
from gateway.directory.people import AccountState, Denial, Denied, DirectoryUser, Level
from gateway.directory.roles import RoleRule
from tests.gateway.directory.conftest import Opener
from tests.gateway.directory.samba import (
    DISABLED_ACCOUNT,
    LOCKED_AFTER,
    PASSWORD,
    SUFFIX,
    Domain,
    Unit,
)

pytestmark = [pytest.mark.paced, pytest.mark.slow]

IN_1970 = 116_444_736_000_000_000


@pytest.fixture
def unit(domain: Domain) -> Iterator[Unit]:
    """A part of the domain that no other test knows."""
    made = Unit(domain)
    yield made
    made.close()


async def signed_in(directory: Directory, name: str, password: str = PASSWORD) -> DirectoryUser:
    """Sign in; the test fails if nobody is let in."""
    answer = await directory.authenticate(name, password)
    assert isinstance(answer, DirectoryUser), answer
    return answer


async def refusal(directory: Directory, name: str, password: str = PASSWORD) -> Denied:
    """Why somebody is refused; the test fails if he is not."""
    answer = await directory.authenticate(name, password)
    assert isinstance(answer, Denied), answer
    return answer


def names(user: DirectoryUser) -> set[str]:
    """The bare names of a user's groups, without what makes them this test's."""
    return {group.name.rpartition("-")[0] or group.name for group in user.groups}


async def test_every_form_of_a_name_leads_to_one_key(unit: Unit, opened: Opener) -> None:
    unit.add_user("ana")
    account = unit.name("ana")
    directory = opened(unit.settings())
    user = await signed_in(directory, account)
    assert (user.username, user.email, user.display_name, user.state) == (
        account,
        f"{account}@mail.test",
        "Ana",
        AccountState.ACTIVE,
    )
    for typed in (
        account.upper(),
        f"{account}@mail.test",
        f"{account}@people.test",
        f"{account}@CORP.test",
        f"CORP\\{account}",
        f"corp\\{account.upper()}",
    ):
        assert await signed_in(directory, typed) == user, typed
    assert await directory.look_up(user.key) == user


@pytest.mark.parametrize(
    "typed", ["OTHER\\{}", "\\{}", "CORP\\", "CORP\\\\{}", "{}@other.test", "{}*"]
)
async def test_other_domains_and_broken_forms_are_refused(
    unit: Unit, opened: Opener, typed: str
) -> None:
    unit.add_user("ana")
    answer = await refusal(opened(unit.settings()), typed.format(unit.name("ana")))
    assert answer.denial in (Denial.BAD_INPUT, Denial.UNKNOWN)


async def test_a_principal_name_that_is_a_colleagues_mail_address_lets_neither_in(
    unit: Unit, opened: Opener
) -> None:
    unit.add_user("ana")
    unit.add_user("bo", mail=f"{unit.name('ana')}@people.test")
    answer = await refusal(opened(unit.settings()), f"{unit.name('ana')}@people.test")
    assert answer.denial is Denial.AMBIGUOUS


async def test_the_key_survives_a_new_name(unit: Unit, opened: Opener) -> None:
    dn = unit.add_user("ana")
    directory = opened(unit.settings())
    before = await signed_in(directory, unit.name("ana"))
    unit.change(dn, sAMAccountName=unit.name("maria"))
    unit.rename(dn, "CN=somebody else")
    after = await signed_in(directory, unit.name("maria"))
    assert (after.key, after.username) == (before.key, unit.name("maria"))


async def test_groups_within_groups_and_the_primary_group_count(unit: Unit, opened: Opener) -> None:
    ana = unit.add_user("ana")
    inner = unit.add_group("inner", ana)
    outer = unit.add_group("outer", unit.add_group("middle", inner))
    unit.change(inner, member=[ana, outer])
    everyone = f"CN=Domain Users,CN=Users,{SUFFIX}"
    unit.add_group("by-primary", everyone)
    directory = opened(unit.settings())
    assert names(await signed_in(directory, unit.name("ana"))) == {
        *("inner", "middle", "outer", "by-primary"),
    }
    whole = opened(unit.settings(group_base=""))
    assert "Domain Users" in {
        group.name for group in (await signed_in(whole, unit.name("ana"))).groups
    }


@pytest.mark.parametrize("group_base", ["unit", "domain"])
async def test_the_pages_say_of_everybody_what_signing_in_says(
    unit: Unit, opened: Opener, group_base: str
) -> None:
    users = [unit.add_user(f"u{number}") for number in range(12)]
    unit.add_group("outer", unit.add_group("inner", *users[:6]), users[7])
    base = {} if group_base == "unit" else {"group_base": ""}
    directory = opened(unit.settings(page_size=5, **base))
    pages = [page async for page in directory.users()]
    assert len(pages) > 2
    listed = {user.username: user for page in pages for user in page.users}
    for number in range(12):
        alone = await signed_in(directory, unit.name(f"u{number}"))
        one = listed[alone.username]
        assert (one.key, set(one.groups), one.state) == (alone.key, set(alone.groups), alone.state)


async def test_who_is_taken_out_of_a_group_loses_what_it_gave(unit: Unit, opened: Opener) -> None:
    group = unit.add_group("soc", unit.add_user("ana"))
    directory = opened(unit.settings(roles=(RoleRule(group=group, role=Role.ANALYST),)))
    user = await signed_in(directory, unit.name("ana"))
    assert directory.role_of(user) is Role.ANALYST
    unit.change(group, member=[])
    now = await directory.look_up(user.key)
    assert now is not None
    assert directory.role_of(now) is None


async def test_a_disabled_account_is_told_from_a_wrong_password(unit: Unit, opened: Opener) -> None:
    dn = unit.add_user("ana")
    directory = opened(unit.settings())
    key = (await signed_in(directory, unit.name("ana"))).key
    assert await refusal(directory, unit.name("ana"), "wrong") == Denied(
        Denial.WRONG_PASSWORD, "49 data 52e"
    )
    unit.change(dn, userAccountControl=DISABLED_ACCOUNT)
    assert await refusal(directory, unit.name("ana")) == Denied(Denial.DISABLED, "49 data 533")
    now = await directory.look_up(key)
    assert now is not None
    assert (now.state, now.disabled) == (AccountState.DISABLED, True)
    unit.delete(dn)
    assert await directory.look_up(key) is None


async def test_expired_and_to_be_changed_have_findings_of_their_own(
    unit: Unit, opened: Opener
) -> None:
    unit.add_user("expired", accountExpires=IN_1970)
    unit.add_user("renew", pwdLastSet=0)
    directory = opened(unit.settings())
    assert (await refusal(directory, unit.name("expired"))).denial is Denial.EXPIRED
    assert (await refusal(directory, unit.name("renew"))).denial is Denial.MUST_CHANGE_PASSWORD
    listed = {user.username: user async for page in directory.users() for user in page.users}
    assert listed[unit.name("expired")].state is AccountState.EXPIRED
    assert listed[unit.name("renew")].state is AccountState.MUST_CHANGE_PASSWORD


async def test_a_locked_account_is_refused_and_its_sessions_may_go_on(
    unit: Unit, opened: Opener
) -> None:
    unit.add_user("ana")
    directory = opened(unit.settings())
    key = (await signed_in(directory, unit.name("ana"))).key
    for _ in range(LOCKED_AFTER):
        await refusal(directory, unit.name("ana"), "wrong")
    assert (await refusal(directory, unit.name("ana"))).denial is Denial.LOCKED
    now = await directory.look_up(key)
    assert now is not None
    assert (now.state, now.disabled) == (AccountState.LOCKED, False)


async def test_the_domain_is_asked_over_starttls_too(unit: Unit, opened: Opener) -> None:
    unit.add_user("ana")
    url = f"ldap://{unit.domain.address}"
    directory = opened(unit.settings(tls="starttls", servers=(url,)))
    assert (await signed_in(directory, unit.name("ana"))).username == unit.name("ana")


async def test_without_tls_the_domain_refuses_even_the_searching_account(
    unit: Unit, opened: Opener
) -> None:
    url = f"ldap://{unit.domain.address}"
    found = await opened(unit.settings(tls="plain", allow_plain=True, servers=(url,))).check()
    assert [(finding.level, finding.code) for finding in found] == [
        (Level.WARNING, "plain"),
        (Level.ERROR, "directory_bind_refused"),
    ]
    assert "result 8" in found[1].text


async def test_testing_the_connection_finds_a_group_by_its_dn(unit: Unit, opened: Opener) -> None:
    rules = (
        RoleRule(group=unit.add_group("soc", unit.add_user("ana")), role=Role.ANALYST),
        RoleRule(group=f"CN=absent,{unit.base}", role=Role.VIEWER),
    )
    found = await opened(unit.settings(roles=rules, base_dn=unit.base)).check()
    assert [finding.code for finding in found] == ["server", "users", "group_missing"]
