"""Who reads which shard. Only speed rests on this: if two believe they own a shard, MongoDB's unique
indexes let one of them win each place of a chain.

One key of the KV bucket holds the whole table (shard -> owner, epoch), changed by compare-and-set.
That a worker lives is said on a core subject every second: renewing 64 keys each second would cost 64
synced writes beside the commits. It is said only while its claims are kept up: who says it and reads
nothing would keep its shards from everybody. A shard is taken when its owner has been silent for
WORKER_TTL_S, and given up when the table says that somebody else has it; while the table can't be read
nobody can take anything, so the owner goes on.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import orjson
import structlog
from nats.aio.msg import Msg
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from actors.protocol.limits import SHARDS, WORKER_HEARTBEAT_S, WORKER_TTL_S
from actors.protocol.subjects import OWNERS_BUCKET, OWNERS_KEY, WORKER_ALIVE
from actors.runtime.jetstream import Bus, NatsError

log = structlog.get_logger(__name__)

LEAVING: Final = b"leaving"
CLAIM_S_MAX: Final = 15.0
"""How long it may take to look at the table and to put down what it gives to others: longer than the
time-outs of what is asked on the way (5 s at the server, 3 s for a commit)."""
LATE_LOOK_S: Final = 2 * WORKER_HEARTBEAT_S
"""Who looks around for the first time in so long has missed what the others said."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One row of the table."""

    owner: str
    epoch: int


@dataclass(slots=True)
class Table:
    """The table as read: `revision` 0 means that there is none yet."""

    revision: int = 0
    epoch: int = 0
    shards: dict[int, Holding] = field(default_factory=dict)


def preferred(workers: set[str], shard: int) -> str:
    """Rendezvous hashing: the worker that should have a shard; a change of workers moves few."""
    return max(
        workers,
        key=lambda worker: hashlib.blake2b(f"{worker}:{shard}".encode(), digest_size=8).digest(),
    )


def wanted(table: Table, me: str, live: set[str]) -> tuple[set[int], set[int]]:
    """Pure: the shards to take and the shards to give away now."""
    take: set[int] = set()
    give: set[int] = set()
    for shard in range(SHARDS):
        holding = table.shards.get(shard)
        owner = holding.owner if holding else ""
        best = preferred(live | {me}, shard)
        if best == me and owner != me and (not owner or owner not in live):
            take.add(shard)
        elif owner == me and best != me:
            give.add(shard)
    return take, give


