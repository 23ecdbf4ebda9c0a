"""What the platform has of its tenants, and that nothing of a destroyed one is kept in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from store.driver import MongoConnection
from store.errors import KeyMissing, SealBroken
from store.keys import KeyRing
from store.mongo import DESTROYED, MANAGED_TENANTS, PLATFORM_DATABASE, TENANT_KEYS, TENANTS
from store.projections import Projections
from store.reader import Reader
from store.rows import ManagedTenantRow
from tests.store.conftest import MakeTenant


@pytest.fixture
async def row(connection: MongoConnection) -> AsyncIterator[ManagedTenantRow]:
    """A tenant that nobody else has; taken away again, since whoever lists them could not open it."""
    first = {"username": "boss", "password_hash": "canary-hash"}
    profile = {"name": "canary-name"}
    tenant = f"m{uuid4().hex[:12]}"
    yield ManagedTenantRow(tenant, "creating", 1, None, profile, first, 5)
    await connection.database(PLATFORM_DATABASE)[MANAGED_TENANTS].delete_one({"_id": tenant})


async def test_a_tenant_is_read_as_it_was_written_and_its_facts_are_sealed(
    connection: MongoConnection, keys: KeyRing, tenant: str, row: ManagedTenantRow
) -> None:
    await Projections(connection, keys, tenant).save_managed_tenant(row)
    reader = Reader(connection, keys)
    assert await reader.managed_tenant(tenant, row.tenant) == row
    kept = await connection.database(PLATFORM_DATABASE)[MANAGED_TENANTS].find_one(
        {"_id": row.tenant}
    )
    assert kept is not None
    assert set(kept) == {"_id", "status", "sealed", "applied"}
    assert b"canary" not in kept["sealed"]
    assert "canary-hash" not in repr(row)


async def test_a_newer_row_stays(
    connection: MongoConnection, keys: KeyRing, tenant: str, row: ManagedTenantRow
) -> None:
    newer, older = replace(row, applied=7), replace(row, status="active", applied=6)
    projections = Projections(connection, keys, tenant)
    for each in (newer, older, older):
        await projections.save_managed_tenant(each)
    assert await Reader(connection, keys).managed_tenant(tenant, newer.tenant) == newer


async def test_what_another_tenants_key_has_sealed_is_no_row_of_the_platform(
    connection: MongoConnection, keys: KeyRing, make_tenant: MakeTenant, row: ManagedTenantRow
) -> None:
    one, other = await make_tenant(), await make_tenant()
    await Projections(connection, keys, one).save_managed_tenant(row)
    with pytest.raises(SealBroken):
        await Reader(connection, keys).managed_tenant(other, row.tenant)


async def test_the_keys_of_a_destroyed_tenant_leave_the_memory(
    connection: MongoConnection, provisioner: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    platform = provisioner.database(PLATFORM_DATABASE)
    document = {"_id": tenant, "name": "x", "lanes": 1, "generation": 1, "ingest_severity_min": 4}
    await platform[TENANTS].insert_one(document)
    reader = Reader(connection, keys)
    assert tenant in {row.id for row in await reader.tenants()}
    key = await keys.current_room_key(tenant, "room", 1)
    assert await keys.room_key(tenant, "room", key.epoch) is key

    await platform[TENANTS].update_one({"_id": tenant}, {"$set": {"stage": DESTROYED}})
    await platform[TENANT_KEYS].delete_one({"_id": tenant})
    assert tenant not in {row.id for row in await reader.tenants()}
    assert tenant in await reader.destroyed_tenants()
    assert await reader.tenant(tenant) is None
    with pytest.raises(KeyMissing):
        await keys.tenant_cipher(tenant)
    with pytest.raises(KeyMissing):
        await keys.room_key(tenant, "room", key.epoch)
