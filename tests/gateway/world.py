"""A world without servers for the gateway's own logic: rooms in memory that decide as the actors do.

Only tests of the gateway alone use it; what it replaces is tested with the real servers elsewhere.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from actors.client import ActorClient, Unsubscribe
from actors.protocol.codec import content_of, fingerprint, target_of
from actors.protocol.commands import ROOM_COMMAND, TENANT_COMMAND, Command
from actors.protocol.envelope import Receipt, Reply, RoomEvent, entry_id
from actors.protocol.errors import ErrorCode, Refusal, Rejection
from actors.protocol.events import EventType
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from actors.room.decide import decide as decide_room
from actors.room.evolve import evolve as evolve_room
from actors.room.state import Moment, RoomState
from actors.runtime.projector import managed_tenant_row, nats_credential_row, room_row, user_row
from actors.tenant.decide import decide as decide_tenant
from actors.tenant.evolve import evolve as evolve_tenant
from actors.tenant.sessions import ended_by
from actors.tenant.state import TenantState
from gateway.history import entry_of
from store.reader import Reader, Selection, StoredEntry, TenantReader
from store.rows import (
    LoginCandidate,
    ManagedTenantRow,
    NatsCredentialRow,
    RoomRow,
    SessionRow,
    UserRow,
)

NOW_MS = 1_795_000_000_000
Handler = Callable[[RoomEvent], None]


@dataclass
class MemoryRoom:
    """A chain, its actor's state, and who listens."""

    tenant: str
    room: str
    entries: list[StoredEntry] = field(default_factory=list)
    marks: dict[tuple[str, str], tuple[str, Receipt]] = field(default_factory=dict)
    state: Any = None
    handlers: dict[int, Handler] = field(default_factory=dict)

    @property
    def head(self) -> int:
        """The last seq."""
        return len(self.entries)

    def decide(self, command: Command) -> EventType | Rejection:
        """What the actor behind this mailbox makes of a command."""
        if self.room == TENANT_ROOM:
            return decide_tenant(self.state, cast(Any, command), NOW_MS)
        return decide_room(self.state, cast(Any, command), Moment(self.head, NOW_MS))

    def append(self, event: EventType, command: Command) -> Receipt:
        """Put an event into the chain."""
        mark = fingerprint(command)
        seq = self.head + 1
        prev = self.entries[-1].hash if self.entries else bytes(32)
        content = content_of(event, mark, command.origin)
        digest = hashlib.sha256(prev + content + f"{self.room}/{seq}".encode()).digest()
        self.entries.append(
            StoredEntry(
                room=self.room,
                seq=seq,
                kind=event.kind,
                actor=command.actor,
                at_ms=NOW_MS + seq,
                client_id=command.client_id,
                target=target_of(event),
                prev=prev,
                hash=digest,
                content=content,
            )
        )
        evolve: Any = evolve_tenant if self.room == TENANT_ROOM else evolve_room
        self.state = evolve(self.state, event, command.actor, NOW_MS + seq)
        receipt = Receipt(
            room=self.room,
            seq=seq,
            id=entry_id(self.room, seq),
            kind=event.kind,
            hash=digest.hex(),
            prev=prev.hex(),
            at_ms=NOW_MS + seq,
            client_id=command.client_id,
        )
        self.marks[command.actor, command.client_id] = (mark, receipt)
        return receipt

    def announce(self, *seqs: int) -> None:
        """Send one event with these entries; without any, just where the head is."""
        entries = [entry_of(self.entries[seq - 1]) for seq in seqs]
        event = RoomEvent(entries[-1].seq if entries else self.head, entries)
        for handler in list(self.handlers.values()):
            handler(event)


