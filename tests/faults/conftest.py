"""Servers that the faults of one file may kill, and a tenant for each test."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from deploy.local.stack import LocalStack
from tests.actors.running import Running, running_on

# Before they are imported, so that their assertions tell as much as those of the tests.
pytest.register_assert_rewrite("tests.e2e.clients", "tests.e2e.persistent")


@pytest.fixture(scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """A stack that nobody else uses."""
    async with LocalStack(tmp_path_factory.mktemp("field")) as stack:
        yield stack


@pytest.fixture
async def running(field: LocalStack) -> AsyncIterator[Running]:
    """Connections to the field; every test starts the actors it needs."""
    async with running_on(field) as made:
        yield made


@pytest.fixture
async def target(field: LocalStack) -> str:
    """A tenant of one test."""
    made = f"t{uuid4().hex[:12]}"
    await field.create_tenant(made, "A tenant under fire")
    return made
