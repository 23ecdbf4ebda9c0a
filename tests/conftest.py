"""What every test may ask for: the servers of this run, and a tenant of its own."""

import os
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from deploy.local.stack import LocalStack
from tests.support.servers import stack_for


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """One provisioned stack for the whole run; it has no tenant and no process of ours."""
    async with stack_for(tmp_path_factory.mktemp("stack"), os.environ) as running:
        yield running


@pytest.fixture
async def tenant(stack: LocalStack) -> str:
    """A tenant that no other test knows."""
    made = f"t{uuid4().hex[:12]}"
    await stack.create_tenant(made, "A tenant of one test")
    return made
