"""Reading who belongs to a tenant and as what: its roles, policies, directory, invitations, sign-ins."""

from datetime import UTC, datetime
from typing import Any

import orjson

from store.driver import Database, Document
from store.keys import KeyRing
from store.mongo import DIRECTORY, INVITATIONS, POLICIES, SESSIONS, SETTINGS, TENANT_ROLES
from store.rows import DirectoryRow, InvitationRow, RoleRow, SessionRow
from store.sealing import bound_to


class PeopleReader:
    """Part of one tenant's readings."""

    def __init__(self, database: Database, keys: KeyRing, tenant: str) -> None:
        self._database = database
        self._keys = keys
        self._tenant = tenant

    async def role(self, role: str) -> RoleRow | None:
        """A role of the tenant's own; None if there is none, or no longer."""
        document = await self._database[TENANT_ROLES].find_one({"_id": role, "deleted": False})
        return await self._role_row(document) if document else None

    async def roles(self, *, after: str, limit: int) -> list[RoleRow]:
        """The tenant's own roles by id, from the one after `after`."""
        documents = (
            await self._database[TENANT_ROLES]
            .find({"_id": {"$gt": after}, "deleted": False})
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        return [await self._role_row(document) for document in documents]

    async def _role_row(self, document: Document) -> RoleRow:
        fields = await self._opened("role", document["_id"], document["sealed"])
        return RoleRow(**{**fields, "permissions": tuple(fields["permissions"])})

    async def policy(self, policy: str) -> str | None:
        """What a tenant has decided for itself; None if it has not."""
        document = await self._database[POLICIES].find_one({"_id": policy})
        if document is None:
            return None
        value: str = (await self._opened("policy", policy, document["sealed"]))["value"]
        return value

    async def directory(self) -> DirectoryRow | None:
        """How the tenant's directory is asked; None if there never was one."""
        document = await self._database[SETTINGS].find_one({"_id": DIRECTORY})
        if document is None:
            return None
        return DirectoryRow(**await self._opened("settings", DIRECTORY, document["sealed"]))

    async def invitation(self, invitation: str) -> InvitationRow | None:
        """An invitation that is neither used nor revoked."""
        document = await self._database[INVITATIONS].find_one({"_id": invitation})
        return await self._invitation_row(document) if document else None

    async def invitations(self, *, after: str, limit: int) -> list[InvitationRow]:
        """Invitations by id, from the one after `after`."""
        documents = (
            await self._database[INVITATIONS]
            .find({"_id": {"$gt": after}, "expires": {"$gt": datetime.now(UTC)}})
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        return [await self._invitation_row(document) for document in documents]

    async def _invitation_row(self, document: Document) -> InvitationRow:
        fields = await self._opened("invitation", document["_id"], document["sealed"])
        return InvitationRow(**fields)

    async def sessions_of(self, user: str, *, after: str, limit: int) -> list[SessionRow]:
        """Sign-ins of a user that have neither ended nor expired, by id, from the one after `after`."""
        condition = {"user": user, "_id": {"$gt": after}, "ended": False}
        documents = (
            await self._database[SESSIONS]
            .find({**condition, "expires": {"$gt": datetime.now(UTC)}})
            .sort([("_id", 1)])
            .limit(limit)
            .to_list(limit)
        )
        return [await self._listed_session(document) for document in documents]

    async def _listed_session(self, document: Document) -> SessionRow:
        # Those that were opened before addresses were kept have none.
        sealed = document.get("sealed")
        opened = await self._opened("session", document["_id"], sealed) if sealed else {}
        expires_ms = round(document["expires"].timestamp() * 1000)
        return SessionRow(
            document["_id"], document["user"], expires_ms, False, opened.get("address", "")
        )

    async def _opened(self, what: str, key: str, sealed: bytes) -> dict[str, Any]:
        cipher = await self._keys.tenant_cipher(self._tenant)
        opened = cipher.open(sealed, bound_to(what, self._tenant, key))
        fields: dict[str, Any] = orjson.loads(opened)
        return fields
