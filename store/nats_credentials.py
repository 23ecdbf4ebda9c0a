"""The rows of NATS credentials, sealed with their tenant's key, and when each was last used.

They are in one collection for all tenants, so that the provisioner sees with one look whether anything is
to be done. What stands there in plain is good for finding a row, and is not believed.
"""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import orjson
from pymongo.errors import DuplicateKeyError

from store.driver import Document, MongoConnection
from store.keys import KeyRing
from store.mongo import NATS_CREDENTIALS, NATS_USES, PLATFORM_DATABASE
from store.rows import NatsCredentialRow
from store.sealing import bound_to

SEALED_AS = "nats_credential"


class NatsCredentials:
    """One tenant's credentials."""

    def __init__(self, connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
        self._platform = connection.database(PLATFORM_DATABASE)
        self._keys = keys
        self._tenant = tenant

    async def page(self, *, after: str, limit: int) -> list[NatsCredentialRow]:
        """Credentials by id, from the one after `after`; with a limit of 0 all of them."""
        # An id is a token, so all of a tenant's keys are between these two.
        within = {"$gt": f"{self._tenant}/{after}", "$lt": f"{self._tenant}0"}
        found = self._platform[NATS_CREDENTIALS].find({"_id": within})
        documents = await found.sort([("_id", 1)]).limit(limit).to_list(limit or None)
        return [await self._row(document) for document in documents]

    async def one(self, credential: str) -> NatsCredentialRow | None:
        """A credential."""
        condition = {"_id": f"{self._tenant}/{credential}"}
        document = await self._platform[NATS_CREDENTIALS].find_one(condition)
        return await self._row(document) if document else None

    async def refused_keys(self, now_ms: int) -> frozenset[str]:
        """The public keys that servers must refuse: revoked ones whose time is not over anyway."""
        rows = await self.page(after="", limit=0)
        return frozenset(
            row.public_key
            for row in rows
            if row.status in ("revoking", "revoked")
            and (row.expires_ms is None or row.expires_ms > now_ms)
        )

    async def last_uses(self, public_keys: Iterable[str]) -> dict[str, int]:
        """When keys were last used, in Unix milliseconds, of those that were."""
        condition = {"_id": {"$in": list(public_keys)}, "tenant": self._tenant}
        found = await self._platform[NATS_USES].find(condition).to_list(None)
        return {document["_id"]: document["at"] for document in found}

    async def _row(self, document: Document) -> NatsCredentialRow:
        cipher = await self._keys.tenant_cipher(self._tenant)
        bound = bound_to(SEALED_AS, self._tenant, document["_id"])
        fields: dict[str, Any] = orjson.loads(cipher.open(document["sealed"], bound))
        return NatsCredentialRow(**{**fields, "sources": tuple(fields["sources"])})


async def save_nats_credential(
    connection: MongoConnection, keys: KeyRing, row: NatsCredentialRow
) -> None:
    """Write a credential, unless a newer row is there."""
    key = f"{row.tenant}/{row.credential}"
    cipher = await keys.tenant_cipher(row.tenant)
    sealed = cipher.seal(orjson.dumps(asdict(row)), bound_to(SEALED_AS, row.tenant, key))
    due = {} if row.due_ms is None else {"due": row.due_ms}
    fields = {"tenant": row.tenant, "sealed": sealed, "applied": row.applied, **due}
    condition = {"_id": key, "applied": {"$not": {"$gt": row.applied}}}
    collection = connection.database(PLATFORM_DATABASE)[NATS_CREDENTIALS]
    try:
        await collection.replace_one(condition, fields, upsert=True)
    except DuplicateKeyError:
        # What stands there is newer, or somebody has written the first row in the same moment.
        await collection.replace_one(condition, fields)


async def due_nats_credentials(
    connection: MongoConnection, now_ms: int, limit: int
) -> list[tuple[str, str]]:
    """Tenant and id of credentials about which the provisioner has something to do."""
    collection = connection.database(PLATFORM_DATABASE)[NATS_CREDENTIALS]
    found = collection.find({"due": {"$lte": now_ms}}, {"_id": 1}).limit(limit)
    names = [document["_id"].split("/", 1) for document in await found.to_list(limit)]
    return [(tenant, credential) for tenant, credential in names]


async def note_nats_use(
    connection: MongoConnection, tenant: str, public_key: str, at_ms: int
) -> None:
    """Note when a key was used, unless a later time is noted."""
    collection = connection.database(PLATFORM_DATABASE)[NATS_USES]
    change = {"$max": {"at": at_ms}, "$set": {"tenant": tenant}}
    await collection.update_one({"_id": public_key}, change, upsert=True)


async def forget_nats_credentials(connection: MongoConnection, tenant: str) -> None:
    """Remove what is known of a tenant's credentials."""
    platform = connection.database(PLATFORM_DATABASE)
    for name in (NATS_CREDENTIALS, NATS_USES):
        await platform[name].delete_many({"tenant": tenant})
