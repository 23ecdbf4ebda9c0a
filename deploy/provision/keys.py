"""The keys of tenants, which live in MongoDB under the root key."""

import os
from contextlib import suppress
from typing import Final

from pymongo.errors import DuplicateKeyError

from deploy.provision.errors import ProvisionError
from store.driver import MongoConnection
from store.errors import SealBroken
from store.keys import TENANT_KEY, RootKey
from store.mongo import PLATFORM_DATABASE, TENANT_KEYS, TENANTS
from store.sealing import KEY_BYTES

WRAPPING_VERSION: Final = 1


async def ensure_tenant_key(connection: MongoConnection, root: RootKey, tenant: str) -> None:
    """Make a tenant's key if the tenant is new.

    Raises:
        ProvisionError: it has one that this root key does not open, or had one and lost it.
    """
    platform = connection.database(PLATFORM_DATABASE)
    # Asked first: a tenant's document is written after its key, so it vouches for that.
    is_known = await platform[TENANTS].find_one({"_id": tenant}) is not None
    collection = platform[TENANT_KEYS]
    if await collection.find_one({"_id": tenant}) is None:
        if is_known:
            raise ProvisionError(
                "tenant_key_lost",
                f"the key of tenant {tenant} is gone, and without it nothing of it can be read",
                f"restore its document in {PLATFORM_DATABASE}.{TENANT_KEYS} from a backup",
            )
        wrapped = root.wrap(TENANT_KEY, tenant, os.urandom(KEY_BYTES))
        # Another provisioner may be first; what it wrote is checked like any other.
        with suppress(DuplicateKeyError):
            await collection.insert_one({"_id": tenant, "v": WRAPPING_VERSION, "wrapped": wrapped})
    held = await collection.find_one({"_id": tenant})
    if held is not None:
        _check_opens(root, TENANT_KEY, tenant, held["wrapped"])


def _check_opens(root: RootKey, purpose: str, name: str, wrapped: bytes) -> None:
    try:
        root.unwrap(purpose, name, wrapped)
    except SealBroken as error:
        raise ProvisionError(
            "wrong_root_key",
            f"the root key does not open the {purpose} {name}: another root key sealed it",
            "put the root key that belongs to this database into the secrets directory",
        ) from error
