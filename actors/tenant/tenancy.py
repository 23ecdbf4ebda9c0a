"""What becomes of tenants, decided by the actor of the platform tenant; and the lock of one's own doors.

The chain says what shall be and what has been done; making it so is the provisioner's work, which comes
back with a confirmation. Only here is it decided whether a deletion can still be cancelled.
"""

from dataclasses import replace
from typing import Final, assert_never

from actors.protocol.commands import GrantTenant, LockTenant, ManageTenant
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.ids import PLATFORM_TENANT, RESERVED_TENANTS
from actors.protocol.limits import MANAGED_TENANTS_MAX, PROFILE_BYTES_MAX
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.protocol.tenancy import (
    Adopt,
    BeginDestruction,
    CancelDeletion,
    Change,
    Confirm,
    Create,
    Delete,
    ManagedTenant,
    Resume,
    Suspend,
    TenantProfile,
    TenantStatus,
)
from actors.protocol.tenancy_events import (
    ManagedTenantEvent,
    TenantAdopted,
    TenantChanged,
    TenantCreated,
    TenantDeletionCancelled,
    TenantDeletionRequested,
    TenantDestroyed,
    TenantDestructionBegun,
    TenantGranted,
    TenantLocked,
    TenantRequested,
    TenantResumed,
    TenantSuspended,
)
from actors.tenant.rights import may
from actors.tenant.state import TenantState
from actors.tenant.users import unfit_text

DAY_MS: Final = 24 * 3600 * 1000

_STATUS_AFTER: Final[dict[str, TenantStatus]] = {
    TenantCreated.kind: "active",
    TenantResumed.kind: "active",
    TenantSuspended.kind: "suspended",
    TenantDestructionBegun.kind: "destroying",
    TenantDestroyed.kind: "deleted",
}

TenancyCommand = ManageTenant | GrantTenant | LockTenant
TenancyEvent = ManagedTenantEvent | TenantGranted | TenantLocked


def decide(state: TenantState, command: TenancyCommand, now_ms: int) -> TenancyEvent | Rejection:
    """What a command makes of the tenants, or of a tenant's own doors."""
    match command:
        case ManageTenant():
            return manage(state, command, now_ms)
        case GrantTenant():
            return grant(state, command)
        case LockTenant():
            return lock(state, command)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: TenancyEvent, at_ms: int) -> TenantState:
    """The state after an event."""
    match event:
        case TenantGranted():
            return granted(state, event)
        case TenantLocked():
            return replace(state, locked=event.locked)
        case _:
            return managed(state, event, at_ms)


def manage(
    state: TenantState, command: ManageTenant, now_ms: int
) -> ManagedTenantEvent | Rejection:
    """What a command makes of a tenant."""
    if not may(state, command, Permission.PLATFORM_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "this is for the platform's administrators")
    if command.tenant == PLATFORM_TENANT:
        return Rejection(ErrorCode.CONFLICT, "the platform's own tenant is not managed here")
    held = state.tenants.get(command.tenant)
    if isinstance(command.action, Create | Adopt):
        return _born(state, command, command.action, held)
    if held is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such tenant")
    if isinstance(command.action, BeginDestruction | Confirm):
        return _done(command, command.action, held, now_ms)
    return _asked(command, held, now_ms)


def _born(
    state: TenantState, command: ManageTenant, action: Create | Adopt, held: ManagedTenant | None
) -> ManagedTenantEvent | Rejection:
    if held is not None:
        # A deleted one too: its chain stands, and another tenant's records must not follow in it.
        return Rejection(ErrorCode.CONFLICT, "this id is or was that of a tenant")
    if len(state.tenants) >= MANAGED_TENANTS_MAX:
        return Rejection(ErrorCode.TOO_MANY, f"there are {MANAGED_TENANTS_MAX} tenants already")
    if isinstance(action, Adopt):
        if command.role is not Role.SYSTEM:
            return Rejection(ErrorCode.FORBIDDEN, "only the provisioner finds tenants")
        return TenantAdopted(tenant=command.tenant, name=action.name)
    if command.tenant in RESERVED_TENANTS:
        detail = f"{command.tenant} is a word of the API's own paths; choose another id"
        return Rejection(ErrorCode.INVALID, detail)
    first = action.administrator
    names = (first.username, first.email, first.display_name) if first else ()
    unfit = _unfit(action.profile) or unfit_text(*names)
    return unfit or TenantRequested(
        tenant=command.tenant, profile=action.profile, administrator=first
    )


