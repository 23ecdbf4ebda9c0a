"""A gateway starts again, and everybody comes at once: their tokens let them in, not their passwords."""

import asyncio
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import orjson
import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from typing_extensions import override

from deploy.local.children import Child
from deploy.local.stack import LocalStack
from tests.e2e.system import Company, System, found_company, running
from tests.faults.load import metric

pytestmark = [pytest.mark.servers, pytest.mark.slow]

SOCKETS: Final = 5_000
AT_ONCE: Final = 200
"""Connections that are being opened; the kernel's queue of a listening socket is not the subject."""
FILES_BESIDE: Final = 500
PATIENCE_S: Final = 90.0
PASSWORD_HASHES: Final = "wardroom_gateway_password_hashes_total"
"""The metric."""


@dataclass
class Visitor(WSListener):
    """Says hello and waits for what is said to it."""

    token: str = field(repr=False)
    answer: asyncio.Future[str] = field(default_factory=asyncio.Future)

    @override
    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, orjson.dumps({"type": "hello", "token": self.token}))

    @override
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT and not self.answer.done():
            self.answer.set_result(orjson.loads(frame.get_payload_as_bytes())["type"])

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.answer.done():
            self.answer.set_result("disconnected")


@pytest.fixture
def many_files() -> None:
    """As many open files as the sockets of one process take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SOCKETS + FILES_BESIDE
    assert hard >= wanted, f"allow {wanted} open files: ulimit -n {wanted}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


@pytest.fixture
async def system(many_files: None, stack: LocalStack) -> AsyncIterator[System]:
    """A system of its own: its gateway is stopped."""
    async with running(stack, actors=1, gateways=1) as system:
        yield system


async def visited(url: str, tokens: list[str]) -> tuple[list[WSTransport], set[str]]:
    """Sockets at a gateway, and what they were answered."""
    places = asyncio.Semaphore(AT_ONCE)

    async def visit(token: str) -> tuple[WSTransport, str]:
        async with places:
            visitor = Visitor(token)
            transport, _ = await ws_connect(lambda *_: visitor, f"{url}/ws/v1")
            return transport, await visitor.answer

    async with asyncio.timeout(PATIENCE_S):
        found = await asyncio.gather(*map(visit, tokens))
    return [transport for transport, _ in found], {answer for _, answer in found}


def address(gateway: Child) -> str:
    """Where a gateway's sockets are."""
    return gateway.health_url.replace("http", "ws", 1)


async def test_everybody_is_back_after_a_restart_and_no_password_was_asked_for(
    system: System,
) -> None:
    company: Company = await found_company(system)
    people = [await company.sign_in(name) for name in ("ana", "bob", "vera", "tom")]
    tokens = [people[number % len(people)].access for number in range(SOCKETS)]
    [first] = system.gateways
    assert await metric(first.child, PASSWORD_HASHES) == len(people)

    await first.child.stop()
    async with system.another_gateway() as second:
        sockets, answers = await visited(address(second.child), tokens)

        assert answers == {"welcome"}
        assert await metric(second.child, "wardroom_gateway_sockets") == SOCKETS
        assert await metric(second.child, PASSWORD_HASHES) == 0
        for socket in sockets:
            socket.disconnect()
