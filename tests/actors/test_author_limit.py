"""One author's limit in one room, whichever way his messages take."""

from pathlib import Path

import pytest

from actors.client import ActorClient
from actors.protocol.errors import ErrorCode, Refusal
from deploy.local.stack import LocalStack
from tests.actors.people import MEMBER
from tests.actors.running import Place, lanes_known, running_on

pytestmark = pytest.mark.servers

THREE_AT_ONCE = "0.05"
"""Messages a second, of which a minute's worth may come at once."""


async def test_what_one_author_may_say_is_not_more_through_two_gateways(tmp_path: Path) -> None:
    async with LocalStack(tmp_path) as stack, running_on(stack) as running:
        await stack.create_tenant("acme", "Acme")
        await running.start(WARDROOM_POSTS_PER_SECOND_AUTHOR=THREE_AT_ONCE)
        place = Place(running, "acme")
        await place.create("r1", open_to=[MEMBER.role])
        await place.post("r1", 1)
        await place.post("r1", 2)

        running.client = await ActorClient.start(running.bus, "another", lanes_known)
        await place.post("r1", 3)
        with pytest.raises(Refusal) as refused:
            await place.post("r1", 4)

        assert refused.value.code is ErrorCode.TOO_MANY
        assert (await place.post("r1", 3)).duplicate
        await place.post("r1", 5, MEMBER)
        assert [entry.client_id for entry in await place.entries("r1", kind="message")] == [
            *("m1", "m2", "m3", "m5")
        ]
