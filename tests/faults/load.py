"""Writers that post without rest while things break, and what they were told; then the checks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors import client as actors_client
from actors.protocol.commands import CreateRoom, Post
from actors.protocol.envelope import RoomEvent
from actors.protocol.errors import ErrorCode, OutcomeUnknown, Refusal
from actors.protocol.roles import Role, RoomRole
from connectors.http import TransportError, http_client
from deploy.local.children import Child
from deploy.local.process import polled
from tests.actors.running import Running
from tests.faults.checker import History, Operation, Seen, check

WRITERS_PER_ROOM: Final = 2
IN_FLIGHT: Final = 3
PATIENCE_S: Final = 30.0
"""For what includes the start of a server or the end of a lease."""
IMPATIENCE_S: Final = 3.0
"""A writer sends again after this: shorter than a real client waits, so that it happens often."""


@dataclass
class Load:
    """Writers in the rooms of one tenant."""

    running: Running
    tenant: str
    rooms: list[str]
    history: History = field(default_factory=History)
    acknowledged: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Open the rooms, and listen to them."""
        for room in self.rooms:
            members = dict.fromkeys(self.writers_of(room), RoomRole.MEMBER)
            creation = CreateRoom(
                client_id="create", actor="owner", role=Role.ANALYST, name=room, members=members
            )
            await self.running.client.send(self.tenant, room, creation)
            await self.running.client.subscribe_events(self.tenant, room, self._on_event)

    def writers_of(self, room: str) -> list[str]:
        """Who writes in a room."""
        return [f"{room}-writer{number}" for number in range(WRITERS_PER_ROOM)]

    def _on_event(self, event: RoomEvent) -> None:
        self.history.seen += [Seen(entry.room, entry.seq, entry.hash) for entry in event.entries]

    async def run(self) -> None:
        """Post until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            for room in self.rooms:
                for writer in self.writers_of(room):
                    tasks.create_task(self._write(room, writer))

    async def _write(self, room: str, writer: str) -> None:
        places = asyncio.Semaphore(IN_FLIGHT)
        number = 0
        async with asyncio.TaskGroup() as tasks:
            while not self._stop.is_set():
                await places.acquire()
                client_id, body = f"n{number}", f"{writer} says {number}"
                number += 1
                operation = Operation(writer, room, client_id, body, time.monotonic_ns())
                self.history.operations.append(operation)
                posting = tasks.create_task(self._post(operation))
                posting.add_done_callback(lambda _: places.release())

    async def _post(self, operation: Operation) -> None:
        command = Post(
            client_id=operation.client_id,
            actor=operation.writer,
            role=Role.ANALYST,
            body=operation.body,
        )
        while True:
            try:
                receipt = await self.running.client.send(self.tenant, operation.room, command)
            except (OutcomeUnknown, Refusal) as error:
                if isinstance(error, Refusal) and error.code is not ErrorCode.UNAVAILABLE:
                    operation.refused = True
                    return
                operation.attempts += 1
                continue
            operation.ended = time.monotonic_ns()
            operation.seq, operation.hash = receipt.seq, receipt.hash
            self.acknowledged += 1
            return

    async def progress(self, posts: int) -> None:
        """Return when so many more posts were acknowledged."""
        goal = self.acknowledged + posts

        async def reached() -> bool | None:
            return True if self.acknowledged >= goal else None

        async with asyncio.timeout(PATIENCE_S):
            await polled(reached)

    def stop(self) -> None:
        """Begin nothing new; what is under way goes on until it is acknowledged."""
        self._stop.set()

    async def assert_nothing_lost(self) -> None:
        """Every promise that was made is kept."""
        reader = self.running.reader(self.tenant)
        chains = {room: await reader.entries(room, limit=10**6) for room in self.rooms}
        assert check(self.history, chains) == []
        assert all(one.seq is not None for one in self.history.operations)
        verdict = await self.running.verdict(self.tenant)
        assert verdict.verified, verdict.problems


@asynccontextmanager
async def load_on(
    running: Running, tenant: str, monkeypatch: pytest.MonkeyPatch, *, rooms: int = 4
) -> AsyncIterator[Load]:
    """A load while the block runs; at its end the writers stop and everything is checked."""
    monkeypatch.setattr(actors_client, "COMMAND_TIMEOUT_S", IMPATIENCE_S)
    load = Load(running, tenant, [f"room{number}" for number in range(rooms)])
    await load.prepare()
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(load.run())
        try:
            await load.progress(50)
            yield load
            await load.progress(50)
            load.stop()
            async with asyncio.timeout(PATIENCE_S):
                await writing
        except BaseException:
            writing.cancel()
            raise
    await load.assert_nothing_lost()


async def metric(child: Child, name: str) -> float | None:
    """A metric of a process; None while it can't be asked."""
    try:
        async with http_client(child.health_url) as http:
            text = (await http.get("/metrics")).text
    except TransportError:
        return None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                return sample.value
    return None


async def until_metric(child: Child, name: str, at_least: float) -> None:
    """Return when a metric of a process has reached a value."""

    async def reached() -> bool | None:
        value = await metric(child, name)
        return True if value is not None and value >= at_least else None

    try:
        async with asyncio.timeout(PATIENCE_S):
            await polled(reached)
    except TimeoutError:
        value = await metric(child, name)
        lines = "\n".join(child.process.last_lines())
        raise AssertionError(f"{name} is {value}, not {at_least}, of\n{lines}") from None
