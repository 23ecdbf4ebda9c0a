"""The rows of NATS credentials: sealed, of one tenant each, found when something is due."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from store.driver import MongoConnection
from store.errors import SealBroken
from store.keys import KeyRing
from store.mongo import NATS_CREDENTIALS, PLATFORM_DATABASE
from store.nats_credentials import (
    NatsCredentials,
    due_nats_credentials,
    forget_nats_credentials,
    note_nats_use,
)
from store.projections import Projections
from store.rows import NatsCredentialRow
from tests.store.conftest import MakeTenant


@pytest.fixture(autouse=True)
async def nothing_is_left(provisioner: MongoConnection) -> AsyncIterator[None]:
    """Rows of tenants that are not really there would keep a provisioner busy."""
    yield
    collection = provisioner.database(PLATFORM_DATABASE)[NATS_CREDENTIALS]
    await collection.delete_many({"tenant": {"$regex": "^s[0-9a-f]{12}$"}})


def row_of(tenant: str, credential: str = "nat_1", **more: object) -> NatsCredentialRow:
    """A credential that waits for its token."""
    row = NatsCredentialRow(
        tenant=tenant,
        credential=credential,
        name="canary-name",
        public_key=f"U-{tenant}-{credential}",
        sources=("qradar",),
        status="pending",
        created_ms=1,
        created_by="usr_tom",
        expires_ms=None,
        replaces=None,
        replaced_by=None,
        until_ms=None,
        revoked_ms=None,
        revoked_by=None,
        token="canary-token",
        applied=5,
    )
    return replace(row, **more)  # type: ignore[arg-type]


async def save(connection: MongoConnection, keys: KeyRing, *rows: NatsCredentialRow) -> None:
    """Write rows."""
    for row in rows:
        await Projections(connection, keys, row.tenant).save_nats_credential(row)


async def test_a_credential_is_read_as_it_was_written_and_its_facts_are_sealed(
    connection: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    row = row_of(tenant)
    await save(connection, keys, row)
    assert await NatsCredentials(connection, keys, tenant).one("nat_1") == row
    collection = connection.database(PLATFORM_DATABASE)[NATS_CREDENTIALS]
    kept = await collection.find_one({"_id": f"{tenant}/nat_1"})
    assert kept is not None
    assert set(kept) == {"_id", "tenant", "due", "sealed", "applied"}
    assert b"canary" not in kept["sealed"]
    assert "canary-token" not in repr(row)


async def test_a_tenant_sees_its_own_only_and_page_by_page(
    connection: MongoConnection, keys: KeyRing, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    mine = [row_of(one, f"nat_{number}") for number in range(3)]
    await save(connection, keys, *mine, row_of(other, "nat_x"))
    credentials = NatsCredentials(connection, keys, one)
    assert await credentials.page(after="", limit=2) == mine[:2]
    assert await credentials.page(after="nat_1", limit=2) == mine[2:]
    assert await credentials.page(after="", limit=0) == mine
    assert await credentials.one("nat_x") is None


async def test_a_row_that_is_put_in_another_tenants_place_is_not_believed(
    connection: MongoConnection, keys: KeyRing, make_tenant: MakeTenant
) -> None:
    one, other = await make_tenant(), await make_tenant()
    await save(connection, keys, row_of(one))
    collection = connection.database(PLATFORM_DATABASE)[NATS_CREDENTIALS]
    kept = await collection.find_one({"_id": f"{one}/nat_1"})
    assert kept is not None
    await collection.insert_one({**kept, "_id": f"{other}/nat_1", "tenant": other})
    with pytest.raises(SealBroken):
        await NatsCredentials(connection, keys, other).one("nat_1")
    await collection.delete_one({"_id": f"{other}/nat_1"})


async def test_a_newer_row_stays(connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
    newer, older = row_of(tenant, status="revoking", applied=7), row_of(tenant, applied=6)
    await save(connection, keys, newer, older, older)
    assert await NatsCredentials(connection, keys, tenant).one("nat_1") == newer


async def test_what_is_due_is_found_and_nothing_else(
    connection: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    await save(
        connection,
        keys,
        row_of(tenant, "nat_pending"),
        row_of(tenant, "nat_revoking", status="revoking"),
        row_of(tenant, "nat_active", status="active"),
        row_of(tenant, "nat_soon", status="active", until_ms=1_000),
        row_of(tenant, "nat_revoked", status="revoked", until_ms=1_000),
    )

    async def due(now_ms: int) -> set[str]:
        found = await due_nats_credentials(connection, now_ms, 10_000)
        return {name for owner, name in found if owner == tenant}

    assert await due(999) == {"nat_pending", "nat_revoking"}
    assert await due(1_000) == {"nat_pending", "nat_revoking", "nat_soon"}


async def test_servers_refuse_what_is_revoked_as_long_as_it_would_be_good(
    connection: MongoConnection, keys: KeyRing, tenant: str
) -> None:
    await save(
        connection,
        keys,
        row_of(tenant, "nat_active", status="active"),
        row_of(tenant, "nat_revoking", status="revoking"),
        row_of(tenant, "nat_revoked", status="revoked", expires_ms=2_000),
        row_of(tenant, "nat_over", status="revoked", expires_ms=1_000),
    )
    refused = await NatsCredentials(connection, keys, tenant).refused_keys(1_000)
    assert refused == {f"U-{tenant}-nat_revoking", f"U-{tenant}-nat_revoked"}


async def test_the_last_use_is_the_latest_and_its_tenants_own(
    connection: MongoConnection,
    provisioner: MongoConnection,
    keys: KeyRing,
    make_tenant: MakeTenant,
) -> None:
    one, other = await make_tenant(), await make_tenant()
    for at_ms in (5, 9, 7):
        await note_nats_use(provisioner, one, f"U-{one}", at_ms)
    wanted = [f"U-{one}", "U-unused"]
    assert await NatsCredentials(provisioner, keys, one).last_uses(wanted) == {f"U-{one}": 9}
    assert await NatsCredentials(provisioner, keys, other).last_uses(wanted) == {}


async def test_of_a_tenant_that_ends_nothing_is_kept(
    connection: MongoConnection,
    provisioner: MongoConnection,
    keys: KeyRing,
    make_tenant: MakeTenant,
) -> None:
    one, other = await make_tenant(), await make_tenant()
    await save(connection, keys, row_of(one), row_of(other))
    await note_nats_use(provisioner, one, f"U-{one}", 5)
    await forget_nats_credentials(provisioner, one)
    assert await NatsCredentials(connection, keys, one).page(after="", limit=0) == []
    assert await NatsCredentials(provisioner, keys, one).last_uses([f"U-{one}"]) == {}
    assert await NatsCredentials(connection, keys, other).page(after="", limit=0) != []