class World:
    """Tenants with rooms and people, and both faces that the gateway sees of them."""

    def __init__(self, *tenants: str) -> None:
        self.tenants = tenants
        self.rooms: dict[tuple[str, str], MemoryRoom] = {}
        self.stale_rows: dict[tuple[str, str], RoomRow] = {}
        self.reads = 0
        self.broken: Exception | None = None
        self.broken_commit: Exception | None = None
        self.held: list[tuple[str, str, Command]] | None = None
        self.announcing = True
        self.provisioning = True
        self.used_keys: set[str] = set()
        self.ears: dict[int, Callable[[str, list[str]], None]] = {}
        self.reply_handlers: dict[str, Callable[[Reply], None]] = {}
        self._numbers = itertools.count()

    @property
    def reader(self) -> Reader:
        """The store's face."""
        return cast(Reader, self)

    @property
    def actors(self) -> ActorClient:
        """The bus's face."""
        return cast(ActorClient, MemoryActors(self))

    def at(self, tenant: str, room: str) -> MemoryRoom:
        """A room's chain, empty if it is new."""
        place = self.rooms.get((tenant, room))
        if place is None:
            state = TenantState() if room == TENANT_ROOM else RoomState()
            place = self.rooms[tenant, room] = MemoryRoom(tenant, room, state=state)
        return place

    def commit(self, tenant: str, room: str, command: Command) -> Receipt:
        """Decide and commit a command now, and announce it.

        Raises:
            Refusal: it was refused.
        """
        place = self.at(tenant, room)
        known = place.marks.get((command.actor, command.client_id))
        if known is not None:
            mark, receipt = known
            if mark != fingerprint(command):
                raise Refusal(ErrorCode.CONFLICT, "client_id was used for another command")
            return Receipt(**{**_fields(receipt), "duplicate": True})
        event = place.decide(command)
        if isinstance(event, Rejection):
            raise Refusal(event.code, event.detail)
        receipt = place.append(event, command)
        if self.announcing:
            place.announce(receipt.seq)
            ended = list(ended_by(event))
            for ear in list(self.ears.values()) if ended else ():
                ear(tenant, ended)
        return receipt

    def release(self) -> None:
        """Commit what was held back, and hold nothing any more."""
        held, self.held = self.held or [], None
        for tenant, room, command in held:
            self.deliver(tenant, room, command)

    def deliver(self, tenant: str, room: str, command: Command) -> None:
        """Commit a posted command and answer as an actor does."""
        if self.held is not None:
            self.held.append((tenant, room, command))
            return
        reply: Reply | None
        try:
            receipt = self.commit(tenant, room, command)
            quiet = command.quiet and not receipt.duplicate
            reply = None if quiet else Reply(command.ref, command.client_id, receipt)
        except Refusal as refusal:
            reply = Reply(command.ref, command.client_id, None, refusal.code, refusal.detail)
        handler = self.reply_handlers.get(command.ref[:2])
        if reply is not None and handler is not None:
            handler(reply)

    # The store's face -------------------------------------------------------------------------

    async def tenant(self, tenant: str) -> TenantReader | None:
        """As `store.reader.Reader.tenant`."""
        if tenant not in self.tenants:
            return None
        return cast(TenantReader, MemoryTenantReader(self, tenant))

    async def logins(self, name: str) -> list[LoginCandidate]:
        """As `store.reader.Reader.logins`."""
        wanted, _, only = name.casefold().partition("@")
        found = []
        for tenant in self.tenants:
            for user, facts in self.at(tenant, TENANT_ROOM).state.users.items():
                if facts.deleted:
                    continue
                names = {facts.username.casefold(), (facts.email or "").casefold()}
                if name.casefold() in names or (wanted in names and only == tenant):
                    found.append(LoginCandidate(tenant, user))
        return found

    async def managed_tenants(
        self, platform: str, *, after: str, limit: int
    ) -> list[ManagedTenantRow]:
        """As `store.reader.Reader.managed_tenants`."""
        place = self.at(platform, TENANT_ROOM)
        found = sorted(item for item in place.state.tenants.items() if item[0] > after)
        return [managed_tenant_row(name, facts, place.head) for name, facts in found][:limit]

    async def managed_tenant(self, platform: str, tenant: str) -> ManagedTenantRow | None:
        """As `store.reader.Reader.managed_tenant`."""
        rows = await self.managed_tenants(platform, after="", limit=1_000)
        return next((row for row in rows if row.tenant == tenant), None)

    async def tenant_stages(self, tenants: list[str]) -> dict[str, str]:
        """As `store.reader.Reader.tenant_stages`."""
        return {tenant: "" for tenant in tenants if tenant in self.tenants}

    async def nobody(self) -> None:
        """As `store.reader.Reader.nobody`."""
        await asyncio.sleep(0)


class MemoryTenantReader:
    """As `store.reader.TenantReader`."""

    def __init__(self, world: World, tenant: str) -> None:
        self.tenant = tenant
        self.nats_credentials = MemoryNatsCredentials(world, tenant)
        self._world = world

    async def _read(self) -> None:
        self._world.reads += 1
        await asyncio.sleep(0)
        if self._world.broken is not None:
            raise self._world.broken

    async def room(self, room: str) -> RoomRow | None:
        await self._read()
        stale = self._world.stale_rows.get((self.tenant, room))
        return stale or row_of(self._world.rooms.get((self.tenant, room)))

    async def rooms_for(self, user: str, role: str, *, after: str, limit: int) -> list[RoomRow]:
        await self._read()
        rows = [
            row
            for (tenant, room), place in sorted(self._world.rooms.items())
            if tenant == self.tenant and room > after and (row := row_of(place)) is not None
        ]
        return [row for row in rows if user in row.members or role in row.open_to][:limit]

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
        return [{"room": room, "seq": entry.seq, "hash": entry.hash.hex()} for entry in entries]

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

    async def session(self, session: str) -> SessionRow | None:
        await self._read()
        found = self._world.at(self.tenant, TENANT_ROOM).state.sessions.get(session)
        return SessionRow(session, found.user, found.expires_ms, False) if found else None

    async def session_active(self, session: str) -> bool:
        return await self.session(session) is not None


