"""A provisioner that is killed anywhere leaves nothing that the next one does not finish."""

from typing import Final

import pytest

from deploy.local.children import Child
from tests.e2e.clients import Client
from tests.e2e.platform import Platform, boss_of, new_tenant, platform_of, provisioner, settled
from tests.e2e.system import Company, System, found_company
from tests.support.eventually import eventually

CREATING: Final = (
    "tenant_key_made",
    "tenant_account_made",
    "tenant_document_made",
    "tenant_streams_made",
    "administrator_wanted",
    "tenant_made",
)
ENDING: Final = (
    "tenant_account_closed",
    "tenant_locked",
    "destruction_noted",
    "streams_deleted",
    "key_destroyed",
)
KILLED: Final = -9


@pytest.fixture(scope="module")
async def platform(system: System) -> Platform:
    """The platform's tenant is there, and every tenant of before is known to it; nobody provisions."""
    found = platform_of(system)
    async with provisioner(system) as child:
        await child.wait_ready()
    return found


@pytest.mark.parametrize("point", CREATING)
async def test_a_creation_is_completed_by_the_next_run(platform: Platform, point: str) -> None:
    admin = await platform.admin()
    wanted = new_tenant()
    assert (await admin.ask("POST", "/tenants", wanted)).status_code == 202
    await _die(platform, point)
    assert (await admin.call("GET", f"/tenants/{wanted['id']}"))["status"] == "creating"
    async with provisioner(platform.system):
        await settled(admin, wanted["id"], "active")
        boss = await boss_of(admin, wanted)
        room = await boss.open_room()
        assert (await boss.say(room, "hello", "c-1"))["seq"] == 2


@pytest.mark.parametrize("point", ENDING)
async def test_a_deletion_is_completed_by_the_next_run(platform: Platform, point: str) -> None:
    async with platform.system.another_gateway(WARDROOM_TENANT_DELETION_DAYS="0") as hasty:
        admin = await platform.admin(hasty.http)
        tenant = await _company_that_is_known(platform, admin)
        await admin.call("DELETE", f"/tenants/{tenant}")
        await _die(platform, point)
        assert (await admin.call("GET", f"/tenants/{tenant}"))["status"] != "deleted"
        async with provisioner(platform.system):
            await settled(admin, tenant, "deleted")


async def test_a_tenant_that_is_resumed_in_the_middle_of_its_suspension_is_open(
    platform: Platform,
) -> None:
    admin = await platform.admin()
    tenant = await _company_that_is_known(platform, admin)
    await admin.call("POST", f"/tenants/{tenant}/suspend", {})
    await _die(platform, "tenant_locked")
    await admin.call("POST", f"/tenants/{tenant}/resume")
    async with provisioner(platform.system):
        await settled(admin, tenant, "active")
    await Company(platform.system, tenant).sign_in("ana")


async def _die(platform: Platform, point: str) -> None:
    async with provisioner(platform.system, WARDROOM_FAILPOINTS=f"{point}:kill:1") as doomed:
        assert await eventually(lambda: _ended(doomed), f"death at {point}") == KILLED


async def _ended(child: Child) -> int | None:
    return child.process.returncode


async def _company_that_is_known(platform: Platform, admin: Client) -> str:
    company = await found_company(platform.system)
    async with provisioner(platform.system):
        await settled(admin, company.tenant, "active")
    return company.tenant
