"""What every test may ask for: the servers of this run, and a tenant of its own."""

import gc
import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from hypothesis import settings

from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.keys import RootKey
from tests.support.servers import stack_for

STACK: Final = "stack"
"""Whatever starts servers for tests is a fixture of this name, here or nearer to the test."""
WITH_SERVERS: Final = tuple(Path(__file__).parent / name for name in ("e2e", "faults", "load"))


# An example that takes long on a busy machine is no wrong result.
settings.register_profile("untimed", deadline=None)
# What `check` asks for: a developer runs it all day, and the whole suite tries all examples.
settings.register_profile("few", deadline=None, max_examples=20)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Let the collector of garbage pass over all that is imported: it is never garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs servers, so that the fast ones can be run without them."""
    for item in items:
        asks = isinstance(item, pytest.Function) and STACK in item.fixturenames
        if asks or any(item.path.is_relative_to(place) for place in WITH_SERVERS):
            item.add_marker(pytest.mark.servers)


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


@pytest.fixture(scope="session")
async def admin(stack: LocalStack) -> AsyncIterator[MongoConnection]:
    """A connection with all rights in MongoDB."""
    opened = MongoConnection(stack.mongo_url)
    yield opened
    await opened.close()


@pytest.fixture
def root(stack: LocalStack) -> RootKey:
    """The root key, which no administrator of MongoDB has."""
    return RootKey.from_file(stack.secrets.root_key_file)