def _asked(
    command: ManageTenant, held: ManagedTenant, now_ms: int
) -> ManagedTenantEvent | Rejection:
    tenant, action, status = command.tenant, command.action, held.status
    match action:
        case Change() if status not in ("destroying", "deleted"):
            after = held.profile.changed(action.change)
            return _unfit(after) or TenantChanged(tenant=tenant, before=held.profile, after=after)
        case Suspend() if status == "active":
            return TenantSuspended(tenant=tenant, reason=action.reason)
        case Resume() if status == "suspended":
            return TenantResumed(tenant=tenant)
        case Delete() if status in ("active", "suspended"):
            due_ms = now_ms + action.wait_days * DAY_MS
            return TenantDeletionRequested(tenant=tenant, reason=action.reason, due_ms=due_ms)
        case CancelDeletion() if status == "deleting":
            return TenantDeletionCancelled(tenant=tenant)
        case _:
            return Rejection(ErrorCode.CONFLICT, f"the tenant is {status}, which does not allow it")


def _unfit(profile: TenantProfile) -> Rejection | None:
    if len(profile.model_dump_json().encode()) > PROFILE_BYTES_MAX:
        detail = f"the facts of a tenant have {PROFILE_BYTES_MAX} bytes at most"
        return Rejection(ErrorCode.TOO_LARGE, detail)
    return unfit_text(profile.name, profile.industry)


def _done(
    command: ManageTenant, action: BeginDestruction | Confirm, held: ManagedTenant, now_ms: int
) -> ManagedTenantEvent | Rejection:
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the provisioner says what is done")
    match action:
        case BeginDestruction() if held.status == "deleting":
            if held.due_ms is None or now_ms < held.due_ms:
                return Rejection(ErrorCode.CONFLICT, "the waiting period is not over")
            return TenantDestructionBegun(tenant=command.tenant)
        case Confirm(done="created") if held.status == "creating":
            return TenantCreated(tenant=command.tenant)
        case Confirm(done="destroyed") if held.status == "destroying":
            return TenantDestroyed(tenant=command.tenant)
        case _:
            return Rejection(ErrorCode.CONFLICT, f"the tenant is {held.status}")


def managed(state: TenantState, event: ManagedTenantEvent, at_ms: int) -> TenantState:
    """The platform after an event."""
    after = _after(state.tenants.get(event.tenant), event, at_ms)
    return replace(state, tenants={**state.tenants, event.tenant: after})


def _after(held: ManagedTenant | None, event: ManagedTenantEvent, at_ms: int) -> ManagedTenant:
    if isinstance(event, TenantRequested):
        return ManagedTenant(
            status="creating",
            profile=event.profile,
            since_ms=at_ms,
            administrator=event.administrator,
        )
    if isinstance(event, TenantAdopted):
        return ManagedTenant(
            status="active", profile=TenantProfile(name=event.name), since_ms=at_ms
        )
    if held is None:
        raise ValueError(f"{event.kind} of a tenant that was never there")
    match event:
        case TenantChanged():
            return held.model_copy(update={"profile": event.after})
        case TenantDeletionRequested():
            waiting = {"due_ms": event.due_ms, "was_suspended": held.status == "suspended"}
            return held.model_copy(update=waiting).now("deleting", at_ms)
        case TenantDeletionCancelled():
            return held.now("suspended" if held.was_suspended else "active", at_ms)
        case _:
            return held.now(_STATUS_AFTER[event.kind], at_ms)


def grant(state: TenantState, command: GrantTenant) -> TenantGranted | Rejection:
    """Say what a user of the platform tenant may read of another tenant."""
    if not may(state, command, Permission.PLATFORM_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "this is for the platform's administrators")
    user = state.users.get(command.user)
    if user is None or user.deleted:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user")
    held = state.tenants.get(command.tenant)
    if command.granted is not None and (held is None or held.status == "deleted"):
        return Rejection(ErrorCode.NOT_FOUND, "there is no such tenant")
    former = user.grants.get(command.tenant)
    if former == command.granted:
        return Rejection(ErrorCode.CONFLICT, "the grant is so already")
    return TenantGranted(
        tenant=command.tenant, user=command.user, former=former, granted=command.granted
    )


def granted(state: TenantState, event: TenantGranted) -> TenantState:
    """The platform with a grant more, or less."""
    user = state.users[event.user]
    grants = {name: role for name, role in user.grants.items() if name != event.tenant}
    if event.granted is not None:
        grants[event.tenant] = event.granted
    return replace(state, users={**state.users, event.user: replace(user, grants=grants)})


def lock(state: TenantState, command: LockTenant) -> TenantLocked | Rejection:
    """Close a tenant's own doors, or open them."""
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the provisioner locks tenants")
    if state.locked is command.locked:
        return Rejection(ErrorCode.CONFLICT, "the tenant is so already")
    return TenantLocked(locked=command.locked, reason=command.reason)
