"""nats-server and mongod are killed in the middle of load and come back on their port and data."""

import shutil

import pytest

from actors.protocol.subjects import room_stream
from deploy.local.stack import LocalStack
from tests.actors.running import Running
from tests.faults.load import load_on

pytestmark = [pytest.mark.servers, pytest.mark.slow]

ROUNDS = 3


@pytest.mark.parametrize("server", ["nats", "mongo"])
async def test_what_was_acknowledged_survives_kills_of(
    field: LocalStack,
    running: Running,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
    server: str,
) -> None:
    await running.start()
    async with load_on(running, target, monkeypatch) as load:
        for _ in range(ROUNDS):
            killed = field.nats if server == "nats" else field.mongo
            assert killed is not None
            killed.kill()
            await killed.process.wait()
            await killed.start()
            await load.progress(200)


async def test_both_servers_killed_at_once_lose_nothing(
    field: LocalStack, running: Running, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.start()
    assert field.nats is not None
    assert field.mongo is not None
    async with load_on(running, target, monkeypatch) as load:
        field.mongo.kill()
        field.nats.kill()
        await field.nats.process.wait()
        await field.mongo.process.wait()
        await field.nats.start()
        await field.mongo.start()
        await load.progress(200)


async def test_when_jetstream_loses_its_storage_what_is_committed_stays_and_more_is_committed(
    field: LocalStack, running: Running, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.start()
    assert field.nats is not None
    async with load_on(running, target, monkeypatch) as load:
        field.nats.kill()
        await field.nats.process.wait()
        shutil.rmtree(field.directory / "nats" / "jetstream")
        await field.nats.start()
        born = {row.id: row.generation for row in await field.provision()}
        assert born[target] == 2, room_stream(target)
        await load.progress(200)
