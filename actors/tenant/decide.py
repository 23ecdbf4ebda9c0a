"""What a command makes of a tenant: one event, or a rejection. Pure."""

from typing import assert_never

from actors.protocol.commands import (
    CreateUser,
    DeleteUser,
    DisableUser,
    EnableUser,
    EndSession,
    EndSessions,
    GrantTenant,
    LockTenant,
    ManageNatsCredential,
    ManageTenant,
    OpenSession,
    RecordEvidenceRead,
    RecordFailedSignIns,
    RefreshSession,
    RehashPassword,
    SetPassword,
    TenantCommand,
    UpdateUser,
)
from actors.protocol.errors import Rejection
from actors.protocol.events import TenantEventType
from actors.tenant import accounts, evidence, nats_credentials, passwords, sessions, tenancy, users
from actors.tenant.state import TenantState


def decide(state: TenantState, command: TenantCommand, now_ms: int) -> TenantEventType | Rejection:
    """What `command` makes of a tenant in `state`."""
    match command:
        case CreateUser():
            return users.create(state, command)
        case (
            UpdateUser()
            | DisableUser()
            | EnableUser()
            | DeleteUser()
            | SetPassword()
            | EndSessions()
        ):
            return accounts.decide(state, command)
        case OpenSession():
            return sessions.open_session(state, command, now_ms)
        case RefreshSession():
            return sessions.refresh(state, command, now_ms)
        case EndSession():
            return sessions.end(state, command)
        case RecordFailedSignIns():
            return passwords.record_failures(state, command)
        case RehashPassword():
            return passwords.rehash(state, command)
        case RecordEvidenceRead():
            return evidence.read(command)
        case ManageTenant() | GrantTenant() | LockTenant() | ManageNatsCredential():
            return _managed(state, command, now_ms)
        case _:
            assert_never(command)


def _managed(
    state: TenantState, command: tenancy.TenancyCommand | ManageNatsCredential, now_ms: int
) -> TenantEventType | Rejection:
    if isinstance(command, ManageNatsCredential):
        return nats_credentials.decide(state, command, now_ms)
    return tenancy.decide(state, command, now_ms)
