"""What a client keeps while JetStream takes nothing is bounded, and who is turned away is told."""

import orjson
import pytest

from actors.client import ActorClient
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.limits import OUTBOX_COMMANDS_MAX
from actors.runtime.jetstream import Bus
from deploy.local.stack import LocalStack

TENANT_WITHOUT_STREAM = "nobody"
ROOM = "room-1"


async def test_commands_beyond_what_may_wait_are_refused(stack: LocalStack) -> None:
    bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("gateway"), "outbox")
    client = await ActorClient.start(bus, "outbox")
    try:
        command = orjson.dumps({"type": "post"})
        for _ in range(OUTBOX_COMMANDS_MAX):
            client.post_nowait(TENANT_WITHOUT_STREAM, ROOM, command)
        with pytest.raises(Refusal) as refused:
            client.post_nowait(TENANT_WITHOUT_STREAM, ROOM, command)
    finally:
        await client.drain()
        await bus.close()
    assert refused.value.code is ErrorCode.UNAVAILABLE
