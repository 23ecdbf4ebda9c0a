"""Provisioning in order: the platform once, then each tenant; then the running processes are told.

Every step is "make it if it is missing", so a run that was cut short is finished by the next. A
tenant's document comes after its key, account and collections: whoever finds it can rely on those.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError
from pymongo.errors import DuplicateKeyError, OperationFailure

from actors.protocol.ids import RESERVED_TENANTS, TENANT_PATTERN, is_tenant_id
from actors.protocol.limits import LANES_DEFAULT, NAME_CHARS_MAX, SHARDS
from actors.protocol.subjects import TENANTS_CHANGED
from deploy.provision.births import BIRTHS, ensure_room_stream
from deploy.provision.errors import ProvisionError
from deploy.provision.keys import ensure_tenant_key
from deploy.provision.mongo_access import (
    ensure_platform_collections,
    ensure_tenant_collections,
    ensure_users,
    url_for,
)
from deploy.provision.nats_accounts import push_account
from deploy.provision.nats_identity import (
    core_account_token,
    ensure_all_credentials,
    ensure_credentials,
    ensure_tenant_credentials,
    tenant_account_token,
)
from deploy.provision.nats_streams import ensure_stream, ingest_config, shared_configs
from deploy.provision.secrets import NatsUser, Secrets
from deploy.provision.token_keys import ensure_token_keys
from store.driver import Collection, Document, MongoConnection
from store.errors import StoreError
from store.keys import KeyRing, RootKey
from store.mongo import DESTROYED, PLATFORM_DATABASE, TENANTS
from store.nats_credentials import NatsCredentials
from store.rows import TenantRow

LANES_MAX: Final = SHARDS
CONNECT_TIMEOUT_S: Final = 5
ONE_TENANTS_TROUBLE: Final = (OperationFailure, APIError, StoreError)
"""What is refused for one tenant and may be granted for the next. A server that is away is not among it:
every tenant would wait for it in vain."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a provisioner works with: the secrets and its connections.

    Attributes:
        secrets: where keys and credentials are.
        mongo: signed in as the user `provisioner`.
        system: signed in to NATS as `system`.
        core: signed in to NATS as `provisioner`.
        replicas: copies of every stream; 3 in a cluster.
        reach: is told of every step at which being killed makes a difference.
    """

    secrets: Secrets
    mongo: MongoConnection
    system: Client
    core: Client
    replicas: int = 1
    reach: Callable[[str], None] = lambda _: None

    @property
    def tenants(self) -> Collection:
        """The documents of all tenants."""
        return self.mongo.database(PLATFORM_DATABASE)[TENANTS]

    def root_key(self) -> RootKey:
        """The key above all tenant keys."""
        return RootKey(self.secrets.root_key())


@asynccontextmanager
async def open_platform(
    secrets: Secrets,
    nats_url: str,
    mongo_url: str,
    *,
    replicas: int = 1,
    reach: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Platform]:
    """Connect as the provisioner.

    Args:
        secrets: where keys and credentials are.
        nats_url: a server that runs with the configuration made from these secrets.
        mongo_url: the deployment; credentials in it are replaced by the provisioner's.
        replicas: copies of every stream.
        reach: is told of every step at which being killed makes a difference.
    """
    async with AsyncExitStack() as stack:
        system = await _connected(nats_url, secrets, "system")
        stack.push_async_callback(system.close)
        core = await _connected(nats_url, secrets, "provisioner")
        stack.push_async_callback(core.close)
        mongo = MongoConnection(
            url_for(mongo_url, "provisioner", secrets), app_name="wardroom-provisioner"
        )
        stack.push_async_callback(mongo.close)
        yield Platform(secrets, mongo, system, core, replicas, reach)


async def provision_platform(platform: Platform, admin: MongoConnection) -> list[TenantRow]:
    """Make or repair everything: database users, shared streams, keys, and every known tenant. One that
    can't be finished holds up no other.

    Args:
        platform: the provisioner's connections; its MongoDB user need not exist yet.
        admin: a connection to MongoDB that may manage users.

    Returns:
        Every tenant.

    Raises:
        ProvisionError: something is in the way that only a person can decide about; `tenants_unfinished`:
            only of the tenants that it names, all others are done.
    """
    ensure_all_credentials(platform.secrets)
    await ensure_users(admin, platform.secrets)
    await ensure_platform_collections(platform.mongo)
    await ensure_token_keys(platform.mongo, platform.root_key(), int(time()))
    await push_account(platform.system, core_account_token(platform.secrets, int(time())))
    js = platform.core.jetstream()
    for config in shared_configs(platform.replicas):
        await ensure_stream(js, config)
    return await _ensure_tenants(platform, await list_tenants(platform.mongo))


async def _ensure_tenants(platform: Platform, rows: list[TenantRow]) -> list[TenantRow]:
    done: list[TenantRow] = []
    unfinished: list[str] = []
    for row in rows:
        try:
            done.append(await _ensure_tenant(platform, row))
        except ProvisionError as error:
            unfinished.append(f"{row.id}: {error}")
        except ONE_TENANTS_TROUBLE as error:
            # Without its text, which may quote documents.
            code = getattr(error, "code", None) or getattr(error, "err_code", None) or ""
            unfinished.append(f"{row.id}: {type(error).__name__} {code}".rstrip())
    if unfinished:
        raise ProvisionError(
            "tenants_unfinished",
            f"{len(done)} tenants are done, {len(unfinished)} are not: {' | '.join(unfinished)}",
            "see to what is named, then run this again, or './wardroom tenant create <id>' for one of them",
        )
    return done


async def create_tenant(
    platform: Platform, tenant: str, name: str, lanes: int = LANES_DEFAULT
) -> TenantRow:
    """Make a tenant, or repair the one of this id; running processes are told either way.

    Args:
        platform: the provisioner's connections.
        tenant: its id; part of subjects and of its database's name, fixed for ever.
        name: for people; a tenant that is there keeps its own.
        lanes: partitions of its ROOM stream; a tenant that is there keeps its own.

    Raises:
        ProvisionError: an argument is out of bounds, or something is in the way.
    """
    _check_arguments(tenant, name, lanes)
    if tenant in RESERVED_TENANTS and await platform.tenants.find_one({"_id": tenant}) is None:
        raise ProvisionError(
            "reserved_tenant_id",
            f"{tenant!r} is a word of the API's own paths",
            "choose another id",
        )
    return await _ensure_tenant(platform, TenantRow(tenant, name, lanes, generation=0))


async def list_tenants(mongo: MongoConnection) -> list[TenantRow]:
    """Every tenant but those that are destroyed, by id."""
    tenants = mongo.database(PLATFORM_DATABASE)[TENANTS]
    living = tenants.find({"stage": {"$ne": DESTROYED}}).sort([("_id", 1)])
    return [_tenant_row(row) async for row in living]


def tenant_credentials_file(secrets: Secrets, tenant: str) -> Path:
    """The file with which a tenant's external systems sign in to NATS; written if it is missing."""
    return ensure_tenant_credentials(secrets, tenant)


