"""Who signs in under a name: looked up over all tenants, by tokens that tell nothing."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from store.driver import MongoConnection
from store.keys import KeyRing
from store.mongo import LOGINS, PLATFORM_DATABASE
from store.projections import Projections
from store.reader import LOGIN_CANDIDATES_MAX, Reader
from store.rows import LoginCandidate, UserRow
from tests.store.conftest import MakeTenant

AddUser = Callable[[str, str, str | None], Awaitable[LoginCandidate]]


@pytest.fixture
def unique() -> str:
    """A part of names that no other test uses."""
    return uuid4().hex[:12]


@pytest.fixture
def platform(connection: MongoConnection, keys: KeyRing) -> Reader:
    """The reader that sign-in uses."""
    return Reader(connection, keys)


@pytest.fixture
def add_user(connection: MongoConnection, keys: KeyRing) -> AddUser:
    """Makes a user in a tenant: username and e-mail."""

    async def add(tenant: str, username: str, email: str | None) -> LoginCandidate:
        user = f"u_{uuid4().hex}"
        row = UserRow(user, username, email, username, "analyst", False, "hash")
        await Projections(connection, keys, tenant).save_user(row)
        return LoginCandidate(tenant, user)

    return add


async def test_a_user_is_found_by_every_name_it_has(
    platform: Reader, add_user: AddUser, tenant: str, unique: str
) -> None:
    ana = await add_user(tenant, f"Ana.{unique}", f"ana@{unique}.example")
    for name in (
        f"Ana.{unique}",
        f" aNA.{unique.upper()} ",
        f"ANA@{unique}.Example",
        f"ana.{unique}@{tenant}",
        f"Ana.{unique}@{tenant.upper()} ",
    ):
        assert await platform.logins(name) == [ana], name


async def test_a_released_name_leads_nowhere_unless_it_is_another_users_by_now(
    platform: Reader,
    add_user: AddUser,
    connection: MongoConnection,
    keys: KeyRing,
    tenant: str,
    unique: str,
) -> None:
    projections = Projections(connection, keys, tenant)
    name, email = f"ana.{unique}", f"ana@{unique}.example"
    ana = await add_user(tenant, name, email)
    await projections.release_logins(ana.user, [email.upper()])
    assert await platform.logins(email) == []
    assert await platform.logins(name) == [ana]
    bob = await add_user(tenant, f"bob.{unique}", email)
    await projections.release_logins(ana.user, [email])
    assert await platform.logins(email) == [bob]


async def test_the_row_of_a_deleted_user_takes_no_name(
    platform: Reader,
    add_user: AddUser,
    connection: MongoConnection,
    keys: KeyRing,
    tenant: str,
    unique: str,
) -> None:
    bob = await add_user(tenant, f"bob.{unique}", None)
    gone = UserRow(f"u_{unique}", f"BOB.{unique}", None, "Bob", "analyst", False, "hash", True)
    await Projections(connection, keys, tenant).save_user(gone)
    assert await platform.logins(f"bob.{unique}") == [bob]


async def test_a_name_that_nobody_has_finds_nobody(
    platform: Reader, add_user: AddUser, tenant: str, unique: str
) -> None:
    await add_user(tenant, f"ana{unique}", None)
    for name in (f"ana{unique[:-1]}", f"ana{unique}@other", f"@{tenant}", "", "@"):
        assert await platform.logins(name) == [], name


async def test_one_name_in_two_tenants_finds_both_and_with_the_tenant_one(
    platform: Reader, add_user: AddUser, make_tenant: MakeTenant, unique: str
) -> None:
    tenants = [await make_tenant() for _ in range(2)]
    users = [await add_user(tenant, f"ana{unique}", None) for tenant in tenants]
    found = await platform.logins(f"ana{unique}")
    assert sorted(found, key=_tenant_of) == sorted(users, key=_tenant_of)
    for tenant, user in zip(tenants, users, strict=True):
        assert await platform.logins(f"ana{unique}@{tenant}") == [user]


async def test_no_tenant_takes_another_tenants_people_their_way_in(
    platform: Reader, add_user: AddUser, make_tenant: MakeTenant, unique: str
) -> None:
    home = await make_tenant()
    ana = await add_user(home, f"ana{unique}", None)
    rival = await add_user(await make_tenant(), f"ana{unique}@{home}", None)
    assert await platform.logins(f"ana{unique}@{home}") == [ana, rival]


async def test_no_more_users_than_a_few_are_tried_for_one_name(
    platform: Reader, add_user: AddUser, make_tenant: MakeTenant, unique: str
) -> None:
    for _ in range(LOGIN_CANDIDATES_MAX + 1):
        await add_user(await make_tenant(), f"ana{unique}", None)
    assert len(await platform.logins(f"ana{unique}")) == LOGIN_CANDIDATES_MAX


async def test_the_index_of_logins_tells_no_name(
    add_user: AddUser, admin: MongoConnection, tenant: str, unique: str
) -> None:
    await add_user(tenant, f"ana{unique}", f"ana@{unique}.example")
    logins = admin.database(PLATFORM_DATABASE)[LOGINS]
    stored = await logins.find({"tenant": tenant}).to_list(None)
    assert len(stored) == 2
    assert unique not in repr(stored)


def _tenant_of(candidate: LoginCandidate) -> str:
    return candidate.tenant
