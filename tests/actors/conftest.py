"""One actor process for the tests of this package; those that stop it start another."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.stack import LocalStack
from tests.actors.running import Place, Running, running_on


@pytest.fixture(scope="package")
async def running(stack: LocalStack) -> AsyncIterator[Running]:
    """Actors that run on the stack of all tests."""
    async with running_on(stack) as made:
        await made.start()
        yield made


@pytest.fixture
def place(running: Running, tenant: str) -> Place:
    """A tenant that the actors learn of while they run."""
    return Place(running, tenant)
