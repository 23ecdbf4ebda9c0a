"""A tenant's external system against another tenant: whatever it tries stays in its own account.

What it may not even try is in `nats_policy.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import nats.errors
import pytest

from deploy.provision.nats_identity import TENANT_CONNECTIONS_MAX, TENANT_PAYLOAD_BYTES_MAX
from deploy.provision.tenants import create_tenant
from tests.deploy.provisioned import Session, Stack, new_tenant, settled, whole_stack


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with whole_stack(tmp_path_factory.mktemp("isolation")) as running:
        yield running


@dataclass(frozen=True)
class Pair:
    """Tenant A, who is left in peace, and tenant B, who is not."""

    stack: Stack
    a: str
    b: str

    async def stored(self, stream: str) -> list[tuple[str, bytes]]:
        """Subject and body of all that a stream holds."""
        js = self.stack.platform.core.jetstream()
        info = await js.stream_info(stream)
        messages = [await js.get_msg(stream, seq + 1) for seq in range(info.state.last_seq)]
        return [(str(message.subject), message.data or b"") for message in messages]


@pytest.fixture
async def pair(stack: Stack) -> Pair:
    made = Pair(stack, new_tenant(), new_tenant())
    for tenant in (made.a, made.b):
        await create_tenant(stack.platform, tenant, tenant)
    return made


@pytest.fixture
async def intruder(pair: Pair) -> AsyncIterator[Session]:
    """Signed in with B's credentials."""
    async with pair.stack.sign_in_tenant(pair.b) as session:
        yield session


async def test_an_external_system_gets_a_puback_for_what_it_sends(
    pair: Pair, intruder: Session
) -> None:
    for expected in (1, 2):
        ack = await intruder.client.jetstream().publish("ingest.qradar.offense", b"{}")
        assert (ack.stream, ack.seq) == (f"INGEST_{pair.b}", expected)
    stored = await pair.stored(f"INGEST_{pair.b}")
    assert stored == [(f"ingest.{pair.b}.qradar.offense", b"{}")] * 2


async def test_naming_another_tenant_in_the_subject_names_nobody(
    pair: Pair, intruder: Session
) -> None:
    for subject in (f"ingest.{pair.a}.x", f"ingest.{pair.a}.qradar.offense"):
        ack = await intruder.client.jetstream().publish(subject, b"forged")
        assert ack.stream == f"INGEST_{pair.b}"
    assert await pair.stored(f"INGEST_{pair.a}") == []
    assert [subject for subject, _ in await pair.stored(f"INGEST_{pair.b}")] == [
        f"ingest.{pair.b}.{pair.a}.x",
        f"ingest.{pair.b}.{pair.a}.qradar.offense",
    ]


async def test_listening_on_every_inbox_hears_nobody_elses(pair: Pair, intruder: Session) -> None:
    ear = await intruder.client.subscribe("_INBOX.>")
    await settled(intruder.client)
    async with pair.stack.sign_in_tenant(pair.a) as other:
        await other.client.jetstream().publish("ingest.qradar.offense", b"{}")
    async with pair.stack.sign_in("gateway") as gateway:
        await gateway.client.jetstream().publish(f"room.{pair.a}.r1.command", b"{}")
    await settled(intruder.client)
    assert ear.pending_msgs == 0


async def test_a_reply_subject_reaches_into_no_other_account(pair: Pair, intruder: Session) -> None:
    aims = (
        f"room.{pair.a}.r.command",
        f"room.{pair.b}.r.command",
        f"ingest.{pair.a}.b.c",
        f"event.{pair.a}.r",
        f"$JS.API.STREAM.PURGE.ROOM_{pair.a}",
        f"$JS.API.STREAM.DELETE.ROOM_{pair.a}",
        f"$JS.API.STREAM.PURGE.INGEST_{pair.b}",
        "$KV.owners.shards",
        "$KV.tickets.x",
        "platform.tenants",
        f"deadletter.{pair.a}.x",
        "ingest.again",
    )
    async with pair.stack.sign_in("gateway") as gateway:
        await gateway.client.jetstream().publish(f"room.{pair.a}.r.message", b"kept")
        event = await gateway.client.subscribe(f"event.{pair.a}.>")
        news = await gateway.client.subscribe("platform.tenants")
        await settled(gateway.client)
        for aim in aims:
            await intruder.may_publish("ingest.qradar.offense", b"", reply=aim)
        # A stream answers in order: by this answer all the others are out.
        last = await intruder.client.jetstream().publish("ingest.qradar.offense", b"last")
        await settled(gateway.client)
        assert (event.pending_msgs, news.pending_msgs) == (0, 0)
    assert last.seq == len(aims) + 1
    assert [body for _, body in await pair.stored(f"ROOM_{pair.a}")] == [b"kept"]
    assert await pair.stored(f"ROOM_{pair.b}") == []
    assert await pair.stored(f"INGEST_{pair.a}") == []
    for shared in ("DEADLETTERS", "KV_owners", "KV_tickets"):
        assert await pair.stored(shared) == []


async def test_the_same_message_id_of_two_tenants_is_two_messages(
    pair: Pair, intruder: Session
) -> None:
    same = {"Nats-Msg-Id": "offense-1"}
    first = await intruder.client.jetstream().publish("ingest.a.b", b"B", headers=same)
    async with pair.stack.sign_in_tenant(pair.a) as other:
        second = await other.client.jetstream().publish("ingest.a.b", b"A", headers=same)
        again = await other.client.jetstream().publish("ingest.a.b", b"A", headers=same)
    assert (first.duplicate, second.duplicate, again.duplicate) == (None, None, True)
    assert [body for _, body in await pair.stored(f"INGEST_{pair.a}")] == [b"A"]


async def test_headers_that_ask_the_server_for_more_reach_no_other_stream(
    pair: Pair, intruder: Session
) -> None:
    async with pair.stack.sign_in_tenant(pair.a) as other:
        await other.client.jetstream().publish("ingest.a.b", b"kept")
    for name, value in (
        ("Nats-Rollup", "all"),
        ("Nats-Expected-Stream", f"INGEST_{pair.a}"),
        ("Nats-Request-Info", '{"acc":"CORE"}'),
        ("Nats-Trace-Dest", f"room.{pair.a}.r.command"),
    ):
        await intruder.client.publish("ingest.a.b", b"x", headers={name: value})
    await intruder.client.jetstream().publish("ingest.a.b", b"last")
    assert [body for _, body in await pair.stored(f"INGEST_{pair.a}")] == [b"kept"]
    assert await pair.stored(f"ROOM_{pair.a}") == []


async def test_more_connections_than_allowed_are_refused_to_this_tenant_only(pair: Pair) -> None:
    async with AsyncExitStack() as held:
        for _ in range(TENANT_CONNECTIONS_MAX):
            await held.enter_async_context(pair.stack.sign_in_tenant(pair.b))
        with pytest.raises(nats.errors.Error, match="maximum account active connections"):
            await held.enter_async_context(pair.stack.sign_in_tenant(pair.b))
        async with pair.stack.sign_in_tenant(pair.a) as other:
            await other.client.jetstream().publish("ingest.a.b", b"{}")


async def test_who_sends_more_than_its_stream_would_take_is_cut_off(
    pair: Pair, intruder: Session
) -> None:
    await intruder.client.publish("ingest.a.b", b"x" * (TENANT_PAYLOAD_BYTES_MAX + 1))
    async with asyncio.timeout(10):
        await intruder.closed.wait()
    assert await pair.stored(f"INGEST_{pair.b}") == []
