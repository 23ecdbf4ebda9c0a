"""What each user may do in MongoDB, asked of the real server; and what it may not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from deploy.provision.mongo_access import (
    ensure_platform_collections,
    ensure_tenant_collections,
    ensure_users,
    url_for,
)
from deploy.provision.secrets import MongoUser, Secrets
from store.driver import Database, Document, MongoConnection
from store.mongo import (
    CONTENTS,
    LANES,
    PLATFORM_DATABASE,
    RECORDS,
    ROOM_KEYS,
    ROOMS,
    TENANT_INDEXES,
    TENANT_KEYS,
    TENANTS,
    TOKEN_KEYS,
    USERS,
    tenant_database,
)
from tests.deploy.provisioned import Stack, new_tenant, whole_stack

UNAUTHORIZED = 13

Attempt = Callable[[Database, str], Awaitable[object]]

ALTERATIONS: dict[str, Attempt] = {
    "update": lambda db, name: db[name].update_one({"_id": "a"}, {"$set": {"n": 2}}),
    "upsert": lambda db, name: db[name].update_one({"_id": "z"}, {"$set": {"n": 2}}, upsert=True),
    "replace": lambda db, name: db[name].replace_one({"_id": "a"}, {"n": 2}),
    "delete": lambda db, name: db[name].delete_one({"_id": "a"}),
    "delete many": lambda db, name: db[name].delete_many({}),
    "findAndModify": lambda db, name: db.command(
        "findAndModify", name, query={"_id": "a"}, update={"$set": {"n": 2}}
    ),
    "findAndModify remove": lambda db, name: db.command(
        "findAndModify", name, query={"_id": "a"}, remove=True
    ),
    "drop": lambda db, name: db.command("drop", name),
    "dropDatabase": lambda db, _: db.command("dropDatabase"),
    "createIndexes": lambda db, name: db[name].create_indexes([IndexModel([("n", 1)])]),
    "dropIndexes": lambda db, name: db.command("dropIndexes", name, index="*"),
    "collMod": lambda db, name: db.command("collMod", name, validationLevel="off"),
    "convertToCapped": lambda db, name: db.command("convertToCapped", name, size=4096),
    "rename": lambda db, name: db.command(
        "renameCollection", f"{db.name}.{name}", to=f"{db.name}.other"
    ),
    "$out": lambda db, name: db.command(
        "aggregate", name, pipeline=[{"$match": {}}, {"$out": name}], cursor={}
    ),
    "$merge": lambda db, name: db.command(
        "aggregate", name, pipeline=[{"$match": {}}, {"$merge": {"into": name}}], cursor={}
    ),
}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with whole_stack(tmp_path_factory.mktemp("mongo")) as running:
        yield running


@pytest.fixture
async def tenant(stack: Stack) -> str:
    made = new_tenant()
    await ensure_tenant_collections(stack.platform.mongo, made)
    return made


@asynccontextmanager
async def tenant_as(stack: Stack, user: MongoUser, tenant: str) -> AsyncIterator[Database]:
    async with stack.mongo(user) as connection:
        yield connection.database(tenant_database(tenant))


async def is_refused(attempt: Awaitable[object]) -> bool:
    try:
        await attempt
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        return True
    return False


@pytest.mark.parametrize("collection", [RECORDS, CONTENTS, ROOM_KEYS])
@pytest.mark.parametrize("alteration", ALTERATIONS)
async def test_an_actor_may_append_to_the_evidence_and_never_alter_it(
    stack: Stack, tenant: str, alteration: str, collection: str
) -> None:
    kept: Document = {"_id": "a", "n": 1}
    async with tenant_as(stack, "actors", tenant) as database:
        await database[collection].insert_one(kept)
        assert await is_refused(ALTERATIONS[alteration](database, collection))
        assert await database[collection].find({}).to_list(None) == [kept]


async def test_an_actor_may_maintain_projections(stack: Stack, tenant: str) -> None:
    async with tenant_as(stack, "actors", tenant) as database:
        for name in (ROOMS, LANES, USERS):
            await database[name].update_one({"_id": "a"}, {"$set": {"login": name}}, upsert=True)
            await database[name].delete_one({"_id": "a"})


@pytest.mark.parametrize("user", ["gateway", "auditor"])
async def test_a_reader_may_read_a_tenant_and_write_nothing(
    stack: Stack, tenant: str, user: MongoUser
) -> None:
    async with tenant_as(stack, "actors", tenant) as database:
        await database[RECORDS].insert_one({"_id": "a", "n": 1})
    async with tenant_as(stack, user, tenant) as database:
        assert await database[RECORDS].find_one({"_id": "a"}) == {"_id": "a", "n": 1}
        for name in (RECORDS, CONTENTS, ROOMS):
            assert await is_refused(database[name].insert_one({"_id": "b"}))
        for attempt in ALTERATIONS.values():
            assert await is_refused(attempt(database, RECORDS))


async def test_signing_keys_are_for_the_gateway_and_user_rows_not_for_the_auditor(
    stack: Stack, tenant: str
) -> None:
    async with stack.mongo("gateway") as gateway:
        assert await gateway.database(PLATFORM_DATABASE)[TOKEN_KEYS].find_one({})
    for user in ("actors", "auditor"):
        async with stack.mongo(user) as connection:
            platform = connection.database(PLATFORM_DATABASE)
            assert await is_refused(platform[TOKEN_KEYS].find_one({}))
            await platform[TENANT_KEYS].find_one({})
            assert await is_refused(platform[TENANTS].insert_one({"_id": "mine"}))
    async with tenant_as(stack, "auditor", tenant) as database:
        assert await is_refused(database[USERS].find_one({}))


async def test_the_provisioner_makes_tenants_and_can_not_touch_their_evidence(
    stack: Stack, tenant: str
) -> None:
    async with tenant_as(stack, "provisioner", tenant) as database:
        assert await is_refused(database[RECORDS].insert_one({"_id": "a"}))
        assert await is_refused(database[RECORDS].delete_many({}))
        assert await is_refused(database.command("drop", RECORDS))


@pytest.mark.parametrize("user", ["actors", "gateway", "auditor", "provisioner"])
async def test_no_process_may_manage_users_or_see_the_oplog(stack: Stack, user: MongoUser) -> None:
    async with stack.mongo(user) as connection:
        admin = connection.database("admin")
        grant = admin.command("grantRolesToUser", user, roles=["root"])
        assert await is_refused(grant)
        assert await is_refused(admin.command("createUser", "mallory", pwd="x", roles=[]))
        assert await is_refused(connection.database("local")["oplog.rs"].find_one({}))
        assert await is_refused(connection.database("anything")["else"].find_one({}))


async def test_a_tenant_has_its_collections_and_indexes(stack: Stack, tenant: str) -> None:
    database = stack.admin.database(tenant_database(tenant))
    assert set(await database.list_collection_names()) == set(TENANT_INDEXES)
    for name, wanted in TENANT_INDEXES.items():
        answer = await database.command("listIndexes", name)
        held = {index["name"]: index for index in answer["cursor"]["firstBatch"]}
        assert set(held) == {"_id_", *(model.document["name"] for model in wanted)}
        for model in wanted:
            index = held[model.document["name"]]
            assert dict(index["key"]) == dict(model.document["key"])
            assert index.get("unique", False) == model.document.get("unique", False)


async def test_doing_it_all_again_and_at_once_disturbs_nobody(stack: Stack, tenant: str) -> None:
    async with tenant_as(stack, "actors", tenant) as database:
        await database[RECORDS].insert_one({"_id": "1", "client_id": "1", "src": 1})

        async def again() -> None:
            await ensure_users(stack.admin, stack.secrets)
            await ensure_platform_collections(stack.platform.mongo)
            await ensure_tenant_collections(stack.platform.mongo, tenant)

        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(again())
        await database[RECORDS].insert_one({"_id": "2", "client_id": "2", "src": 2})
        assert await is_refused(database[RECORDS].delete_many({}))


async def test_a_role_or_user_that_was_widened_is_brought_back(stack: Stack, tenant: str) -> None:
    admin = stack.admin.database("admin")
    everything = {"resource": {"db": "", "collection": RECORDS}, "actions": ["remove"]}
    await admin.command("grantPrivilegesToRole", "wardroomActors", privileges=[everything])
    await admin.command("grantRolesToUser", "gateway", roles=["root"])
    async with tenant_as(stack, "actors", tenant) as database:
        await database[RECORDS].insert_one({"_id": "a"})
        await database[RECORDS].delete_one({"_id": "a"})
        await ensure_users(stack.admin, stack.secrets)
        assert await is_refused(database[RECORDS].delete_one({"_id": "a"}))
    async with tenant_as(stack, "gateway", tenant) as database:
        assert await is_refused(database[RECORDS].insert_one({"_id": "b"}))


async def test_a_password_of_other_secrets_does_not_let_in(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Secrets(tmp_path_factory.mktemp("other") / "secrets")
    connection = MongoConnection(url_for(stack.mongod.url, "actors", other))
    try:
        with pytest.raises(OperationFailure) as caught:
            await connection.ping()
        assert other.mongo_password("actors") not in str(caught.value)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("mongodb://h1:1,h2:2/?replicaSet=rs", "@h1:1,h2:2/?replicaSet=rs&authSource=admin"),
        ("mongodb://root:pw@h1/db?authSource=x&tls=true", "@h1/?tls=true&authSource=admin"),
        ("mongodb+srv://cluster.example", "@cluster.example/?authSource=admin"),
    ],
)
def test_a_users_url_keeps_hosts_and_options(secrets: Secrets, given: str, expected: str) -> None:
    made = url_for(given, "gateway", secrets)
    scheme = given.partition("://")[0]
    assert made == f"{scheme}://gateway:{secrets.mongo_password('gateway')}{expected}"


@pytest.fixture
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return Secrets(tmp_path_factory.mktemp("urls") / "secrets")
