"""The readings of a tenant of a world in memory."""

import asyncio
from typing import TYPE_CHECKING, Any

from actors.protocol.ids import TENANT_ROOM
from actors.runtime.projector import (
    directory_row,
    identity_provider_row,
    invitation_row,
    registration_row,
    role_row,
    room_row,
    second_factor_row,
    user_row,
)
from store.entries import Selection, StoredEntry
from store.rows import (
    REGISTRATION,
    SECOND_FACTOR,
    DirectoryRow,
    IdentityProviderRow,
    InvitationRow,
    RoleRow,
    RoomRow,
    SessionRow,
    UserRow,
)
from store.sealing import KEY_BYTES, Cipher
from store.tenant_secrets import TenantSecrets
from tests.gateway.memory_nats_credentials import MemoryNatsCredentials

if TYPE_CHECKING:
    from tests.gateway.world import MemoryRoom, World


def row_of(place: "MemoryRoom | None") -> RoomRow | None:
    """A room's row as its projection would be now."""
    if place is None or place.room == TENANT_ROOM or not place.state.exists:
        return None
    return room_row(place.room, place.state, place.head)


class MemoryTenantReader:
    """As `store.reader.TenantReader`."""

    def __init__(self, world: "World", tenant: str) -> None:
        self.tenant = tenant
        self.nats_credentials = MemoryNatsCredentials(world, tenant)
        self._world = world
        self.secrets = TenantSecrets(tenant, self._cipher_of)

    async def _read(self) -> None:
        self._world.reads += 1
        await asyncio.sleep(0)
        if self._world.broken is not None:
            raise self._world.broken

    async def room(self, room: str) -> RoomRow | None:
        await self._read()
        stale = self._world.stale_rows.get((self.tenant, room))
        return stale or row_of(self._world.rooms.get((self.tenant, room)))

    async def rooms_for(
        self, user: str, role: str, *, after: str, limit: int, clearance: int = 0
    ) -> list[RoomRow]:
        await self._read()
        rows = [
            row
            for (tenant, room), place in sorted(self._world.rooms.items())
            if tenant == self.tenant and room > after and (row := row_of(place)) is not None
        ]
        return [
            row
            for row in rows
            if row.clearance <= clearance and (user in row.members or role in row.open_to)
        ][:limit]

    async def head(self, room: str) -> int:
        await self._read()
        return self._world.at(self.tenant, room).head

    async def entries(
        self,
        room: str,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        kind: str | None = None,
    ) -> list[StoredEntry]:
        await self._read()
        found = [
            entry
            for entry in self._world.at(self.tenant, room).entries
            if entry.seq > after
            and (before is None or entry.seq < before)
            and (kind is None or entry.kind == kind)
        ]
        return found[-limit:] if before is not None and after == 0 else found[:limit]

    async def newest(self, room: str, wanted: Selection, limit: int) -> list[StoredEntry]:
        await self._read()
        found = [
            entry
            for entry in reversed(self._world.at(self.tenant, room).entries)
            if wanted.first <= entry.seq < wanted.before
            and (wanted.kinds is None or entry.kind in wanted.kinds)
            and (wanted.actor is None or entry.actor == wanted.actor)
        ]
        return found[:limit]

    async def seq_since(self, room: str, at_ms: int) -> int:
        await self._read()
        return 1 + sum(entry.at_ms < at_ms for entry in self._world.at(self.tenant, room).entries)

    async def headers(self, room: str, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
        await self._read()
        entries = self._world.at(self.tenant, room).entries[after : after + limit]
        return [
            {
                "room": room,
                "seq": entry.seq,
                "kind": entry.kind,
                "actor": entry.actor,
                "prev": entry.prev.hex(),
                "hash": entry.hash.hex(),
            }
            for entry in entries
        ]

    async def by_client_id(self, room: str, actor: str, client_id: str) -> StoredEntry | None:
        await self._read()
        known = self._world.at(self.tenant, room).marks.get((actor, client_id))
        return self._world.at(self.tenant, room).entries[known[1].seq - 1] if known else None

    async def user(self, user: str) -> UserRow | None:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        facts = tenant.state.users.get(user)
        return user_row(user, facts, tenant.head) if facts is not None else None

    async def users(self, *, after: str, limit: int, deleted: bool = False) -> list[UserRow]:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        found = sorted(item for item in tenant.state.users.items() if item[0] > after)
        rows = [user_row(user, facts, tenant.head) for user, facts in found]
        return [row for row in rows if row.deleted == deleted][:limit]

    async def directory(self) -> DirectoryRow | None:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        known = any(entry.kind.startswith("directory_") for entry in tenant.entries)
        return directory_row(tenant.state, tenant.head) if known else None

    async def identity_provider(self) -> IdentityProviderRow | None:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        seqs = [entry.seq for entry in tenant.entries if entry.kind.startswith("identity_")]
        return identity_provider_row(tenant.state, seqs[-1]) if seqs else None

    async def _cipher_of(self, tenant: str) -> Cipher:
        await self._read()
        return Cipher(tenant.encode().ljust(KEY_BYTES, b"."))

    @property
    def people(self) -> "MemoryTenantReader":
        """As `store.people.PeopleReader`."""
        return self

    async def role(self, role: str) -> RoleRow | None:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        facts = tenant.state.roles.get(role)
        return role_row(role, facts, tenant.head) if facts is not None else None

    async def roles(self, *, after: str, limit: int) -> list[RoleRow]:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        found = sorted(item for item in tenant.state.roles.items() if item[0] > after)
        return [role_row(role, facts, tenant.head) for role, facts in found][:limit]

    async def policy(self, policy: str) -> str | None:
        await self._read()
        tenant = self._world.at(self.tenant, TENANT_ROOM)
        row_of_policy = {REGISTRATION: registration_row, SECOND_FACTOR: second_factor_row}[policy]
        return row_of_policy(tenant.state, tenant.head).value

    async def invitation(self, invitation: str) -> InvitationRow | None:
        await self._read()
        found = self._world.at(self.tenant, TENANT_ROOM).state.invitations.get(invitation)
        return invitation_row(invitation, found) if found is not None else None

    async def invitations(self, *, after: str, limit: int) -> list[InvitationRow]:
        await self._read()
        found = sorted(self._world.at(self.tenant, TENANT_ROOM).state.invitations.items())
        return [invitation_row(*item) for item in found if item[0] > after][:limit]

    async def sessions_of(self, user: str, *, after: str, limit: int) -> list[SessionRow]:
        await self._read()
        found = sorted(self._world.at(self.tenant, TENANT_ROOM).state.sessions.items())
        return [
            SessionRow(name, item.user, item.expires_ms, False, "192.0.2.1")
            for name, item in found
            if item.user == user and name > after
        ][:limit]

    async def session(self, session: str) -> SessionRow | None:
        await self._read()
        found = self._world.at(self.tenant, TENANT_ROOM).state.sessions.get(session)
        return SessionRow(session, found.user, found.expires_ms, False) if found else None

    async def session_active(self, session: str) -> bool:
        return await self.session(session) is not None