async def _connected(url: str, secrets: Secrets, user: NatsUser) -> Client:
    client = Client()
    try:
        await client.connect(
            url,
            user_credentials=str(ensure_credentials(secrets, user)),
            name=f"wardroom-{user}",
            connect_timeout=CONNECT_TIMEOUT_S,
            allow_reconnect=False,
        )
    except (OSError, TimeoutError, nats.errors.Error) as error:
        await client.close()
        raise ProvisionError(
            "nats_unreachable",
            f"NATS does not let the user {user} in at {url}: {error}",
            "see that the server runs, with the configuration made from these secrets",
        ) from error
    return client


async def _ensure_tenant(platform: Platform, wanted: TenantRow) -> TenantRow:
    tenant = wanted.id
    stage = await stage_of(platform, tenant)
    if stage == DESTROYED:
        raise ProvisionError(
            "tenant_destroyed",
            f"tenant {tenant} was deleted, and its keys are destroyed",
            "choose another id: its chain stands, and nobody else's records may follow in it",
        )
    await ensure_tenant_key(platform.mongo, platform.root_key(), tenant)
    platform.reach("tenant_key_made")
    await push_account_of_stage(platform, tenant, stage)
    ensure_tenant_credentials(platform.secrets, tenant)
    platform.reach("tenant_account_made")
    await ensure_tenant_collections(platform.mongo, tenant)
    await _ensure_document(platform.tenants, wanted)
    platform.reach("tenant_document_made")
    js = platform.core.jetstream()
    await ensure_stream(js, ingest_config(tenant, platform.replicas))
    document = await ensure_room_stream(js, platform.tenants, tenant, platform.replicas)
    platform.reach("tenant_streams_made")
    await tell_of_tenants(platform, tenant)
    return _tenant_row(document)


