"""Makes so what the platform's chain says of tenants; the one process with the privileges for it.

It compares: what shall be (the rows that the platform's actor projects) with what is (the documents of
tenants), and does the steps between, each of which may be done again. So it needs no queue and no memory
of its own, and one that is killed anywhere is followed by one that goes on.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog
from nats.errors import Error as NatsError
from pymongo.errors import PyMongoError

from actors.client import ActorClient
from actors.protocol.commands import (
    Command,
    CreateUser,
    EndSessions,
    LockTenant,
    ManageTenant,
    Origin,
)
from actors.protocol.errors import ErrorCode, OutcomeUnknown, Refusal
from actors.protocol.ids import PLATFORM_TENANT, TENANT_ROOM
from actors.protocol.roles import Role
from actors.protocol.tenancy import (
    Adopt,
    BeginDestruction,
    Confirm,
    FirstAdministrator,
    TenantAction,
)
from deploy.provision.endings import begin_suspension, destroy, end_suspension, note_suspended
from deploy.provision.errors import ProvisionError
from deploy.provision.tenants import Platform, create_tenant
from store.errors import StoreError
from store.mongo import DESTROYED, SESSIONS, SUSPENDED, tenant_database
from store.reader import Reader
from store.rows import ManagedTenantRow, TenantRow

log = structlog.get_logger(__name__)

PROVISIONER: Final = "provisioner"
PLATFORM_NAME: Final = "Platform"
PLATFORM_LANES: Final = 1
SYSTEM: Final = Origin(method="system")

AT_REST: Final = {"active": "", "suspended": SUSPENDED, "deleted": DESTROYED}
"""The stage at which nothing is left to be done for a status, whatever time it is."""

FAILURES: Final = (
    ProvisionError,
    Refusal,
    OutcomeUnknown,
    NatsError,
    PyMongoError,
    StoreError,
    OSError,
)
"""How a step may fail that is then left to the next pass."""

Step = Callable[[Platform, ManagedTenantRow], Awaitable[None]]


class Provisioner:
    """One pass after the other. `now_ms` is the wall clock in Unix milliseconds."""

    def __init__(self, reader: Reader, client: ActorClient, now_ms: Callable[[], int]) -> None:
        self._reader = reader
        self._client = client
        self._now_ms = now_ms

    async def is_settled(self) -> bool:
        """Whether there is nothing to do now. Costs a reading of two small collections.

        Raises:
            pymongo.errors.PyMongoError: MongoDB can't be reached.
        """
        unknown, wanting = await self._look()
        return not unknown and not wanting

    async def settle(self, platform: Platform) -> None:
        """Do what there is to do; what can't be done now is logged, and left to the next pass."""
        unknown, wanting = await self._look()
        for tenant in unknown:
            await self._guarded(tenant.id, self._manage(tenant.id, Adopt(name=tenant.name)))
        for row, step in wanting:
            await self._guarded(row.tenant, step(platform, row))

    async def _look(self) -> tuple[list[TenantRow], list[tuple[ManagedTenantRow, Step]]]:
        """Tenants that were made by an operator and are unknown to the chain; and what is to be done."""
        # In this order: one that is asked for and made in between is known.
        tenants = await self._reader.tenants()
        stages = {tenant.id: tenant.stage for tenant in tenants}
        stages |= dict.fromkeys(await self._reader.destroyed_tenants(), DESTROYED)
        statuses = await self._reader.managed_statuses()
        wanting: list[tuple[ManagedTenantRow, Step]] = []
        for name, status in statuses.items():
            if AT_REST.get(status) == stages.get(name, ""):
                continue
            row = await self._reader.managed_tenant(PLATFORM_TENANT, name)
            step = self._step(row, stages) if row is not None else None
            if row is not None and step is not None:
                wanting.append((row, step))
        known = {PLATFORM_TENANT, *statuses}
        return [tenant for tenant in tenants if tenant.id not in known], wanting

    def _step(self, row: ManagedTenantRow, stages: Mapping[str, str]) -> Step | None:
        stage = stages.get(row.tenant, "")
        match row.status:
            case "creating":
                return self._create
            case "active" if stage:
                return self._resume
            case "deleting" if row.due_ms is not None and row.due_ms <= self._now_ms():
                return self._begin_destruction
            case "suspended" | "deleting" if stage != SUSPENDED:
                return self._suspend
            case "destroying":
                return self._destroy
            case _:
                return None

    async def _create(self, platform: Platform, row: ManagedTenantRow) -> None:
        await create_tenant(platform, row.tenant, row.profile["name"])
        if row.administrator is not None:
            first = FirstAdministrator.model_validate(row.administrator)
            platform.reach("administrator_wanted")
            await self._tell(row.tenant, _creation(first))
        platform.reach("tenant_made")
        await self._manage(row.tenant, Confirm(done="created"))

    async def _suspend(self, platform: Platform, row: ManagedTenantRow) -> None:
        await begin_suspension(platform, row.tenant)
        reason = "suspended by the platform" if row.status == "suspended" else "to be deleted"
        lock = LockTenant(**system_marks(), locked=True, reason=reason)
        # First: after it nobody comes in any more, and those who are in are sent out.
        await self._tell(row.tenant, lock)
        platform.reach("tenant_locked")
        database = platform.mongo.database(tenant_database(row.tenant))
        open_sessions = await database[SESSIONS].find({"ended": False}, {"user": 1}).to_list(None)
        for user in sorted({session["user"] for session in open_sessions}):
            await self._tell(row.tenant, EndSessions(**system_marks(), user=user))
        await note_suspended(platform, row.tenant)

    async def _resume(self, platform: Platform, row: ManagedTenantRow) -> None:
        await self._tell(row.tenant, LockTenant(**system_marks(), locked=False))
        await end_suspension(platform, row.tenant)

    async def _begin_destruction(self, platform: Platform, row: ManagedTenantRow) -> None:
        # Nobody is left inside, and only the actor knows that nobody has cancelled meanwhile.
        await self._suspend(platform, row)
        await self._manage(row.tenant, BeginDestruction())

    async def _destroy(self, platform: Platform, row: ManagedTenantRow) -> None:
        await destroy(platform, row.tenant)
        await self._manage(row.tenant, Confirm(done="destroyed"))

    async def _manage(self, tenant: str, action: TenantAction) -> None:
        command = ManageTenant(**system_marks(), tenant=tenant, action=action)
        await self._tell(PLATFORM_TENANT, command)

    async def _tell(self, tenant: str, command: Command) -> None:
        try:
            await self._client.send(tenant, TENANT_ROOM, command)
        except Refusal as refusal:
            # It is so already: a pass before this one was cut short.
            if refusal.code is not ErrorCode.CONFLICT:
                raise

    async def _guarded(self, tenant: str, work: Awaitable[None]) -> None:
        try:
            await work
        except FAILURES as error:
            log.warning("tenant.not_settled", tenant=tenant, error=repr(error))
        else:
            log.info("tenant.settled", tenant=tenant)


async def ensure_platform_tenant(platform: Platform) -> None:
    """Make the platform's own tenant if it is missing."""
    if await platform.tenants.find_one({"_id": PLATFORM_TENANT}) is None:
        await create_tenant(platform, PLATFORM_TENANT, PLATFORM_NAME, PLATFORM_LANES)


def system_marks() -> dict[str, Any]:
    """What every command of a provisioner has."""
    return {
        "client_id": f"prv_{secrets.token_hex(12)}",
        "actor": PROVISIONER,
        "role": Role.SYSTEM,
        "origin": SYSTEM,
    }


def _creation(first: FirstAdministrator) -> CreateUser:
    return CreateUser(
        # The same in every pass, and refused where it is done: a tenant has one first administrator.
        client_id=f"create-{first.user}",
        actor=PROVISIONER,
        role=Role.SYSTEM,
        origin=SYSTEM,
        user=first.user,
        username=first.username,
        email=first.email,
        display_name=first.display_name,
        user_role=Role.TENANT_ADMIN,
        password_hash=first.password_hash,
    )
