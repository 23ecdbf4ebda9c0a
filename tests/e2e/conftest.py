"""What the end-to-end tests may ask for: the system that runs, and companies that use it."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.stack import LocalStack

# Before they are imported, so that their assertions tell as much as those of the tests.
pytest.register_assert_rewrite("tests.e2e.clients", "tests.e2e.persistent")

from tests.e2e.system import Company, System, found_company, running  # noqa: E402


@pytest.fixture(scope="package")
async def system(stack: LocalStack) -> AsyncIterator[System]:
    """One actor process and two gateways, for all tests of this package."""
    async with running(stack, actors=1, gateways=2) as system:
        yield system


@pytest.fixture
async def company(system: System) -> Company:
    """A tenant that no other test knows."""
    return await found_company(system)


@pytest.fixture
async def other_company(system: System) -> Company:
    """A second one."""
    return await found_company(system)
