"""Signing in and looking up in OpenLDAP."""

import pytest

from actors.protocol.roles import Role
from gateway.directory.directory import Directory
from gateway.directory.people import AccountState, Denial, Denied, DirectoryUser, Group, Level
from gateway.directory.roles import RoleRule
from tests.gateway.directory.conftest import Opener
from tests.gateway.directory.slapd import MANY, MANY_BASE, PASSWORD, SEARCHER, SUFFIX, Place, Slapd

pytestmark = pytest.mark.paced


async def signed_in(directory: Directory, name: str, password: str = PASSWORD) -> DirectoryUser:
    """Sign in; the test fails if nobody is let in."""
    answer = await directory.authenticate(name, password)
    assert isinstance(answer, DirectoryUser), answer
    return answer


async def refusal(directory: Directory, name: str, password: str = PASSWORD) -> Denial:
    """Why somebody is refused; the test fails if he is not."""
    answer = await directory.authenticate(name, password)
    assert isinstance(answer, Denied), answer
    return answer.denial


def names(user: DirectoryUser) -> set[str]:
    """The bare names of a user's groups."""
    return {group.name for group in user.groups}


async def test_a_user_signs_in_by_user_name_and_by_mail_address(
    place: Place, opened: Opener
) -> None:
    place.add_user("ana", displayName="Ana Müller")
    directory = opened(place.settings())
    user = await signed_in(directory, "ana")
    assert (user.username, user.email, user.display_name, user.state) == (
        "ana",
        "ana@corp.test",
        "Ana Müller",
        AccountState.ACTIVE,
    )
    assert await signed_in(directory, "ana@corp.test") == user
    assert await directory.look_up(user.key) == user


@pytest.mark.parametrize("typed", ["ANA LOPEZ", "ana  lopez", " ana lopez ", "Ana Lopez"])
async def test_case_and_spaces_of_a_name_lead_to_one_key(
    place: Place, opened: Opener, typed: str
) -> None:
    place.add_user("ana lopez")
    directory = opened(place.settings())
    assert (await signed_in(directory, typed)).key == (await signed_in(directory, "ana lopez")).key


async def test_the_key_survives_a_new_name(place: Place, opened: Opener) -> None:
    dn = place.add_user("ana")
    directory = opened(place.settings())
    before = await signed_in(directory, "ana")
    place.rename(dn, "uid=maria")
    after = await signed_in(directory, "maria")
    assert (after.key, after.username) == (before.key, "maria")
    assert await refusal(directory, "ana") is Denial.UNKNOWN


async def test_a_wrong_password_and_an_unknown_name_are_refused(
    place: Place, opened: Opener
) -> None:
    place.add_user("ana")
    directory = opened(place.settings())
    assert await refusal(directory, "ana", "wrong") is Denial.WRONG_PASSWORD
    assert await refusal(directory, "ana", PASSWORD.upper()) is Denial.WRONG_PASSWORD
    assert await refusal(directory, "nobody") is Denial.UNKNOWN


async def test_a_user_without_a_password_does_not_sign_in(place: Place, opened: Opener) -> None:
    place.change(place.add_user("ana"), userPassword=[])
    assert await refusal(opened(place.settings()), "ana", "x") is Denial.WRONG_PASSWORD


@pytest.mark.parametrize(
    "typed",
    [
        *("*", "a*", "ana*", "*)(|(cn=*", "ana)(|(uid=*)", "*)(uid=*))(|(uid=*", "(uid=ana)"),
        *("ana\\", "\\2a", "\\61na", "a\\na", "ana,dc=corp", "uid=ana", "ana#", "аna", "ana\u202e"),
    ],
)
async def test_what_would_be_a_filter_is_just_a_name_that_nobody_has(
    place: Place, opened: Opener, typed: str
) -> None:
    place.add_user("ana")
    assert await refusal(opened(place.settings()), typed) is Denial.UNKNOWN


@pytest.mark.parametrize(
    "uid", ["a*", "a(b)c", "back\\slash", "Ünï çødé 名前", "a,b=c+d", "#1", '"q"']
)
async def test_a_name_of_special_characters_finds_its_own_user(
    place: Place, opened: Opener, uid: str
) -> None:
    place.add_user("decoy")
    place.add(
        f"cn=somebody,{place.base}",
        ["inetOrgPerson"],
        uid=uid,
        cn="somebody",
        sn="x",
        userPassword=PASSWORD,
    )
    assert (await signed_in(opened(place.settings()), uid)).username == uid


async def test_two_users_of_one_mail_address_are_both_refused_by_it(
    place: Place, opened: Opener
) -> None:
    place.add_user("ana", mail="soc@corp.test")
    place.add_user("bo", mail="soc@corp.test")
    directory = opened(place.settings())
    assert await refusal(directory, "soc@corp.test") is Denial.AMBIGUOUS
    assert (await signed_in(directory, "ana")).username == "ana"


async def test_groups_within_groups_count_and_a_round_of_them_ends(
    place: Place, opened: Opener
) -> None:
    ana, bo = place.add_user("ana"), place.add_user("bo")
    inner = place.add_group("inner", ana)
    middle = place.add_group("middle", inner)
    outer = place.add_group("outer", middle, bo)
    place.change(inner, member=[ana, outer])
    place.add_group("strangers", bo)
    directory = opened(place.settings())
    assert names(await signed_in(directory, "ana")) == {"inner", "middle", "outer"}
    assert {
        user.username: names(user) async for page in directory.users() for user in page.users
    } == {
        "ana": {"inner", "middle", "outer"},
        "bo": {"inner", "middle", "outer", "strangers"},
    }


