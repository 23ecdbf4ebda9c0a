"""Tenants: made in one go, repaired by doing it again, numbered at every birth of their stream."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from actors.protocol.limits import LANES_DEFAULT
from deploy.provision import tenants as steps
from deploy.provision.births import take_number
from deploy.provision.errors import ProvisionError
from deploy.provision.keys import ensure_tenant_key
from deploy.provision.nats_streams import create_stream, generation_of, room_config
from deploy.provision.secrets import Secrets
from deploy.provision.tenants import (
    create_tenant,
    list_tenants,
    open_platform,
    provision_platform,
    tenant_credentials_file,
)
from deploy.provision.token_keys import ensure_token_keys
from store.driver import Document
from store.keys import TENANT_KEY, KeyRing, RootKey
from store.mongo import (
    DEAD_LETTERS,
    PLATFORM_DATABASE,
    TENANT_KEYS,
    TENANTS,
    TOKEN_KEYS,
    USERS,
    tenant_database,
)
from store.reader import Reader
from store.rows import TenantRow
from tests.deploy.provisioned import Stack, new_tenant, whole_stack

STEPS = (
    "push_account",
    "ensure_tenant_credentials",
    "ensure_tenant_collections",
    "_ensure_document",
    "ensure_stream",
    "ensure_room_stream",
)


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with whole_stack(tmp_path_factory.mktemp("tenants")) as running:
        yield running


async def platform_document(stack: Stack, collection: str, key: str) -> Document:
    document = await stack.admin.database(PLATFORM_DATABASE)[collection].find_one({"_id": key})
    assert document is not None
    return document


async def generations(stack: Stack, tenant: str) -> tuple[int, int]:
    """What MongoDB and the stream say."""
    document = await platform_document(stack, TENANTS, tenant)
    info = await stack.platform.core.jetstream().stream_info(f"ROOM_{tenant}")
    return document["generation"], generation_of(info)


async def assert_works(stack: Stack, tenant: str) -> None:
    """An external system can publish, a gateway can, and readers and keys are in place."""
    async with stack.sign_in_tenant(tenant) as external:
        ack = await external.client.jetstream().publish("ingest.qradar.offense", b"{}")
        assert ack.stream == f"INGEST_{tenant}"
    async with stack.sign_in("gateway") as gateway:
        ack = await gateway.client.jetstream().publish(f"room.{tenant}.r1.message", b"{}")
        assert ack.stream == f"ROOM_{tenant}"
    async with stack.mongo("actors") as connection:
        ring = KeyRing(connection, RootKey(stack.secrets.root_key()))
        await ring.tenant_cipher(tenant)
        assert await Reader(connection, ring).tenant(tenant) is not None
    mongo, stream = await generations(stack, tenant)
    assert mongo == stream > 0


async def test_a_new_tenant_works_at_once_without_a_restart(stack: Stack) -> None:
    tenant, pid = new_tenant(), stack.server.process.pid
    row = await create_tenant(stack.platform, tenant, "Acme Ltd", lanes=8)
    assert row == TenantRow(tenant, "Acme Ltd", lanes=8, generation=1)
    await assert_works(stack, tenant)
    assert stack.server.process.pid == pid
    assert stack.server.process.returncode is None
    assert tenant_credentials_file(stack.secrets, tenant).is_file()


async def test_doing_it_again_changes_nothing(stack: Stack) -> None:
    tenant = new_tenant()
    first = await create_tenant(stack.platform, tenant, "Acme")
    key = await platform_document(stack, TENANT_KEYS, tenant)
    credentials = tenant_credentials_file(stack.secrets, tenant).read_bytes()
    async with stack.sign_in_tenant(tenant) as external:
        assert await create_tenant(stack.platform, tenant, "Other name", lanes=9) == first
        rows = await provision_platform(stack.platform, stack.admin)
        assert first in rows
        await external.client.jetstream().publish("ingest.a.b", b"still connected")
    assert await platform_document(stack, TENANT_KEYS, tenant) == key
    assert tenant_credentials_file(stack.secrets, tenant).read_bytes() == credentials


async def test_provisioners_that_run_at_once_make_one_tenant_and_one_token_key(
    stack: Stack,
) -> None:
    tenant = new_tenant()

    async def provision() -> TenantRow:
        async with stack.another_provisioner() as platform:
            await provision_platform(platform, stack.admin)
            return await create_tenant(platform, tenant, "Acme")

    rows = await asyncio.gather(*(provision() for _ in range(4)))
    assert len(set(rows)) == 1
    await assert_works(stack, tenant)
    keys = stack.admin.database(PLATFORM_DATABASE)[TOKEN_KEYS]
    assert {document["_id"] async for document in keys.find({})} == {"token-1", "token-2"}


@pytest.mark.parametrize("step", STEPS)
async def test_a_run_that_was_cut_short_is_finished_by_the_next(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    tenant = new_tenant()

    def cut(*_: object, **__: object) -> None:
        raise ConnectionAbortedError(step)

    with monkeypatch.context() as cutting:
        cutting.setattr(steps, step, cut)
        with pytest.raises(ConnectionAbortedError):
            await create_tenant(stack.platform, tenant, "Acme")
    await create_tenant(stack.platform, tenant, "Acme")
    await assert_works(stack, tenant)


async def test_a_tenant_whose_birth_was_cut_short_is_finished_by_the_platforms_run(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = new_tenant()

    def cut(*_: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as cutting:
        cutting.setattr(steps, "ensure_room_stream", cut)
        with pytest.raises(ConnectionAbortedError):
            await create_tenant(stack.platform, tenant, "Acme")
    await provision_platform(stack.platform, stack.admin)
    await assert_works(stack, tenant)


async def test_a_stream_that_was_lost_is_born_again_under_a_new_number(stack: Stack) -> None:
    tenant, js = new_tenant(), stack.platform.core.jetstream()
    await create_tenant(stack.platform, tenant, "Acme", lanes=2)
    for born in (2, 3):
        await js.delete_stream(f"ROOM_{tenant}")
        row = await create_tenant(stack.platform, tenant, "Acme")
        assert (row.generation, row.lanes) == (born, 2)
        assert await generations(stack, tenant) == (born, born)
    await assert_works(stack, tenant)


async def test_two_who_saw_the_same_number_do_not_both_take_the_next(stack: Stack) -> None:
    tenant = new_tenant()
    await create_tenant(stack.platform, tenant, "Acme")
    seen = await platform_document(stack, TENANTS, tenant)
    assert await take_number(stack.platform.tenants, seen)
    assert not await take_number(stack.platform.tenants, seen)


async def test_a_number_that_was_taken_and_not_used_is_never_used(stack: Stack) -> None:
    tenant = new_tenant()
    await create_tenant(stack.platform, tenant, "Acme")
    # A provisioner took number 2 and died before it made the stream.
    await stack.platform.tenants.update_one({"_id": tenant}, {"$inc": {"births": 1}})
    await stack.platform.core.jetstream().delete_stream(f"ROOM_{tenant}")
    row = await create_tenant(stack.platform, tenant, "Acme")
    assert row.generation == 3
    assert await generations(stack, tenant) == (3, 3)


async def test_a_stream_that_is_there_keeps_its_number_though_another_was_taken(
    stack: Stack,
) -> None:
    tenant = new_tenant()
    await create_tenant(stack.platform, tenant, "Acme")
    await stack.platform.tenants.update_one({"_id": tenant}, {"$inc": {"births": 5}})
    assert (await create_tenant(stack.platform, tenant, "Acme")).generation == 1
    assert await generations(stack, tenant) == (1, 1)


async def test_an_older_state_of_a_stream_gets_a_new_number(stack: Stack) -> None:
    tenant, js = new_tenant(), stack.platform.core.jetstream()
    await create_tenant(stack.platform, tenant, "Acme")
    await js.delete_stream(f"ROOM_{tenant}")
    await create_tenant(stack.platform, tenant, "Acme")
    await js.delete_stream(f"ROOM_{tenant}")
    restored = room_config(tenant, LANES_DEFAULT, generation=1, replicas=1)
    assert await create_stream(js, restored) is not None
    assert (await create_tenant(stack.platform, tenant, "Acme")).generation == 3
    assert await generations(stack, tenant) == (3, 3)


async def test_a_number_that_only_the_stream_remembers_is_taken_over(stack: Stack) -> None:
    tenant, js = new_tenant(), stack.platform.core.jetstream()
    await create_stream(js, room_config(tenant, LANES_DEFAULT, generation=7, replicas=1))
    assert (await create_tenant(stack.platform, tenant, "Acme")).generation == 7
    await js.delete_stream(f"ROOM_{tenant}")
    assert (await create_tenant(stack.platform, tenant, "Acme")).generation == 8


async def test_many_births_at_once_end_with_one_stream_and_one_number(stack: Stack) -> None:
    tenant, js = new_tenant(), stack.platform.core.jetstream()
    await create_tenant(stack.platform, tenant, "Acme")
    before, _ = await generations(stack, tenant)
    await js.delete_stream(f"ROOM_{tenant}")
    rows = await asyncio.gather(*(create_tenant(stack.platform, tenant, "A") for _ in range(6)))
    assert len({row.generation for row in rows}) == 1
    mongo, stream = await generations(stack, tenant)
    assert mongo == stream == rows[0].generation > before


async def test_running_processes_are_told(stack: Stack) -> None:
    tenant = new_tenant()
    async with stack.sign_in("gateway") as gateway:
        told = await gateway.client.subscribe("platform.tenants")
        await gateway.client.flush()
        await gateway.client.flush()
        await create_tenant(stack.platform, tenant, "Acme")
        assert (await told.next_msg(timeout=5)).data == tenant.encode()


async def test_tenants_are_listed_by_id(stack: Stack) -> None:
    made = [await create_tenant(stack.platform, new_tenant(), "Acme") for _ in range(3)]
    listed = await list_tenants(stack.platform.mongo)
    assert [row for row in listed if row in made] == sorted(made, key=lambda row: row.id)


async def test_a_tenants_key_opens_under_the_root_key_and_its_own_name_only(stack: Stack) -> None:
    tenant, other = new_tenant(), new_tenant()
    for one in (tenant, other):
        await create_tenant(stack.platform, one, "Acme")
    root = RootKey(stack.secrets.root_key())
    wrapped = (await platform_document(stack, TENANT_KEYS, tenant))["wrapped"]
    assert len(root.unwrap(TENANT_KEY, tenant, wrapped)) == 32
    with pytest.raises(Exception, match="seal"):
        root.unwrap(TENANT_KEY, other, wrapped)


async def test_a_root_key_of_another_installation_is_refused(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tenant = new_tenant()
    await create_tenant(stack.platform, tenant, "Acme")
    foreign = RootKey(Secrets(tmp_path_factory.mktemp("foreign") / "secrets").root_key())
    with pytest.raises(ProvisionError) as caught:
        await ensure_token_keys(stack.platform.mongo, foreign, 0)
    assert caught.value.code == "wrong_root_key"
    with pytest.raises(ProvisionError) as caught:
        await ensure_tenant_key(stack.platform.mongo, foreign, tenant)
    assert caught.value.code == "wrong_root_key"


async def test_a_tenants_lost_key_is_not_replaced_by_one_that_opens_nothing(stack: Stack) -> None:
    tenant = new_tenant()
    await create_tenant(stack.platform, tenant, "Acme")
    keys = stack.admin.database(PLATFORM_DATABASE)[TENANT_KEYS]
    key = await platform_document(stack, TENANT_KEYS, tenant)
    await keys.delete_one({"_id": tenant})
    with pytest.raises(ProvisionError) as caught:
        await create_tenant(stack.platform, tenant, "Acme")
    assert caught.value.code == "tenant_key_lost"
    assert await keys.find_one({"_id": tenant}) is None
    await keys.insert_one(key)
    await create_tenant(stack.platform, tenant, "Acme")


@pytest.mark.parametrize(
    ("tenant", "name", "lanes", "code"),
    [
        ("Acme", "Acme", 4, "bad_tenant_id"),
        ("a.b", "Acme", 4, "bad_tenant_id"),
        ("a*", "Acme", 4, "bad_tenant_id"),
        ("", "Acme", 4, "bad_tenant_id"),
        ("current", "Acme", 4, "reserved_tenant_id"),
        ("acme", "", 4, "bad_tenant_name"),
        ("acme", "x" * 201, 4, "bad_tenant_name"),
        ("acme", "Acme", 0, "bad_lanes"),
        ("acme", "Acme", 65, "bad_lanes"),
    ],
)
async def test_a_bad_argument_is_refused_before_anything_is_made(
    stack: Stack, tenant: str, name: str, lanes: int, code: str
) -> None:
    with pytest.raises(ProvisionError) as caught:
        await create_tenant(stack.platform, tenant, name, lanes)
    assert caught.value.code == code
    assert tenant not in [row.id for row in await list_tenants(stack.platform.mongo)]
    assert tenant_database(tenant) not in await stack.admin.database_names()


async def test_a_server_of_other_secrets_is_named_as_the_reason(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = Secrets(tmp_path_factory.mktemp("foreign") / "secrets")
    with pytest.raises(ProvisionError) as caught:
        async with open_platform(foreign, stack.server.url, stack.mongod.url):
            pass
    assert caught.value.code == "nats_unreachable"


async def test_a_tenant_whose_index_can_not_be_built_holds_up_no_other_and_is_named(
    stack: Stack,
) -> None:
    broken, other = sorted((new_tenant(), new_tenant()))
    for tenant in (broken, other):
        await create_tenant(stack.platform, tenant, "Acme")
        database = stack.admin.database(tenant_database(tenant))
        for collection in (USERS, DEAD_LETTERS):
            await database.command("dropIndexes", collection, index="*")
    users = stack.admin.database(tenant_database(broken))[USERS]
    for user in ("usr_1", "usr_2"):
        await users.insert_one({"_id": user, "login": "a secret of theirs"})
    try:
        with pytest.raises(ProvisionError) as caught:
            await provision_platform(stack.platform, stack.admin)
        said = str(caught.value)
        assert caught.value.code == "tenants_unfinished"
        assert broken in said
        assert other not in said
        for part in ("login_once", f"{tenant_database(broken)}.users", "tenant create"):
            assert part in said
        assert "a secret of theirs" not in said
        assert "login_once" in await _indexes(stack, other, USERS)
        # Of the tenant itself too, what can be built is built.
        assert "newest_first" in await _indexes(stack, broken, DEAD_LETTERS)
    finally:
        await users.delete_many({})
    rows = await provision_platform(stack.platform, stack.admin)
    assert {broken, other} <= {row.id for row in rows}
    assert "login_once" in await _indexes(stack, broken, USERS)


async def test_servers_that_are_away_end_a_run_at_once(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tenant would wait for them in vain."""
    await create_tenant(stack.platform, new_tenant(), "Acme")
    asked: list[str] = []

    async def away(_: object, tenant: str) -> None:
        asked.append(tenant)
        raise ServerSelectionTimeoutError("no server")

    monkeypatch.setattr(steps, "ensure_tenant_collections", away)
    with pytest.raises(ServerSelectionTimeoutError):
        await provision_platform(stack.platform, stack.admin)
    assert len(asked) == 1


async def _indexes(stack: Stack, tenant: str, collection: str) -> set[str]:
    database = stack.admin.database(tenant_database(tenant))
    listed = await database.command("listIndexes", collection)
    return {index["name"] for index in listed["cursor"]["firstBatch"]}
