"""Directory servers for all tests of this package, and a branch of its own for each."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gateway.directory.directory import Directory
from gateway.directory.settings import DirectorySettings
from tests.gateway.directory.authority import Authority
from tests.gateway.directory.samba import Domain, running_samba
from tests.gateway.directory.slapd import MANY, Place, Slapd, running_slapd

Opener = Callable[[DirectorySettings], Directory]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Who signs the servers' certificates."""
    return Authority("the authority of the tests")


@pytest.fixture(scope="session")
async def slapd(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> AsyncIterator[Slapd]:
    """One OpenLDAP server for the whole run."""
    async with running_slapd(tmp_path_factory.mktemp("slapd"), authority, many=MANY) as running:
        yield running


@pytest.fixture(scope="session")
async def domain(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> AsyncIterator[Domain]:
    """One Active Directory domain for the whole run."""
    async with running_samba(tmp_path_factory.mktemp("samba"), authority) as running:
        yield running


@pytest.fixture
def place(slapd: Slapd) -> Iterator[Place]:
    """A branch of the OpenLDAP server that no other test knows."""
    made = Place(slapd)
    yield made
    made.close()


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Makes directories that are closed when the test ends."""
    made: list[Directory] = []

    def make(settings: DirectorySettings) -> Directory:
        made.append(Directory(settings))
        return made[-1]

    yield make
    for directory in made:
        directory.close()