class MemoryNatsCredentials:
    """As `store.nats_credentials.NatsCredentials`, with a provisioner that is done when somebody looks."""

    def __init__(self, world: World, tenant: str) -> None:
        self._world = world
        self._tenant = tenant

    async def page(self, *, after: str, limit: int) -> list[NatsCredentialRow]:
        await asyncio.sleep(0)
        place = self._world.at(self._tenant, TENANT_ROOM)
        held = sorted(item for item in place.state.nats_credentials.items() if item[0] > after)
        rows = [nats_credential_row(self._tenant, name, each, place.head) for name, each in held]
        return rows[:limit]

    async def one(self, credential: str) -> NatsCredentialRow | None:
        self._provision(credential)
        rows = await self.page(after="", limit=1_000)
        return next((row for row in rows if row.credential == credential), None)

    async def last_uses(self, public_keys: Iterable[str]) -> dict[str, int]:
        await asyncio.sleep(0)
        return dict.fromkeys(public_keys, NOW_MS)

    def _provision(self, credential: str) -> None:
        held = self._world.at(self._tenant, TENANT_ROOM).state.nats_credentials.get(credential)
        done = {
            "pending": {"do": "sign", "token": "a.signed.token"},
            "revoking": {"do": "confirm_cut"},
        }
        action = done.get(held.status) if held is not None and self._world.provisioning else None
        if action is not None:
            named = {"type": "manage_nats_credential", "credential": credential}
            self._world.commit(self._tenant, TENANT_ROOM, tenant_command(action=action, **named))


class MemoryActors:
    """As `actors.client.ActorClient`."""

    def __init__(self, world: World) -> None:
        self._world = world

    def on_reply(self, prefix: str, handler: Callable[[Reply], None]) -> None:
        self._world.reply_handlers[prefix] = handler

    async def send(self, tenant: str, room: str, command: Command) -> Receipt:
        await asyncio.sleep(0)
        if self._world.broken_commit is not None:
            raise self._world.broken_commit
        return self._world.commit(tenant, room, command)

    def post_nowait(self, tenant: str, room: str, command_json: bytes) -> None:
        command = ROOM_COMMAND.validate_json(command_json)
        asyncio.get_running_loop().call_soon(self._world.deliver, tenant, room, command)

    async def subscribe_events(self, tenant: str, room: str, handler: Handler) -> Unsubscribe:
        await asyncio.sleep(0)
        handlers = self._world.at(tenant, room).handlers
        number = next(self._world._numbers)
        handlers[number] = handler

        async def unsubscribe() -> None:
            await asyncio.sleep(0)
            handlers.pop(number, None)

        return unsubscribe

    async def subscribe_ended_sessions(
        self, handler: Callable[[str, list[str]], None]
    ) -> Unsubscribe:
        await asyncio.sleep(0)
        number = next(self._world._numbers)
        self._world.ears[number] = handler

        async def unsubscribe() -> None:
            await asyncio.sleep(0)
            self._world.ears.pop(number, None)

        return unsubscribe

    async def redeem_once(self, key: str) -> bool:
        await asyncio.sleep(0)
        first = key not in self._world.used_keys
        self._world.used_keys.add(key)
        return first


def row_of(place: MemoryRoom | None) -> RoomRow | None:
    """A room's row as its projection would be now."""
    if place is None or place.room == TENANT_ROOM or not place.state.exists:
        return None
    return room_row(place.room, place.state, place.head)


def room_command(**fields: Any) -> Command:
    """A room command from its JSON fields; by an analyst unless said otherwise."""
    number = fields.pop("client_id", None) or hashlib.sha256(orjson.dumps(fields)).hexdigest()[:16]
    role = fields.pop("role", Role.ANALYST)
    return ROOM_COMMAND.validate_json(orjson.dumps({"client_id": number, "role": role, **fields}))


def tenant_command(**fields: Any) -> Command:
    """A tenant command from its JSON fields, by the system."""
    number = hashlib.sha256(orjson.dumps(fields)).hexdigest()[:16]
    common = {"client_id": number, "role": Role.SYSTEM, "actor": "system"}
    return TENANT_COMMAND.validate_json(orjson.dumps({**common, **fields}))


def _fields(receipt: Receipt) -> dict[str, Any]:
    return {name: getattr(receipt, name) for name in Receipt.__slots__}


async def eventually(holds: Callable[[], bool], within_s: float = 5.0) -> None:
    """Let the loop run until something holds; fails after `within_s` seconds."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0)
