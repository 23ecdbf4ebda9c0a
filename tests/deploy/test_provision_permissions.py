"""The work of each user of ours, done with its permissions on the real server.

Who may publish and hear what is in `nats_policy.py`; what is shown here is that it is enough.
"""

import json
from collections.abc import AsyncIterator

import nats.errors
import pytest
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import KeyWrongLastSequenceError, ServerError

from actors.protocol.subjects import lane_filter, lane_of
from deploy.provision.nats_streams import (
    ensure_stream,
    ingest_config,
    room_config,
    shared_configs,
)
from deploy.provision.secrets import NatsUser
from tests.deploy.provisioned import NatsStack, nats_stack, new_tenant

LANES = 4


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsStack]:
    async with nats_stack(tmp_path_factory.mktemp("permissions")) as running:
        async with running.sign_in("provisioner") as provisioner:
            for config in shared_configs(replicas=1):
                await ensure_stream(provisioner.client.jetstream(), config)
        yield running


@pytest.fixture
async def tenant(stack: NatsStack) -> str:
    """A tenant with its streams in CORE."""
    made = new_tenant()
    async with stack.sign_in("provisioner") as provisioner:
        js = provisioner.client.jetstream()
        await ensure_stream(js, room_config(made, LANES, generation=1, replicas=1))
        await ensure_stream(js, ingest_config(made, replicas=1))
    return made


async def test_an_actor_can_read_a_lane_from_where_it_stopped(
    stack: NatsStack, tenant: str
) -> None:
    room, lane = "r1", lane_of("r1", LANES)
    async with stack.sign_in("gateway") as gateway, stack.sign_in("actors") as actors:
        for text in ("one", "two", "three"):
            await gateway.client.jetstream().publish(f"room.{tenant}.{room}.message", text.encode())
        js = actors.client.jetstream()
        await js.add_consumer(
            f"ROOM_{tenant}",
            ConsumerConfig(
                name=f"l{lane}-e1",
                ack_policy=AckPolicy.NONE,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=2,
                filter_subject=lane_filter(tenant, lane),
                inactive_threshold=15,
                mem_storage=True,
                num_replicas=1,
            ),
        )
        inbox = await actors.client.subscribe("_INBOX.lane")
        await actors.client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.ROOM_{tenant}.l{lane}-e1",
            json.dumps({"batch": 2}).encode(),
            reply="_INBOX.lane",
        )
        first, second = await inbox.next_msg(timeout=5), await inbox.next_msg(timeout=5)
        assert [first.data, second.data] == [b"two", b"three"]
        assert first.subject == f"room.{lane}.{tenant}.{room}.message"
        assert await js.delete_consumer(f"ROOM_{tenant}", f"l{lane}-e1")
        assert actors.violations == []


async def test_an_actor_can_use_a_durable_consumer_and_acknowledge(
    stack: NatsStack, tenant: str
) -> None:
    async with stack.sign_in("connectors") as sender, stack.sign_in("actors") as actors:
        await sender.client.jetstream().publish(f"ingest.{tenant}.qradar.offense", b"{}")
        js = actors.client.jetstream()
        durable = await js.pull_subscribe("", durable="ingest", stream=f"INGEST_{tenant}")
        [message] = await durable.fetch(1, timeout=5)
        await message.ack_sync()
        assert (await js.consumer_info(f"INGEST_{tenant}", "ingest")).num_ack_pending == 0
        assert actors.violations == []


async def test_an_actor_can_take_and_read_the_shards_with_compare_and_set(
    stack: NatsStack,
) -> None:
    async with stack.sign_in("actors") as actors:
        owners = await actors.client.jetstream().key_value("owners")
        key = new_tenant()
        revision = await owners.create(key, b"worker-a")
        assert (await owners.get(key)).value == b"worker-a"
        with pytest.raises(KeyWrongLastSequenceError):
            await owners.update(key, b"worker-b", last=revision - 1)
        await owners.update(key, b"worker-a again", last=revision)
        assert actors.violations == []


async def test_a_ticket_can_be_used_once(stack: NatsStack) -> None:
    once = {"Nats-Expected-Last-Subject-Sequence": "0"}
    subject = f"$KV.tickets.{new_tenant()}"
    async with stack.sign_in("gateway") as one, stack.sign_in("gateway") as other:
        await one.client.jetstream().publish(subject, b"", headers=once)
        with pytest.raises(nats.errors.Error, match="wrong last sequence"):
            await other.client.jetstream().publish(subject, b"", headers=once)


async def test_not_even_the_provisioner_can_take_one_command_out_of_a_stream(
    stack: NatsStack, tenant: str
) -> None:
    async with stack.sign_in("gateway") as gateway, stack.sign_in("provisioner") as provisioner:
        ack = await gateway.client.jetstream().publish(f"room.{tenant}.r1.message", b"{}")
        js = provisioner.client.jetstream()
        with pytest.raises(ServerError):
            await js.delete_msg(f"ROOM_{tenant}", ack.seq)
        assert (await js.stream_info(f"ROOM_{tenant}")).state.messages == 1


@pytest.mark.parametrize("user", ["gateway", "connectors"])
async def test_an_answer_of_the_server_used_as_a_request_leaves_streams_alone(
    stack: NatsStack, tenant: str, user: NatsUser
) -> None:
    """Reply subjects are not covered by permissions: the server itself publishes there.

    It does so with a PubAck, which strict JetStream does not take for a request. (An actor, who may
    read streams, can get at answers without a body too; see `deploy.provision.nats_permissions`.)
    """
    aims = (
        f"$JS.API.STREAM.PURGE.ROOM_{tenant}",
        f"$JS.API.STREAM.DELETE.ROOM_{tenant}",
        f"$JS.API.STREAM.UPDATE.ROOM_{tenant}",
        f"$JS.API.STREAM.MSG.DELETE.ROOM_{tenant}",
        "$JS.API.STREAM.CREATE.MINE",
    )
    async with stack.sign_in(user) as outside, stack.sign_in("provisioner") as provisioner:
        for aim in aims:
            for body in (b"", b"{}"):
                assert await outside.may_publish(f"room.{tenant}.r1.command", body, reply=aim)
        # A stream answers in order: by this answer all the others are out.
        await outside.client.jetstream().publish(f"room.{tenant}.r1.command", b"last")
        js = provisioner.client.jetstream()
        info = await js.stream_info(f"ROOM_{tenant}")
        assert info.state.messages == 2 * len(aims) + 1
        assert info.config.subjects == [f"room.{tenant}.*.*"]
        assert "MINE" not in [stream.config.name for stream in await js.streams_info()]