async def push_account_of_stage(platform: Platform, tenant: str, stage: str) -> None:
    """Make the servers know a tenant's account as it shall be; `stage` is the tenant's as last read."""
    pushed, wanted = None, (stage, await _refused_keys(platform, tenant))
    while pushed != wanted and wanted[0] != DESTROYED:
        await _push_tenant_account(platform, tenant, wanted[1], closed=bool(wanted[0]))
        # Whoever suspends or revokes notes it before he tells the servers: if they were told otherwise
        # in between, it is seen here.
        present = (await stage_of(platform, tenant), await _refused_keys(platform, tenant))
        pushed, wanted = wanted, present


async def stage_of(platform: Platform, tenant: str) -> str:
    """What has been taken from a tenant so far; the empty text if nothing, or if there is none."""
    document = await platform.tenants.find_one({"_id": tenant}, {"stage": 1})
    return str((document or {}).get("stage", ""))


async def push_tenant_account(platform: Platform, tenant: str, *, closed: bool) -> None:
    """Make the servers know a tenant's account; `closed`: nobody is let in, and who is in is cut off."""
    await _push_tenant_account(
        platform, tenant, await _refused_keys(platform, tenant), closed=closed
    )


async def _push_tenant_account(
    platform: Platform, tenant: str, refused: frozenset[str], *, closed: bool
) -> None:
    now_s = int(time())
    token = tenant_account_token(platform.secrets, tenant, now_s, closed=closed, refused=refused)
    await push_account(platform.system, token)


async def _refused_keys(platform: Platform, tenant: str) -> frozenset[str]:
    keys = KeyRing(platform.mongo, platform.root_key())
    return await NatsCredentials(platform.mongo, keys, tenant).refused_keys(int(time() * 1_000))


async def tell_of_tenants(platform: Platform, tenant: str) -> None:
    """Have every process look at the tenants again."""
    await platform.core.publish(TENANTS_CHANGED, tenant.encode())
    # Twice, because nats-py 2.16 writes the ping of a flush ahead of what waits to be written.
    await platform.core.flush()
    await platform.core.flush()


async def _ensure_document(tenants: Collection, wanted: TenantRow) -> None:
    document: Document = {
        "_id": wanted.id,
        "name": wanted.name,
        "lanes": wanted.lanes,
        "generation": 0,
        BIRTHS: 0,
        "ingest_severity_min": wanted.ingest_severity_min,
    }
    # If it is there already, what it says was fixed at its birth.
    with suppress(DuplicateKeyError):
        await tenants.insert_one(document)


def _tenant_row(document: Document) -> TenantRow:
    return TenantRow(
        id=document["_id"],
        name=document["name"],
        lanes=document["lanes"],
        generation=document["generation"],
        ingest_severity_min=document["ingest_severity_min"],
        stage=document.get("stage", ""),
    )


def _check_arguments(tenant: str, name: str, lanes: int) -> None:
    if not is_tenant_id(tenant):
        raise ProvisionError(
            "bad_tenant_id", f"{tenant!r} can't name a tenant", f"match {TENANT_PATTERN}"
        )
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise ProvisionError(
            "bad_tenant_name",
            f"a tenant's name has 1 to {NAME_CHARS_MAX} characters, not {len(name)}",
            "give a shorter one that is not empty",
        )
    if not 1 <= lanes <= LANES_MAX:
        raise ProvisionError(
            "bad_lanes", f"{lanes} lanes are out of bounds", f"choose 1 to {LANES_MAX}"
        )