async def test_who_is_taken_out_of_a_group_loses_what_it_gave(place: Place, opened: Opener) -> None:
    ana, bo = place.add_user("ana"), place.add_user("bo")
    group = place.add_group("admins", ana, bo)
    rules = (RoleRule(group=group.upper(), role=Role.TENANT_ADMIN),)
    directory = opened(place.settings(roles=rules))
    user = await signed_in(directory, "ana")
    assert directory.role_of(user) is Role.TENANT_ADMIN
    place.change(group, member=bo)
    now = await directory.look_up(user.key)
    assert now is not None
    assert (now.groups, directory.role_of(now)) == ((), None)


async def test_groups_outside_of_the_group_base_give_nothing(place: Place, opened: Opener) -> None:
    ana = place.add_user("ana")
    trusted = place.add(f"ou=trusted,{place.base}", ["organizationalUnit"])
    place.add_group("admins", ana)
    place.add(f"cn=readers,{trusted}", ["groupOfNames"], cn="readers", member=ana)
    directory = opened(place.settings(group_base=trusted))
    expected = (Group(f"cn=readers,{trusted}", "readers"),)
    assert (await signed_in(directory, "ana")).groups == expected
    assert [user.groups async for page in directory.users() for user in page.users] == [expected]


async def test_groups_may_list_user_names(place: Place, opened: Opener) -> None:
    place.add_user("ana")
    place.add(
        f"cn=soc,{place.base}", ["posixGroup"], cn="soc", gidNumber=7, memberUid=["bo", "ana"]
    )
    directory = opened(place.settings(names={"member": "memberUid"}))
    assert names(await signed_in(directory, "ana")) == {"soc"}
    assert [names(user) async for page in directory.users() for user in page.users] == [{"soc"}]


async def test_a_disabled_and_an_expired_account_are_refused_with_the_right_password(
    place: Place, opened: Opener
) -> None:
    place.add_user("expired", shadowExpire=1)
    locked = place.add_user("locked")
    directory = opened(place.settings())
    key = (await signed_in(directory, "locked")).key
    place.change(locked, pwdAccountLockedTime="000001010000Z")
    assert await refusal(directory, "expired") is Denial.EXPIRED
    # Without a password policy that says so, this server lets a locked account bind.
    assert await refusal(directory, "locked") is Denial.DISABLED
    now = await directory.look_up(key)
    assert now is not None
    assert (now.state, now.disabled) == (AccountState.DISABLED, True)


async def test_a_deleted_user_is_gone(place: Place, opened: Opener) -> None:
    dn = place.add_user("ana")
    directory = opened(place.settings())
    key = (await signed_in(directory, "ana")).key
    place.delete(dn)
    assert await directory.look_up(key) is None


async def test_what_the_user_filter_leaves_out_is_not_there(place: Place, opened: Opener) -> None:
    place.add_user("ana", employeeType="staff")
    place.add_user("bo")
    directory = opened(place.settings(user_filter="(&(objectClass=person)(employeeType=staff))"))
    assert (await signed_in(directory, "ana")).username == "ana"
    assert await refusal(directory, "bo") is Denial.UNKNOWN


async def test_two_thousand_users_come_by_pages_although_the_server_gives_a_thousand_at_most(
    slapd: Slapd, opened: Opener
) -> None:
    pages = [page async for page in opened(slapd.settings(MANY_BASE)).users()]
    users = [user for page in pages for user in page.users]
    assert len(pages) == 4
    assert {user.username for user in users} == {f"user{number}" for number in range(MANY)}
    assert len({user.key for user in users}) == MANY
    assert {names(user) == {"all"} for user in users} == {True}


async def test_the_pages_can_be_left_in_the_middle(slapd: Slapd, opened: Opener) -> None:
    directory = opened(slapd.settings(MANY_BASE, page_size=10))
    pages = directory.users()
    assert len((await anext(pages)).users) == 10
    await pages.aclose()  # type: ignore[attr-defined]
    assert (await directory.check())[0].level is Level.OK


async def test_a_key_that_is_none_is_an_error_and_not_a_question(
    slapd: Slapd, opened: Opener
) -> None:
    with pytest.raises(ValueError, match="UUID"):
        await opened(slapd.settings()).look_up("*")


async def test_testing_a_connection_that_works_finds_nothing_wrong(
    place: Place, opened: Opener
) -> None:
    group = place.add_group("soc", place.add_user("ana"))
    rules = (RoleRule(group=group, role=Role.ANALYST), RoleRule(group="SOC", role=Role.VIEWER))
    found = await opened(place.settings(roles=rules)).check()
    assert [(finding.level, finding.code) for finding in found] == [
        (Level.OK, "server"),
        (Level.OK, "users"),
    ]


async def test_testing_a_connection_names_what_is_wrong(place: Place, opened: Opener) -> None:
    place.change(place.add_user("ana"), mail=[])

    async def codes(**changes: object) -> list[str]:
        found = await opened(place.settings(**changes)).check()
        return [finding.code for finding in found if finding.level is not Level.OK]

    rule = RoleRule(group="absent", role=Role.VIEWER)
    assert await codes(roles=(rule,)) == ["no_email", "group_missing"]
    assert await codes(base_dn=f"ou=absent,{SUFFIX}") == ["directory_not_as_set"]
    assert await codes(user_filter="(uid=absent)") == ["no_users", "no_roles"]
    assert await codes(names={"key": "cn"}) == ["no_key", "no_email", "no_roles"]
    assert await codes(bind_password="wrong") == ["directory_bind_refused"]
    assert await codes(bind_dn=f"{SEARCHER},x=y") == ["directory_bind_refused"]
