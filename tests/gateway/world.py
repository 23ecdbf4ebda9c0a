"""A world without servers for the gateway's own logic: rooms in memory that decide as the actors do.

Only tests of the gateway alone use it; what it replaces is tested with the real servers elsewhere.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Callable
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
from actors.runtime.projector import (
    managed_tenant_row,
)
from actors.tenant.decide import decide as decide_tenant
from actors.tenant.evolve import evolve as evolve_tenant
from actors.tenant.sessions import ended_by
from actors.tenant.state import TenantState
from gateway.history import entry_of
from store.entries import StoredEntry
from store.reader import Reader
from store.rows import (
    LoginCandidate,
    ManagedTenantRow,
    RoomRow,
)
from store.tenant_reader import TenantReader
from tests.gateway.memory_reader import MemoryTenantReader

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
        self.gateway_ears: dict[int, Callable[[bytes], None]] = {}
        self.told: list[bytes] = []
        self.deaf = False
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

    async def tenant_ids(self) -> list[str]:
        """As `store.reader.Reader.tenant_ids`."""
        return sorted(self.tenants)

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

    async def tell_gateways(self, body: bytes) -> None:
        await asyncio.sleep(0)
        if self._world.deaf:
            return
        for ear in list(self._world.gateway_ears.values()):
            ear(body)
        self._world.told.append(body)

    async def listen_to_gateways(self, handler: Callable[[bytes], None]) -> Unsubscribe:
        await asyncio.sleep(0)
        number = next(self._world._numbers)
        self._world.gateway_ears[number] = handler

        async def unsubscribe() -> None:
            await asyncio.sleep(0)
            self._world.gateway_ears.pop(number, None)

        return unsubscribe

    async def redeem_once(self, key: str) -> bool:
        await asyncio.sleep(0)
        first = key not in self._world.used_keys
        self._world.used_keys.add(key)
        return first


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
