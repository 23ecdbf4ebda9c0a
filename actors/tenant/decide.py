"""What a command makes of a tenant: one event, or a rejection. Pure."""

from actors.protocol.commands import (
    CreateUser,
    DeleteUser,
    DisableUser,
    EnableUser,
    EndSession,
    EndSessions,
    ManageNatsCredential,
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
from actors.protocol.people_commands import PeopleCommand
from actors.tenant import (
    accounts,
    directory,
    enrolment,
    evidence,
    identity_provider,
    nats_credentials,
    passwords,
    people,
    sessions,
    tenancy,
    users,
)
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
        case _:
            return _by_subject(state, command, now_ms)


def _by_subject(
    state: TenantState,
    command: (
        directory.DirectoryCommand
        | identity_provider.ProviderCommand
        | enrolment.EnrolmentCommand
        | tenancy.TenancyCommand
        | ManageNatsCredential
        | PeopleCommand
    ),
    now_ms: int,
) -> TenantEventType | Rejection:
    if isinstance(command, directory.DirectoryCommand):
        return directory.decide(state, command)
    if isinstance(command, identity_provider.ProviderCommand):
        return identity_provider.decide(state, command)
    if isinstance(command, enrolment.EnrolmentCommand):
        return enrolment.decide(state, command)
    if isinstance(command, ManageNatsCredential):
        return nats_credentials.decide(state, command, now_ms)
    if isinstance(command, tenancy.TenancyCommand):
        return tenancy.decide(state, command, now_ms)
    return people.decide(state, command, now_ms)
