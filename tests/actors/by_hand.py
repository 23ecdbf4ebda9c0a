"""A tenant's worker on real servers, with the test as its stream: what a lane brings, and when it ends,
is in the test's hands."""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from actors.protocol.commands import Command
from actors.protocol.envelope import Receipt, Reply, decode_replies
from actors.runtime.jetstream import Bus
from actors.runtime.lane import Inbound, Lane, source_number
from actors.runtime.metrics import ActorMetrics
from actors.runtime.services import Services
from actors.runtime.worker import TenantWorker
from deploy.local.stack import LocalStack
from store.chain import Cursor
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.tenant_reader import TenantReader
from tests.actors.people import AT_MS

PATIENCE_S: Final = 15.0
LANE: Final = 0
LANES: Final = 1
GENERATION: Final = 1


@dataclass
class Stream:
    """The messages of the one lane, kept for every owner that comes: rooms and their commands."""

    messages: list[tuple[list[str], list[Any]]] = field(default_factory=list)


@dataclass
class Owner:
    """A worker that owns the lane, rightly or not. `fenced` holds the epochs that it was fenced by."""

    services: Services
    stream: Stream
    worker: TenantWorker
    lane: Lane
    reader: TenantReader
    fenced: list[int]
    registry: CollectorRegistry
    _replies: asyncio.Queue[Reply] = field(default_factory=asyncio.Queue)
    _reply_to: str = ""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def listen(self) -> None:
        """Hear the answers to what is asked here."""
        self._reply_to = f"reply.test-{secrets.token_hex(6)}"
        await self.services.bus.client.subscribe(self._reply_to, cb=self._on_replies)
        await self.services.bus.flush()

    async def _on_replies(self, message: Msg) -> None:
        for reply in decode_replies(message.data):
            self._replies.put_nowait(reply)

    def put(self, room: str, *commands: Command | Any) -> None:
        """Put one message into the stream, and in front of this owner."""
        self.put_mixed(*((room, command) for command in commands))

    def put_mixed(self, *asked: tuple[str, Command | Any]) -> None:
        """Put one message with commands of several rooms."""
        raws = [self._raw(command) for _, command in asked]
        self.stream.messages.append(([room for room, _ in asked], raws))
        self._bring(len(self.stream.messages))

    def take_over(self, sequence: int) -> None:
        """Bring a message of the stream that another owner was given."""
        self._bring(sequence)

    def _raw(self, command: Command | Any) -> Any:
        if not isinstance(command, Command):
            return command
        marked = command.model_copy(update={"ref": command.ref or f"t{next(self._numbers)}"})
        return marked.model_dump(mode="json")

    def _bring(self, sequence: int) -> None:
        rooms, raws = self.stream.messages[sequence - 1]
        src = source_number(GENERATION, sequence)
        self.worker.enqueue(Inbound(self.lane, src, rooms, self._reply_to, raws, time.monotonic()))

    async def open(self) -> None:
        """Read the stream from where it is committed or seen through, as a lane does."""
        committed = await self.worker.log.cursor(LANE)
        seen = await self.worker.mailboxes.projections.lane(LANE)
        await self.worker.repair(LANE, seen)
        cursor = max(committed, seen, key=lambda one: (one.src, one.index))
        self.lane.cursor = self.lane.seen = cursor
        for sequence in range(1, len(self.stream.messages) + 1):
            if source_number(GENERATION, sequence) >= cursor.src:
                self._bring(sequence)

    async def reply(self) -> Reply:
        """The next answer."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._replies.get()

    async def ask(self, room: str, *commands: Command | Any) -> list[Reply]:
        """Put one message and await an answer to each of its commands, in their order."""
        self.put(room, *commands)
        refs = [raw["ref"] for raw in self.stream.messages[-1][1]]
        answers: dict[str, Reply] = {}
        while not answers.keys() >= set(refs):
            # A commit that was cut off after it had answered answers once more.
            answer = await self.reply()
            answers[answer.ref] = answer
        return [answers[ref] for ref in refs]

    async def do(self, room: str, *commands: Command) -> list[Receipt]:
        """Put one message whose commands must all succeed."""
        answers = await self.ask(room, *commands)
        for answer in answers:
            assert answer.receipt is not None, answer
        return [answer.receipt for answer in answers if answer.receipt]

    def metric(self, name: str) -> float:
        """What this owner has counted."""
        value = self.registry.get_sample_value(name)
        assert value is not None, name
        return value

    async def done(self) -> None:
        """Everything put is committed, refused, or dropped with its lane."""
        async with asyncio.timeout(PATIENCE_S):
            await self.worker.drained()


def nothing(_: str) -> None:
    """No test waits at any point of the commit."""


@asynccontextmanager
async def owner(
    stack: LocalStack,
    tenant: str,
    stream: Stream | None = None,
    *,
    epoch: int = 1,
    reach: Callable[[str], None] = nothing,
) -> AsyncIterator[Owner]:
    """Another owner of the tenant's lane; several may be at work side by side."""
    async with AsyncExitStack() as closing:
        bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("actors"), "by-hand")
        closing.push_async_callback(bus.close)
        connection = MongoConnection(stack.mongo_url_for("actors"))
        closing.push_async_callback(connection.close)
        keys = KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))
        registry = CollectorRegistry()
        ticks = itertools.count(AT_MS)
        services = Services(
            bus=bus,
            connection=connection,
            keys=keys,
            metrics=ActorMetrics(registry),
            process="by-hand",
            now_ms=lambda: next(ticks),
            reach=reach,
        )
        fenced: list[int] = []
        lane = Lane(tenant, LANE, LANES, epoch, Cursor(), fenced.append)
        worker = TenantWorker(services, tenant)
        reader = TenantReader(connection, keys, tenant)
        made = Owner(services, stream or Stream(), worker, lane, reader, fenced, registry)
        await made.listen()
        running = asyncio.create_task(worker.run(), name="commits")
        try:
            await made.open()
            yield made
        finally:
            running.cancel()
            await asyncio.wait({running})
