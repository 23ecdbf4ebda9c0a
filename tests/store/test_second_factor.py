"""Secrets and policies of second factors in a real MongoDB: sealed, bound to their place, never older."""

from dataclasses import replace

import pytest

from store.driver import Database, MongoConnection
from store.errors import SealBroken
from store.keys import KeyRing
from store.mongo import POLICIES
from store.projections import Projections
from store.rows import SECOND_FACTOR, PolicyRow, SecondFactorRow
from store.tenant_reader import TenantReader
from tests.store.conftest import MakeTenant
from tests.store.test_projections import USER


async def test_a_secret_opens_for_its_owner_and_use_and_tenant_only(
    reader: TenantReader,
    make_tenant: MakeTenant,
    connection: MongoConnection,
    keys: KeyRing,
) -> None:
    sealed = await reader.secrets.sealed("totp", "u_ana/f1", "SECRET")
    assert await reader.secrets.opened("totp", "u_ana/f1", sealed) == "SECRET"
    assert sealed != await reader.secrets.sealed("totp", "u_ana/f1", "SECRET")
    for what, key in (("totp", "u_bob/f1"), ("totp", "u_ana/f2"), ("other", "u_ana/f1")):
        with pytest.raises(SealBroken):
            await reader.secrets.opened(what, key, sealed)
    elsewhere = TenantReader(connection, keys, await make_tenant())
    with pytest.raises(SealBroken):
        await elsewhere.secrets.opened("totp", "u_ana/f1", sealed)


async def test_a_user_row_with_second_factors_comes_back(
    projections: Projections, reader: TenantReader
) -> None:
    active, begun = SecondFactorRow("f1", "SEALED", ("1", "2")), SecondFactorRow("f2", "SEALED")
    row = replace(USER, second_factor=active, begun=begun)
    await projections.save_user(row)
    assert await reader.user("u_ana") == row


async def test_an_older_policy_never_replaces_a_newer_one_and_it_is_sealed(
    projections: Projections, reader: TenantReader, database: Database
) -> None:
    assert await reader.people.policy(SECOND_FACTOR) is None
    await projections.save_policy(PolicyRow(SECOND_FACTOR, "required", 4))
    await projections.save_policy(PolicyRow(SECOND_FACTOR, "optional", 3))
    assert await reader.people.policy(SECOND_FACTOR) == "required"
    assert "required" not in repr(await database[POLICIES].find({}).to_list(None))