class Ownership:
    """One worker's view and claims."""

    def __init__(
        self, bus: Bus, worker: str, on_held: Callable[[dict[int, int]], Awaitable[None]]
    ) -> None:
        """`on_held` is given shard -> epoch whenever that may have changed, and returns when what is
        no longer held has been put down."""
        self._bus = bus
        self._worker = worker
        self._on_held = on_held
        self._heard: dict[str, float] = {}
        self._has_looked = False
        self._looked = float("-inf")
        self._listening_since = float("-inf")
        self._later_epochs: dict[int, int] = {}
        self._claimed = float("-inf")
        self._poke = asyncio.Event()
        self.held: dict[int, int] = {}

    async def run(self) -> None:
        """Keep the claims up for ever."""
        await self._bus.client.subscribe(WORKER_ALIVE, cb=self._on_alive)
        bucket = await self._bus.client.jetstream().key_value(OWNERS_BUCKET)
        self._claimed = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._say_alive())
            tasks.create_task(self._claim(bucket))

    async def _say_alive(self) -> None:
        while True:
            stuck_s = time.monotonic() - self._claimed
            if stuck_s > CLAIM_S_MAX:
                log.error("ownership.stuck", worker=self._worker, seconds=round(stuck_s))
            else:
                await self._say(self._worker.encode())
            await asyncio.sleep(WORKER_HEARTBEAT_S)

    async def _say(self, word: bytes) -> None:
        try:
            await self._bus.client.publish(WORKER_ALIVE, word)
        except NatsError as error:
            log.warning("ownership.unreachable", error=repr(error))

    async def _claim(self, bucket: KeyValue) -> None:
        while True:
            try:
                await self._tick(bucket)
            except (NatsError, TimeoutError) as error:
                log.warning("ownership.unreachable", error=repr(error))
            self._claimed = time.monotonic()
            try:
                async with asyncio.timeout(WORKER_HEARTBEAT_S):
                    await self._poke.wait()
            except TimeoutError:
                pass
            self._poke.clear()

    async def _on_alive(self, message: Msg) -> None:
        word, _, leaving = message.data.partition(b" ")
        worker = word.decode()
        if leaving == LEAVING:
            self._heard.pop(worker, None)
            self._poke.set()
            return
        if worker not in self._heard and worker != self._worker:
            self._poke.set()
        self._heard[worker] = time.monotonic()

    def _live(self, table: Table) -> set[str]:
        now = time.monotonic()
        if now - self._looked > LATE_LOOK_S:
            # This process stood still or was cut off: that it heard nobody says nothing about them.
            self._listening_since = now
        self._looked = now
        self._heard = {
            name: heard for name, heard in self._heard.items() if now - heard < WORKER_TTL_S
        }
        live = set(self._heard)
        if now - self._listening_since < WORKER_TTL_S:
            # Not heard is not dead while we did not listen: give the owners of the table time to speak.
            live |= {holding.owner for holding in table.shards.values() if holding.owner}
        return live | {self._worker}

    async def _tick(self, bucket: KeyValue) -> None:
        table = await _read(bucket)
        take, give = wanted(table, self._worker, self._live(table))
        mine = {
            shard: holding.epoch
            for shard, holding in table.shards.items()
            if holding.owner == self._worker and shard not in give
        }
        if mine != self.held or not self._has_looked:
            # What is given away is put down before the table says that it is free.
            await self._hold(mine)
        self._has_looked = True
        passed = {shard for shard in mine if mine[shard] <= self._later_epochs.get(shard, 0)}
        if take or give or passed:
            await self._write(bucket, table, take | passed, give)

    async def _write(self, bucket: KeyValue, table: Table, take: set[int], give: set[int]) -> None:
        epoch = max(table.epoch, *self._later_epochs.values(), 0) + 1
        shards = dict(table.shards)
        shards.update({shard: Holding("", epoch) for shard in give})
        shards.update({shard: Holding(self._worker, epoch) for shard in take})
        value = orjson.dumps(
            {
                "epoch": epoch,
                "shards": {str(shard): [row.owner, row.epoch] for shard, row in shards.items()},
            }
        )
        try:
            if table.revision:
                await bucket.update(OWNERS_KEY, value, last=table.revision)
            else:
                await bucket.create(OWNERS_KEY, value)
        except KeyWrongLastSequenceError:
            self._poke.set()
            return
        mine = {shard: row.epoch for shard, row in shards.items() if row.owner == self._worker}
        self._later_epochs = {
            shard: seen
            for shard, seen in self._later_epochs.items()
            if mine.get(shard, seen + 1) <= seen
        }
        if give:
            await self._bus.client.publish(WORKER_ALIVE, self._worker.encode())
        await self._hold(mine)

    async def _hold(self, mine: dict[int, int]) -> None:
        log.info("ownership.changed", worker=self._worker, shards=len(mine))
        self.held = mine
        await self._on_held(mine)

    def raise_epoch(self, shard: int, seen: int) -> None:
        """A record of a later epoch was met. If the table still names us for this shard, its epochs were
        lost with its storage; claim it again above what was seen."""
        self._later_epochs[shard] = max(self._later_epochs.get(shard, 0), seen)
        self._poke.set()

    async def release(self) -> None:
        """Put everything down and free it, so that others need not wait."""
        await self._hold({})
        try:
            bucket = await self._bus.client.jetstream().key_value(OWNERS_BUCKET)
            for _ in range(5):
                table = await _read(bucket)
                mine = {s for s, row in table.shards.items() if row.owner == self._worker}
                if not mine:
                    break
                await self._write(bucket, table, set(), mine)
            await self._bus.client.publish(WORKER_ALIVE, self._worker.encode() + b" " + LEAVING)
        except (NatsError, TimeoutError) as error:
            log.warning("ownership.not_released", error=repr(error))


async def _read(bucket: KeyValue) -> Table:
    try:
        entry = await bucket.get(OWNERS_KEY)
    except KeyNotFoundError:
        return Table()
    if not entry.value or entry.revision is None:
        return Table()
    fields = orjson.loads(entry.value)
    shards = {int(shard): Holding(*row) for shard, row in fields["shards"].items()}
    return Table(entry.revision, fields["epoch"], shards)
