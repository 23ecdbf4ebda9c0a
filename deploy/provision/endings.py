"""What is taken from a tenant: for a while, or for ever. Every step may be done again.

How far it went stands in the tenant's document before the first step and after the last, so that a run
that was cut short is finished, or undone, by the next.
"""

from contextlib import suppress
from time import time

from nats.js.errors import NotFoundError

from actors.protocol.subjects import ingest_stream, room_stream
from deploy.provision.nats_accounts import delete_account
from deploy.provision.nats_identity import deletion_token
from deploy.provision.tenants import Platform, push_tenant_account, tell_of_tenants
from store.mongo import (
    DESTROYED,
    LOGINS,
    PLATFORM_DATABASE,
    SUSPENDED,
    SUSPENDING,
    TENANT_KEYS,
)
from store.nats_credentials import forget_nats_credentials


async def begin_suspension(platform: Platform, tenant: str) -> None:
    """Refuse a tenant's systems from now on; what they had handed over before is dealt with."""
    await _set_stage(platform, tenant, SUSPENDING)
    await push_tenant_account(platform, tenant, closed=True)
    platform.reach("tenant_account_closed")


async def end_suspension(platform: Platform, tenant: str) -> None:
    """Let a tenant's systems in again; its people are let in before."""
    await push_tenant_account(platform, tenant, closed=False)
    await _set_stage(platform, tenant, "")


async def note_suspended(platform: Platform, tenant: str) -> None:
    """Say that everybody is out."""
    await _set_stage(platform, tenant, SUSPENDED)


async def destroy(platform: Platform, tenant: str) -> None:
    """Take a tenant's account, streams, names and keys away: what it wrote can't be opened any more.

    Its chains stay, and verify as headers. The streams go because they hold commands that no tenant key
    seals; wrapped keys in backups go when the backups do.

    Raises:
        ProvisionError, pymongo.errors.PyMongoError, nats.errors.Error: it is not all done.
    """
    await _set_stage(platform, tenant, DESTROYED)
    await tell_of_tenants(platform, tenant)
    platform.reach("destruction_noted")
    await delete_account(platform.system, deletion_token(platform.secrets, tenant, int(time())))
    js = platform.core.jetstream()
    for stream in (ingest_stream(tenant), room_stream(tenant)):
        with suppress(NotFoundError):
            await js.delete_stream(stream)
    platform.reach("streams_deleted")
    database = platform.mongo.database(PLATFORM_DATABASE)
    await database[LOGINS].delete_many({"tenant": tenant})
    await database[TENANT_KEYS].delete_one({"_id": tenant})
    platform.reach("key_destroyed")
    await forget_nats_credentials(platform.mongo, tenant)
    platform.secrets.forget_tenant(tenant)
    # Again: whoever looked between the first word and the end of the key may have it in memory.
    await tell_of_tenants(platform, tenant)


async def _set_stage(platform: Platform, tenant: str, stage: str) -> None:
    change = {"$set": {"stage": stage}} if stage else {"$unset": {"stage": ""}}
    await platform.tenants.update_one({"_id": tenant, "stage": {"$ne": DESTROYED}}, change)
