"""Contents are acknowledged by the primary alone, their records by a majority: a primary that is lost
before that must lose nothing."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern

from actors.client import ActorClient
from actors.protocol.commands import CreateRoom, Post
from actors.protocol.envelope import Receipt
from actors.protocol.errors import OutcomeUnknown
from actors.protocol.roles import Role
from deploy.local.process import polled
from deploy.local.stack import GivenServers, LocalStack
from deploy.people import operator_client
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.mongo import RECORDS, tenant_database
from store.record import place
from store.verify import verify_tenant
from tests.faults.replica_set import ReplicaSet

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(180)]

TENANT = "failover"
ROOM = "room-1"
FAILOVERS = 2
POSTS_BETWEEN = 40


@pytest.fixture
async def replica_set(tmp_path: Path) -> AsyncIterator[ReplicaSet]:
    async with ReplicaSet(tmp_path / "mongo", secrets.token_hex(8)) as running:
        yield running


@pytest.fixture
async def cluster(tmp_path: Path, replica_set: ReplicaSet) -> AsyncIterator[LocalStack]:
    given = GivenServers(mongo_url=replica_set.url)
    async with LocalStack(tmp_path / "stack", given) as running:
        await running.create_tenant(TENANT, "Failover")
        yield running


async def test_a_commit_that_only_a_lost_primary_had_is_made_again(
    cluster: LocalStack, replica_set: ReplicaSet
) -> None:
    actor = await cluster.start_process("actors", "actors-1")
    await actor.wait_ready()
    async with operator_client(cluster.nats_url, cluster.secrets) as client:
        await client.send(TENANT, ROOM, _room())
        primary = await replica_set.primary()
        secondaries = [port for port in replica_set.ports if port != primary]
        # Killed, not stopped: what waits in the socket of a stopped one would still arrive.
        for port in secondaries:
            replica_set.members[port].kill(signal.SIGKILL)
        posting = asyncio.create_task(_post(client, "only the old primary has this"))
        await polled(lambda: _stands_at(replica_set.url_of(primary)))

        replica_set.members[primary].kill(signal.SIGKILL)
        for port in secondaries:
            await replica_set.start(port)
        receipt = await posting

    await _assert_whole(cluster, [receipt])


async def test_nothing_acknowledged_is_lost_when_primaries_die_under_load(
    cluster: LocalStack, replica_set: ReplicaSet
) -> None:
    actor = await cluster.start_process("actors", "actors-1")
    await actor.wait_ready()
    async with operator_client(cluster.nats_url, cluster.secrets) as client:
        await client.send(TENANT, ROOM, _room())
        receipts: list[Receipt] = []
        for _ in range(FAILOVERS):
            primary = await replica_set.primary()
            posting = [
                asyncio.create_task(_post(client, f"message {number}"))
                for number in range(POSTS_BETWEEN)
            ]
            await asyncio.wait(posting, return_when=asyncio.FIRST_COMPLETED)
            replica_set.members[primary].kill(signal.SIGKILL)
            receipts += await asyncio.gather(*posting)
            await replica_set.start(primary)

    await _assert_whole(cluster, receipts)


def _room() -> CreateRoom:
    return CreateRoom(client_id="create", actor="ana", role=Role.ANALYST, name="Failover")


async def _post(client: ActorClient, body: str) -> Receipt:
    client_id = secrets.token_hex(8)
    post = Post(client_id=client_id, actor="ana", role=Role.ANALYST, body=body)
    while True:
        try:
            return await client.send(TENANT, ROOM, post)
        except OutcomeUnknown:
            continue


async def _stands_at(url: str) -> Literal[True] | None:
    """Whether one member by itself has the entry after the room's first."""
    async with AsyncMongoClient[dict[str, Any]](url) as member:
        records = member[tenant_database(TENANT)][RECORDS].with_options(
            read_concern=ReadConcern("local")
        )
        return True if await records.find_one({"_id": place(ROOM, 2)}) else None


async def _assert_whole(cluster: LocalStack, receipts: list[Receipt]) -> None:
    connection = MongoConnection(cluster.mongo_url_for("auditor"))
    try:
        keys = KeyRing(connection, RootKey.from_file(cluster.secrets.root_key_file))
        verdict = await verify_tenant(connection, keys, TENANT)
    finally:
        await connection.close()
    assert verdict.problems == []
    room = next(room for room in verdict.rooms if room.room == ROOM)
    assert room.records == room.contents == 1 + len(receipts)
    assert sorted(receipt.seq for receipt in receipts) == list(range(2, 2 + len(receipts)))
