"""Projections: everything but the chain. Each can be made anew from it, carries the seq it has
applied, and is never overwritten by an older one."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from store.chain import Cursor, Head
from store.driver import MongoConnection
from store.keys import KeyRing
from store.mongo import (
    DEAD_LETTERS,
    DIRECTORY,
    DUPLICATE_KEY,
    EVENTS,
    IDENTITY_PROVIDER,
    INVITATIONS,
    LANES,
    LOGINS,
    MANAGED_TENANTS,
    PLATFORM_DATABASE,
    POLICIES,
    ROOMS,
    SESSIONS,
    SETTINGS,
    TENANT_ROLES,
    USERS,
    tenant_database,
)
from store.nats_credentials import save_nats_credential
from store.rows import (
    DirectoryRow,
    IdentityProviderRow,
    InvitationRow,
    ManagedTenantRow,
    NatsCredentialRow,
    PolicyRow,
    RoleRow,
    RoomRow,
    SessionRow,
    Snapshot,
    UserRow,
)
from store.sealing import bound_to


class Projections:
    """The projections of one tenant, for their writer."""

    def __init__(self, connection: MongoConnection, keys: KeyRing, tenant: str) -> None:
        self._database = connection.database(tenant_database(tenant))
        self._platform = connection.database(PLATFORM_DATABASE)
        self._connection = connection
        self._keys = keys
        self.tenant = tenant

    async def save_room(self, row: RoomRow, state: bytes) -> None:
        """Write a room's row and its actor's state as of `row.applied`."""
        # Sealed whole: the plain fields are there to be searched, not to be believed.
        fields = asdict(row)
        sealed = await self._sealed("row", row.room, fields)
        await self._advance(
            row.room,
            row.applied,
            {
                "kind": row.kind,
                "status": row.status,
                "members": list(row.members),
                "open_to": list(row.open_to),
                "clearance": row.clearance,
                "sealed": sealed,
                "state": await self._sealed_state(row.room, row.applied, state),
            },
        )

    async def save_state(self, room: str, snapshot: Snapshot) -> None:
        """Write an actor's state alone."""
        sealed = await self._sealed_state(room, snapshot.applied, snapshot.state)
        await self._advance(room, snapshot.applied, {"state": sealed})

    async def _advance(self, room: str, applied: int, fields: dict[str, Any]) -> None:
        condition = {"_id": room, "applied": {"$not": {"$gte": applied}}}
        change = {"$set": {**fields, "applied": applied}}
        try:
            await self._database[ROOMS].update_one(condition, change, upsert=True)
        except DuplicateKeyError:
            # What stands there is as new or newer, or a head was noted there a moment ago.
            await self._database[ROOMS].update_one(condition, change)

    async def save_heads(self, heads: dict[str, Head]) -> None:
        """Note where the heads of rooms are: a chain that later ends before its head was cut."""
        changes = [
            UpdateOne(
                {"_id": room, "head": {"$not": {"$gte": head.seq}}},
                {"$set": {"head": head.seq, "head_hash": head.hash}},
                # The tenant's own chain may have no row yet, and its end counts most.
                upsert=True,
            )
            for room, head in heads.items()
        ]
        if not changes:
            return
        try:
            await self._database[ROOMS].bulk_write(changes, ordered=False)
        except BulkWriteError as error:
            details = error.details or {}
            failures = details.get("writeErrors", ())
            # A duplicate key means that somebody has noted a later head.
            if details.get("writeConcernErrors") or any(
                failure.get("code") != DUPLICATE_KEY for failure in failures
            ):
                raise

    async def snapshot(self, room: str) -> Snapshot | None:
        """The last saved state of an actor."""
        document = await self._database[ROOMS].find_one({"_id": room}, {"applied": 1, "state": 1})
        if document is None or "state" not in document:
            return None
        cipher = await self._keys.tenant_cipher(self.tenant)
        applied: int = document["applied"]
        bound = bound_to("state", self.tenant, f"{room}|{applied}")
        return Snapshot(applied, cipher.open(document["state"], bound))

    async def save_user(self, row: UserRow) -> None:
        """Write a user and the names he signs in with, unless a newer row is there: an owner that was
        overtaken must not let in again whom another has disabled."""
        root = self._keys.root
        sealed = await self._sealed("user", row.user, asdict(row))
        # Names are free when their user is deleted, and the index wants something that nobody shares.
        login = f"deleted {row.user}" if row.deleted else root.login_token(row.username)
        fields = {"login": login, "sealed": sealed, "deleted": row.deleted, "applied": row.applied}
        condition = {"_id": row.user, "applied": {"$not": {"$gt": row.applied}}}
        try:
            await self._database[USERS].replace_one(condition, fields, upsert=True)
        except DuplicateKeyError:
            if await self._database[USERS].find_one(
                {"_id": row.user, "applied": {"$gt": row.applied}}
            ):
                return
            # Somebody has written the first row in the same moment.
            await self._database[USERS].replace_one(condition, fields)
        if row.deleted or row.pending:
            # Who waits to be approved must not stand between others and their sign-in.
            return
        for name in filter(None, (row.username, row.email)):
            token = root.login_token(name)
            key = f"{token}/{self.tenant}"
            await self._platform[LOGINS].replace_one(
                {"_id": key},
                {"_id": key, "login": token, "tenant": self.tenant, "user": row.user},
                upsert=True,
            )

    async def release_logins(self, user: str, names: Iterable[str]) -> None:
        """Have names lead no longer to a user; where they lead to another one by now, they stay."""
        for name in names:
            key = f"{self._keys.root.login_token(name)}/{self.tenant}"
            await self._platform[LOGINS].delete_one({"_id": key, "user": user})

    async def save_directory(self, row: DirectoryRow) -> None:
        """Write how a tenant's directory is asked, unless a newer row is there."""
        sealed = await self._sealed("settings", DIRECTORY, asdict(row))
        await self._replace_older(SETTINGS, DIRECTORY, {"sealed": sealed, "applied": row.applied})

    async def save_identity_provider(self, row: IdentityProviderRow) -> None:
        """Write at which identity provider people sign in, unless a newer row is there."""
        sealed = await self._sealed("settings", IDENTITY_PROVIDER, asdict(row))
        fields = {"sealed": sealed, "applied": row.applied}
        await self._replace_older(SETTINGS, IDENTITY_PROVIDER, fields)

    async def save_role(self, row: RoleRow) -> None:
        """Write a role of the tenant's own, unless a newer row is there: what it no longer permits must
        not come back. One that is deleted stays as such, for the same reason."""
        sealed = await self._sealed("role", row.role, asdict(row))
        fields = {"sealed": sealed, "deleted": row.deleted, "applied": row.applied}
        await self._replace_older(TENANT_ROLES, row.role, fields)

    async def save_policy(self, row: PolicyRow) -> None:
        """Write what a tenant has decided, unless a newer decision is there."""
        sealed = await self._sealed("policy", row.policy, asdict(row))
        fields = {"sealed": sealed, "applied": row.applied}
        await self._replace_older(POLICIES, row.policy, fields)

    async def _replace_older(self, collection: str, key: str, fields: dict[str, Any]) -> None:
        condition = {"_id": key, "applied": {"$not": {"$gt": fields["applied"]}}}
        try:
            await self._database[collection].replace_one(condition, fields, upsert=True)
        except DuplicateKeyError:
            # What stands there is newer, or was written in the same moment.
            await self._database[collection].replace_one(condition, fields)

    async def save_invitation(self, row: InvitationRow) -> None:
        """Write an invitation. Whether it is good for anything is decided by the tenant's actor."""
        fields = {
            "sealed": await self._sealed("invitation", row.invitation, asdict(row)),
            "expires": datetime.fromtimestamp(row.expires_ms / 1000, UTC),
        }
        condition = {"_id": row.invitation}
        await self._database[INVITATIONS].replace_one(condition, fields, upsert=True)

    async def forget_invitation(self, invitation: str) -> None:
        """Take an invitation away that was used or revoked."""
        await self._database[INVITATIONS].delete_one({"_id": invitation})

    async def save_managed_tenant(self, row: ManagedTenantRow) -> None:
        """Write what the platform has of a tenant, unless a newer row is there."""
        fields = {
            # What the provisioner looks for; the rest is for nobody who only has the database.
            "status": row.status,
            "sealed": await self._sealed("managed_tenant", row.tenant, asdict(row)),
            "applied": row.applied,
        }
        condition = {"_id": row.tenant, "applied": {"$not": {"$gt": row.applied}}}
        try:
            await self._platform[MANAGED_TENANTS].replace_one(condition, fields, upsert=True)
        except DuplicateKeyError:
            # What stands there is newer, or somebody has written the first row in the same moment.
            await self._platform[MANAGED_TENANTS].replace_one(condition, fields)

    async def save_nats_credential(self, row: NatsCredentialRow) -> None:
        """Write a NATS credential, unless a newer row is there."""
        await save_nats_credential(self._connection, self._keys, row)

    async def save_session(self, row: SessionRow) -> None:
        """Write a new sign-in. One that is there stays: an owner that was overtaken, or the replay of
        a chain, must not bring an ended session back to life."""
        await self._database[SESSIONS].update_one(
            {"_id": row.session},
            {
                "$setOnInsert": {
                    "user": row.user,
                    "expires": datetime.fromtimestamp(row.expires_ms / 1000, UTC),
                    "ended": row.ended,
                    "sealed": await self._sealed("session", row.session, {"address": row.address}),
                }
            },
            upsert=True,
        )

    async def extend_session(self, session: str, expires_ms: int) -> None:
        """Let a session last longer."""
        expires = datetime.fromtimestamp(expires_ms / 1000, UTC)
        await self._database[SESSIONS].update_one({"_id": session}, {"$max": {"expires": expires}})

    async def end_session(self, session: str) -> None:
        """Mark a session as ended."""
        await self._database[SESSIONS].update_one({"_id": session}, {"$set": {"ended": True}})

    async def end_sessions(self, sessions: Sequence[str]) -> None:
        """Mark sessions as ended."""
        if sessions:
            changes = [UpdateOne({"_id": name}, {"$set": {"ended": True}}) for name in sessions]
            await self._database[SESSIONS].bulk_write(changes, ordered=False)

    async def save_event(self, key: str, fields: dict[str, Any]) -> None:
        """Keep what an external system reported, sealed, once by its key."""
        sealed = await self._sealed("event", key, fields)
        await self._insert_once(EVENTS, {"_id": key, "sealed": sealed})

    async def save_dead_letter(self, key: str, reason: str, subject: str, body: bytes) -> None:
        """Keep a body that could not be read, sealed, once by its key."""
        cipher = await self._keys.tenant_cipher(self.tenant)
        await self._insert_once(
            DEAD_LETTERS,
            {
                "_id": key,
                "at": datetime.now(UTC),
                "reason": reason,
                "subject": subject,
                "sealed": cipher.seal(body, bound_to("dead_letter", self.tenant, key)),
            },
        )

    async def _insert_once(self, collection: str, document: dict[str, Any]) -> None:
        try:
            await self._database[collection].insert_one(document)
        except DuplicateKeyError:
            # The same event came again; what it said is kept already.
            return

    async def lane(self, lane: int) -> Cursor:
        """How far a lane was seen through when it was last saved, refused commands included."""
        document = await self._database[LANES].find_one({"_id": lane})
        return Cursor(document["src"], document["index"]) if document else Cursor()

    async def save_lane(self, lane: int, cursor: Cursor) -> None:
        """Remember that a lane is seen through and projected up to here."""
        try:
            await self._database[LANES].update_one(
                {"_id": lane, "src": {"$lte": cursor.src}},
                {"$set": {"src": cursor.src, "index": cursor.index}},
                upsert=True,
            )
        except DuplicateKeyError:
            # A later owner has gone further.
            return

    async def _sealed(self, what: str, key: str, fields: dict[str, Any]) -> bytes:
        cipher = await self._keys.tenant_cipher(self.tenant)
        return cipher.seal(orjson.dumps(fields), bound_to(what, self.tenant, key))

    async def _sealed_state(self, room: str, applied: int, state: bytes) -> bytes:
        cipher = await self._keys.tenant_cipher(self.tenant)
        return cipher.seal(state, bound_to("state", self.tenant, f"{room}|{applied}"))
