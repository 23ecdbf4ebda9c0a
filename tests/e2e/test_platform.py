"""Tenants come, are suspended and go at run time, by REST, and nobody but the platform's people asks."""

import asyncio
import sys
from collections.abc import AsyncIterator

import nats
import orjson
import pytest

from actors.protocol.roles import Role
from deploy.local.children import CHECKOUT, Child
from deploy.local.stack import LocalStack
from deploy.provision.errors import ProvisionError
from store.driver import MongoConnection
from store.errors import KeyMissing
from store.keys import KeyRing, RootKey
from store.mongo import LOGINS, PLATFORM_DATABASE, TENANT_KEYS
from store.verify import verify_tenant
from tests.actors.offenses import offense
from tests.e2e.clients import Client
from tests.e2e.platform import (
    Platform,
    boss_of,
    created,
    may_connect,
    new_tenant,
    platform_of,
    provisioner,
    settled,
)
from tests.e2e.system import PASSWORD, Company, System, running
from tests.e2e.test_ingest import SUBJECT, external_system, incident
from tests.support.eventually import PATIENCE_S


@pytest.fixture(scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """On servers of its own: who provisions everything meets every tenant there is, such as those that
    other tests have tampered with."""
    directory = tmp_path_factory.mktemp("platform")
    async with LocalStack(directory) as stack, running(stack, actors=1, gateways=2) as system:
        yield system


@pytest.fixture(scope="module")
async def worker(system: System) -> AsyncIterator[Child]:
    async with provisioner(system) as child:
        await child.wait_ready()
        yield child


@pytest.fixture
def platform(system: System, worker: Child) -> Platform:
    return platform_of(system)


async def test_a_tenant_that_is_asked_for_is_there_with_everything_and_nothing_is_restarted(
    platform: Platform,
) -> None:
    admin = await platform.admin()
    wanted = await created(admin, country="DE", data_region="eu-central")
    shown = await admin.call("GET", f"/tenants/{wanted['id']}")
    assert (shown["name"], shown["country"], shown["data_region"], shown["sla"]) == (
        "Made at run time",
        "DE",
        "eu-central",
        None,
    )
    boss = await boss_of(admin, wanted)
    room = await boss.open_room(open_to=["tenant_admin"])
    said = await boss.say(room, "hello", "c-1")
    assert said["seq"] == 2
    company = Company(platform.system, wanted["id"])
    async with external_system(company) as siem:
        await siem.publish(SUBJECT, orjson.dumps(offense(17)))
    assert await incident(boss, "17")


async def test_a_suspension_ends_every_session_and_keeps_people_and_systems_out_until_it_is_over(
    platform: Platform, company: Company
) -> None:
    admin = await platform.admin()
    tenant = f"/tenants/{company.tenant}"
    await settled(admin, company.tenant, "active")
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
    staff = await platform.sign_in("sam", Role.ANALYST)
    grant = f"/users/{staff.user}/grants/{company.tenant}"
    await admin.call("PUT", grant, {"role": "viewer"})
    async with ana.socket() as first, bob.socket() as second:
        await admin.call("POST", f"{tenant}/suspend", {"reason": "unpaid"})
        assert [await first.closed(), await second.closed()] == [4401, 4401]
    await settled(admin, company.tenant, "suspended")
    assert (await ana.ask("GET", "/rooms")).status_code == 401
    refreshed = await ana.ask("POST", "/auth/refresh", {"refresh_token": ana.refresh})
    assert refreshed.status_code == 401
    assert await _sign_in(company, PASSWORD) == (403, "tenant_suspended")
    assert await _sign_in(company, "another one") == (401, "login_failed")
    assert not await may_connect(company)

    assert (await staff.ask("GET", f"{tenant}/rooms")).status_code == 200

    # Whoever provisions everything again must not let it in by the way.
    await platform.system.stack.provision()
    assert not await may_connect(company)

    await admin.call("POST", f"{tenant}/resume")
    await settled(admin, company.tenant, "active")
    again = await company.sign_in("ana")
    room = await again.open_room()
    assert (await again.say(room, "back", "c-1"))["seq"] == 2
    assert await may_connect(company)
    tom = await company.sign_in("tom")
    shown = (await tom.call("GET", "/audit-logs?operation=tenant.lock"))["items"]
    assert [item["after"]["locked"] for item in shown] == [False, True]


async def test_a_connection_of_a_suspended_tenant_is_cut(
    platform: Platform, company: Company
) -> None:
    admin = await platform.admin()
    await settled(admin, company.tenant, "active")
    secrets = company.system.stack.secrets
    cut = asyncio.Event()

    async def on_closed() -> None:
        cut.set()

    siem = await nats.connect(
        company.system.stack.nats_url,
        user_credentials=str(secrets.tenant_credentials_file(company.tenant)),
        allow_reconnect=False,
        closed_cb=on_closed,
    )
    try:
        await admin.call("POST", f"/tenants/{company.tenant}/suspend", {})
        async with asyncio.timeout(PATIENCE_S):
            await cut.wait()
    finally:
        await siem.close()


async def test_a_deleted_tenant_can_be_taken_back_until_its_time_is_over(
    platform: Platform, company: Company
) -> None:
    admin = await platform.admin()
    await settled(admin, company.tenant, "active")
    await admin.call("DELETE", f"/tenants/{company.tenant}")
    waiting = await settled(admin, company.tenant, "deleting")
    assert waiting["due_at"] is not None
    assert await _sign_in(company, PASSWORD) == (403, "tenant_suspended")
    await admin.call("POST", f"/tenants/{company.tenant}/cancel-deletion")
    living = await settled(admin, company.tenant, "active")
    assert living["due_at"] is None
    await company.sign_in("ana")


async def test_what_a_destroyed_tenant_wrote_can_not_be_opened_and_its_chain_still_verifies(
    platform: Platform, company: Company
) -> None:
    system = platform.system
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    await ana.say(room, "a secret of theirs", "c-1")
    async with system.another_gateway(WARDROOM_TENANT_DELETION_DAYS="0") as hasty:
        admin = await platform.admin(hasty.http)
        await settled(admin, company.tenant, "active")
        await admin.call("DELETE", f"/tenants/{company.tenant}")
        await settled(admin, company.tenant, "deleted")
        refused = await admin.ask("POST", "/tenants", new_tenant() | {"id": company.tenant})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        again = await admin.ask("POST", f"/tenants/{company.tenant}/cancel-deletion")
        assert again.status_code == 409
    assert await _sign_in(company, PASSWORD) == (401, "login_failed")
    assert (await ana.ask("GET", f"/rooms/{room}/entries")).status_code == 401
    secrets = system.stack.secrets
    assert not secrets.tenant_credentials_file(company.tenant).exists()

    connection = MongoConnection(system.stack.mongo_url_for("auditor"))
    try:
        keys = KeyRing(connection, RootKey.from_file(secrets.root_key_file))
        with pytest.raises(KeyMissing):
            await keys.tenant_cipher(company.tenant)
        verdict = await verify_tenant(connection, keys, company.tenant, headers_only=True)
        assert verdict.verified
        assert {found.room: found.records for found in verdict.rooms}[room] == 2
    finally:
        await connection.close()
    admin_of_mongo = MongoConnection(system.stack.mongo_url)
    try:
        database = admin_of_mongo.database(PLATFORM_DATABASE)
        assert await database[TENANT_KEYS].find_one({"_id": company.tenant}) is None
        assert await database[LOGINS].find_one({"tenant": company.tenant}) is None
    finally:
        await admin_of_mongo.close()
    # Provisioning passes it by, and nobody makes it anew.
    assert company.tenant not in {row.id for row in await system.stack.provision()}
    with pytest.raises(ProvisionError, match="tenant_destroyed"):
        await system.stack.create_tenant(company.tenant, "Again")


async def test_staff_of_the_platform_read_the_tenants_they_are_granted_and_no_others(
    platform: Platform, company: Company, other_company: Company
) -> None:
    admin = await platform.admin()
    staff = await platform.sign_in("sam", Role.ANALYST)
    ana = await company.sign_in("ana")
    room = await ana.open_room(open_to=["analyst"])
    hidden = await ana.open_room()
    await ana.say(room, "for those who may", "c-1")
    here, there = f"/tenants/{company.tenant}", f"/tenants/{other_company.tenant}"
    await settled(admin, company.tenant, "active")
    grant = f"/users/{staff.user}/grants/{company.tenant}"
    assert (await staff.ask("GET", f"{here}/rooms")).status_code == 404
    await admin.call("PUT", grant, {"role": "analyst"})

    listed = (await staff.call("GET", f"{here}/rooms"))["items"]
    assert [item["id"] for item in listed] == [room]
    read = (await staff.call("GET", f"{here}/rooms/{room}/entries"))["items"]
    assert read[1]["body"] == "for those who may"
    statuses = {
        path: (await staff.ask("GET", path)).status_code
        for path in (
            f"{here}/rooms/{hidden}",
            f"{here}/users",
            f"{there}/rooms",
            f"{there}/rooms/{room}",
            "/tenants/none/rooms",
            "/tenants",
        )
    }
    assert statuses == {
        f"{here}/rooms/{hidden}": 404,
        f"{here}/users": 403,
        f"{there}/rooms": 404,
        f"{there}/rooms/{room}": 404,
        "/tenants/none/rooms": 404,
        "/tenants": 404,
    }
    await admin.call("PUT", grant, {"role": "tenant_admin"})
    people = (await staff.call("GET", f"{here}/users"))["items"]
    assert {item["username"] for item in people} >= {company.username("ana")}
    log = (await staff.call("GET", f"{here}/audit-logs?actor={staff.user}"))["items"]
    assert {item["operation"] for item in log} == {"evidence.read"}
    assert {item["object"]["type"] for item in log} == {
        "room",
        "room_list",
        "user_list",
        "audit_log",
    }
    await admin.call("DELETE", grant)
    assert (await staff.ask("GET", f"{here}/rooms")).status_code == 404
    own = await admin.call("GET", f"/audit-logs?operation=tenant.grant&object_id={company.tenant}")
    assert [item["after"]["granted"] for item in own["items"]] == [None, "tenant_admin", "analyst"]


async def test_the_first_administrator_of_the_platform_is_made_on_the_command_line(
    platform: Platform, company: Company
) -> None:
    name = f"first.{platform.mark}"
    words = ("user", "create", "platform", name, "--role", "platform_admin", "--json")
    status, said = await _command(platform.system, *words)
    assert status == 0, said
    http = platform.system.gateways[0].http
    admin = await Client.sign_in(http, name, orjson.loads(said)["password"])
    assert (await admin.ask("GET", "/tenants")).status_code == 200

    elsewhere = ("user", "create", company.tenant, name, "--role", "platform_admin")
    status, said = await _command(platform.system, *elsewhere)
    assert status == 2, said
    assert "of the tenant 'platform' only" in said


async def _command(system: System, *words: str) -> tuple[int, str]:
    stack = system.stack
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *words),
        env={
            "PYTHONPATH": str(CHECKOUT),
            "WARDROOM_NATS_URL": stack.nats_url,
            "WARDROOM_MONGO_URL": stack.mongo_url,
            "WARDROOM_SECRETS_DIR": str(stack.secrets.directory),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(2 * PATIENCE_S):
        out, _ = await child.communicate()
    return child.returncode or 0, out.decode()


async def _sign_in(company: Company, password: str) -> tuple[int, str]:
    http = company.system.gateways[1].http
    credentials = {"username": company.username("bob"), "password": password}
    answer = await http.post("/api/v1/auth/login", json=credentials)
    return answer.status_code, answer.json().get("code", "")
