"""The store against real servers, once with each driver, with the rights of an actor process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from deploy.local.stack import LocalStack
from deploy.provision.keys import ensure_tenant_key
from store.driver import Database, DriverName, MongoConnection
from store.keys import KeyRing, RootKey
from store.log import TenantLog
from store.mongo import RECORDS, TENANT_INDEXES, USERS, tenant_database
from store.projections import Projections
from store.tenant_reader import TenantReader

MakeTenant = Callable[[], Awaitable[str]]


@pytest.fixture(scope="session", params=["motor", "pymongo"])
def driver(request: pytest.FixtureRequest) -> DriverName:
    """Both drivers give the same store."""
    name: DriverName = request.param
    return name


@pytest.fixture(scope="session")
async def connection(stack: LocalStack, driver: DriverName) -> AsyncIterator[MongoConnection]:
    """A connection as an actor process has it."""
    opened = MongoConnection(stack.mongo_url_for("actors"), driver=driver)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def provisioner(stack: LocalStack) -> AsyncIterator[MongoConnection]:
    """A connection that makes tenants."""
    opened = MongoConnection(stack.mongo_url_for("provisioner"))
    yield opened
    await opened.close()


@pytest.fixture
def keys(connection: MongoConnection, root: RootKey) -> KeyRing:
    """A key ring that remembers nothing yet."""
    return KeyRing(connection, root)


@pytest.fixture
def make_tenant(provisioner: MongoConnection, root: RootKey) -> MakeTenant:
    """Makes fresh tenants with what the store rests on: a key, and the indexes that decide."""

    async def make() -> str:
        made = f"s{uuid4().hex[:12]}"
        await ensure_tenant_key(provisioner, root, made)
        database = provisioner.database(tenant_database(made))
        for name in (RECORDS, USERS):
            await database[name].create_indexes(list(TENANT_INDEXES[name]))
        return made

    return make


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> str:
    """A fresh tenant."""
    return await make_tenant()


@pytest.fixture
def log(connection: MongoConnection, keys: KeyRing, tenant: str) -> TenantLog:
    """The log of a fresh tenant."""
    return TenantLog(connection, keys, tenant)


@pytest.fixture
def reader(connection: MongoConnection, keys: KeyRing, tenant: str) -> TenantReader:
    """The reader of the same tenant."""
    return TenantReader(connection, keys, tenant)


@pytest.fixture
def projections(connection: MongoConnection, keys: KeyRing, tenant: str) -> Projections:
    """The projections of the same tenant."""
    return Projections(connection, keys, tenant)


@pytest.fixture
def database(admin: MongoConnection, tenant: str) -> Database:
    """The same tenant's database, for an administrator."""
    return admin.database(tenant_database(tenant))
