"""Reading what is of all tenants: which there are, and who may be meant by a login name."""

import time
from typing import Any, Final

import orjson

from store.driver import Document, MongoConnection
from store.keys import KeyRing
from store.mongo import (
    DESTROYED,
    LOGINS,
    MANAGED_TENANTS,
    PLATFORM_DATABASE,
    TENANTS,
)
from store.rows import (
    LoginCandidate,
    ManagedTenantRow,
    TenantRow,
)
from store.sealing import bound_to
from store.tenant_reader import TenantReader

LOGIN_CANDIDATES_MAX: Final = 4
"""Tenants in which one login name is tried; each costs a password check."""
TENANTS_FRESH_S: Final = 2.0
"""How long the list of tenants is believed when somebody asks for one that is not in it."""
TENANTS_OLD_S: Final = 30.0
"""After how long it is read again in any case: word that a tenant is destroyed may have been lost."""


class Reader:
    """The platform's readings, and the door to the tenants'."""

    def __init__(self, connection: MongoConnection, keys: KeyRing) -> None:
        self._connection = connection
        self._keys = keys
        self._platform = connection.database(PLATFORM_DATABASE)
        self._tenants: dict[str, TenantRow] = {}
        self._tenants_read = float("-inf")

    async def tenants(self) -> list[TenantRow]:
        """Every tenant but those that are destroyed, whose keys are forgotten."""
        documents = await self._platform[TENANTS].find({"stage": {"$ne": DESTROYED}}).to_list(None)
        rows = [
            TenantRow(
                id=document["_id"],
                name=document["name"],
                lanes=document["lanes"],
                generation=document["generation"],
                ingest_severity_min=document.get("ingest_severity_min", 4),
                stage=document.get("stage", ""),
            )
            for document in documents
        ]
        for gone in self._tenants.keys() - {row.id for row in rows}:
            self._keys.forget(gone)
        self._tenants = {row.id: row for row in rows}
        self._tenants_read = time.monotonic()
        return rows

    def lanes_of(self, tenant: str) -> int | None:
        """A tenant's number of lanes, as far as it was read; it never changes."""
        row = self._tenants.get(tenant)
        return row.lanes if row else None

    async def tenant_ids(self) -> list[str]:
        """The ids of all tenants, as they were a moment ago."""
        if time.monotonic() - self._tenants_read > TENANTS_FRESH_S:
            await self.tenants()
        return sorted(self._tenants)

    async def tenant(self, tenant: str) -> TenantReader | None:
        """The reader of a tenant; None if there is no such tenant."""
        age_s = time.monotonic() - self._tenants_read
        if age_s > (TENANTS_OLD_S if tenant in self._tenants else TENANTS_FRESH_S):
            await self.tenants()
        if tenant not in self._tenants:
            return None
        return TenantReader(self._connection, self._keys, tenant)

    async def destroyed_tenants(self) -> list[str]:
        """The ids of tenants whose keys are destroyed; their chains stand."""
        found = await self._platform[TENANTS].find({"stage": DESTROYED}, {"_id": 1}).to_list(None)
        return sorted(document["_id"] for document in found)

    async def tenant_stages(self, tenants: list[str]) -> dict[str, str]:
        """What provisioning has taken from tenants (`store.mongo.STAGES`), of those that are there."""
        condition = {"_id": {"$in": tenants}}
        found = await self._platform[TENANTS].find(condition, {"stage": 1}).to_list(None)
        return {document["_id"]: document.get("stage", "") for document in found}

    async def managed_tenants(
        self, platform: str, *, after: str, limit: int
    ) -> list[ManagedTenantRow]:
        """What the platform has of its tenants, by id, from the one after `after`.

        Args:
            platform: the platform's own tenant, by whose key the rows are sealed.
            after: an id, or the empty text.
            limit: how many at most.
        """
        documents = (
            await self._platform[MANAGED_TENANTS]
            .find({"_id": {"$gt": after}})
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        return [await self._managed(platform, document) for document in documents]

    async def managed_statuses(self) -> dict[str, str]:
        """The status of every tenant as it is noted in plain: good for finding which rows to open, and
        not to be believed."""
        found = await self._platform[MANAGED_TENANTS].find({}, {"status": 1}).to_list(None)
        return {document["_id"]: document["status"] for document in found}

    async def managed_tenant(self, platform: str, tenant: str) -> ManagedTenantRow | None:
        """What the platform has of one tenant."""
        document = await self._platform[MANAGED_TENANTS].find_one({"_id": tenant})
        return await self._managed(platform, document) if document else None

    async def _managed(self, platform: str, document: Document) -> ManagedTenantRow:
        cipher = await self._keys.tenant_cipher(platform)
        bound = bound_to("managed_tenant", platform, document["_id"])
        fields: dict[str, Any] = orjson.loads(cipher.open(document["sealed"], bound))
        return ManagedTenantRow(**fields)

    async def logins(self, name: str) -> list[LoginCandidate]:
        """Users who sign in with this name: a username, an e-mail, or username@tenant.

        All meanings count, the one that names its tenant first: or a tenant could take another's
        people their way in by giving such a name to one of its own.
        """
        found: list[LoginCandidate] = []
        username, at, tenant = name.rpartition("@")
        if at:
            tenant = tenant.strip().casefold()
            found = await self._logins(self._keys.root.login_token(username), tenant)
        others = await self._logins(self._keys.root.login_token(name), None)
        return list(dict.fromkeys([*found, *others]))[:LOGIN_CANDIDATES_MAX]

    async def nobody(self) -> None:
        """Take as long as reading a user takes, for a name that nobody has."""
        await self._platform[LOGINS].find_one({"_id": ""})

    async def _logins(self, token: str, tenant: str | None) -> list[LoginCandidate]:
        condition = {"login": token} if tenant is None else {"login": token, "tenant": tenant}
        documents = (
            await self._platform[LOGINS]
            .find(condition)
            .limit(LOGIN_CANDIDATES_MAX)
            .to_list(LOGIN_CANDIDATES_MAX)
        )
        return [LoginCandidate(document["tenant"], document["user"]) for document in documents]

    async def ping(self) -> None:
        """Ask MongoDB for a sign of life.

        Raises:
            pymongo.errors.PyMongoError: it gave none.
        """
        await self._connection.ping()
