"""Streams: made as described, made once, brought up to date, never replaced."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError
from typing_extensions import override

from actors.protocol.limits import STREAM_AGE_MAX_S, STREAM_MESSAGE_BYTES_MAX
from actors.protocol.subjects import lane_of, parse_stored_room_subject
from deploy.provision.errors import ProvisionError
from deploy.provision.nats_streams import (
    INGEST_BYTES_MAX,
    TICKET_TTL_S,
    ensure_stream,
    find_stream,
    generation_of,
    ingest_config,
    room_config,
    shared_configs,
)
from tests.deploy.provisioned import NatsStack, nats_stack, new_tenant

LANES = 4


class WatchedContext(JetStreamContext):
    """A JetStream context that remembers what it was asked to change."""

    changes: list[str]

    @override
    async def update_stream(self, config: StreamConfig | None = None, **params: Any) -> StreamInfo:
        self.changes.append(str(config.name) if config else "")
        return await super().update_stream(config, **params)


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsStack]:
    async with nats_stack(tmp_path_factory.mktemp("streams")) as running:
        yield running


@pytest.fixture
async def js(stack: NatsStack) -> AsyncIterator[WatchedContext]:
    async with stack.sign_in("provisioner") as provisioner:
        context = WatchedContext(provisioner.client)
        context.changes = []
        yield context


def all_configs(tenant: str) -> tuple[StreamConfig, ...]:
    return (
        room_config(tenant, LANES, generation=1, replicas=1),
        ingest_config(tenant, replicas=1),
        *shared_configs(replicas=1),
    )


async def test_the_buffers_of_a_tenant_keep_what_they_accepted(js: WatchedContext) -> None:
    tenant = new_tenant()
    for config in all_configs(tenant):
        await ensure_stream(js, config)
    for name in (f"ROOM_{tenant}", f"INGEST_{tenant}"):
        held = (await js.stream_info(name)).config
        assert held.storage == StorageType.FILE
        assert held.discard == DiscardPolicy.NEW
        assert held.max_age == STREAM_AGE_MAX_S
        assert held.max_msg_size == STREAM_MESSAGE_BYTES_MAX
        assert held.deny_delete
        assert held.allow_direct
    ingest = (await js.stream_info(f"INGEST_{tenant}")).config
    assert ingest.max_bytes == INGEST_BYTES_MAX
    tickets = (await js.stream_info("KV_tickets")).config
    assert (tickets.storage, tickets.max_age) == (StorageType.MEMORY, TICKET_TTL_S)
    owners = (await js.stream_info("KV_owners")).config
    assert (owners.storage, owners.max_msgs_per_subject) == (StorageType.FILE, 1)


async def test_what_is_as_it_should_be_is_not_touched(js: WatchedContext) -> None:
    tenant = new_tenant()
    born = [await ensure_stream(js, config) for config in all_configs(tenant)]
    again = [await ensure_stream(js, config) for config in all_configs(tenant)]
    assert js.changes == []
    assert [info.created for info in again] == [info.created for info in born]


async def test_provisioners_that_start_at_once_make_one_stream(js: WatchedContext) -> None:
    config = ingest_config(new_tenant(), replicas=1)
    made = await asyncio.gather(*(ensure_stream(js, config) for _ in range(8)))
    assert len({info.created for info in made}) == 1


async def test_a_bound_that_changed_is_changed_and_the_messages_stay(
    stack: NatsStack, js: WatchedContext
) -> None:
    tenant = new_tenant()
    wanted = room_config(tenant, LANES, generation=3, replicas=1)
    old = replace(wanted, max_age=60.0, max_msg_size=1024, allow_direct=None, duplicate_window=30.0)
    await ensure_stream(js, old)
    async with stack.sign_in("gateway") as gateway:
        await gateway.client.jetstream().publish(f"room.{tenant}.r1.message", b"{}")
    info = await ensure_stream(js, wanted)
    assert js.changes == [f"ROOM_{tenant}"]
    assert info.config.max_age == STREAM_AGE_MAX_S
    assert info.config.max_msg_size == STREAM_MESSAGE_BYTES_MAX
    assert info.config.allow_direct
    assert (await js.stream_info(f"ROOM_{tenant}")).state.messages == 1
    assert generation_of(info) == 3


@pytest.mark.parametrize(
    ("difference", "named"),
    [
        ({"storage": StorageType.MEMORY}, "storage"),
        ({"deny_delete": False}, "deny_delete"),
        ({"subject_transform": None}, "subject_transform"),
    ],
)
async def test_what_cannot_be_changed_is_refused_and_left_alone(
    js: WatchedContext, difference: dict[str, Any], named: str
) -> None:
    wanted = room_config(new_tenant(), LANES, generation=1, replicas=1)
    before = await js.add_stream(replace(wanted, **difference))
    with pytest.raises(ProvisionError, match=named) as caught:
        await ensure_stream(js, wanted)
    assert caught.value.code == "stream_differs"
    after = await js.stream_info(str(wanted.name))
    assert (after.created, after.config) == (before.created, before.config)


async def test_other_lanes_are_refused_because_they_would_move_rooms(js: WatchedContext) -> None:
    tenant = new_tenant()
    await ensure_stream(js, room_config(tenant, 4, generation=1, replicas=1))
    with pytest.raises(ProvisionError, match="subject_transform"):
        await ensure_stream(js, room_config(tenant, 8, generation=1, replicas=1))


async def test_metadata_of_others_survives(js: WatchedContext) -> None:
    wanted = room_config(new_tenant(), LANES, generation=1, replicas=1)
    await js.add_stream(replace(wanted, metadata={"owner": "ops"}))
    held = (await ensure_stream(js, wanted)).config.metadata or {}
    assert held["owner"] == "ops"
    assert held["wardroom.generation"] == "1"
    assert held["wardroom.lanes"] == str(LANES)


async def test_the_server_puts_a_room_into_the_lane_we_compute(
    stack: NatsStack, js: WatchedContext
) -> None:
    tenant = new_tenant()
    await ensure_stream(js, room_config(tenant, LANES, generation=1, replicas=1))
    rooms = [f"room-{number}" for number in range(40)] + ["_tenant", "A", "z_9-"]
    async with stack.sign_in("gateway") as gateway:
        for room in rooms:
            await gateway.client.jetstream().publish(f"room.{tenant}.{room}.message", b"{}")
    lanes = set()
    for number, room in enumerate(rooms, start=1):
        stored = await js.get_msg(f"ROOM_{tenant}", number)
        parsed = parse_stored_room_subject(str(stored.subject))
        assert (parsed.tenant, parsed.room, parsed.kind) == (tenant, room, "message")
        assert parsed.lane == lane_of(room, LANES)
        lanes.add(parsed.lane)
    assert lanes == set(range(LANES))


async def test_a_full_buffer_refuses_the_newcomer_and_keeps_the_rest(
    stack: NatsStack, js: WatchedContext
) -> None:
    tenant = new_tenant()
    await ensure_stream(js, replace(ingest_config(tenant, replicas=1), max_bytes=4096))
    async with stack.sign_in("connectors") as sender:
        publish = sender.client.jetstream().publish
        await publish(f"ingest.{tenant}.qradar.offense", b"x" * 3000)
        with pytest.raises(APIError, match="maximum bytes exceeded"):
            await publish(f"ingest.{tenant}.qradar.offense", b"y" * 3000)
    assert (await js.stream_info(f"INGEST_{tenant}")).state.messages == 1


async def test_a_stream_that_is_not_there_is_not_found(js: WatchedContext) -> None:
    assert await find_stream(js, "ROOM_nobody") is None
