"""What an event does to a tenant. Pure."""

from dataclasses import replace

from actors.protocol.events import (
    DirectoryPut,
    DirectoryRemoved,
    EventType,
    IdentityProviderPut,
    IdentityProviderRemoved,
    PasswordChanged,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    SessionsEnded,
    UserChanged,
    UserCreated,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    UserPasswordRehashed,
    UserSynchronised,
)
from actors.protocol.nats_credential_events import (
    NatsCredentialAdopted,
    NatsCredentialCut,
    NatsCredentialEvent,
    NatsCredentialMade,
    NatsCredentialRevoked,
    NatsCredentialRotated,
    NatsCredentialSigned,
)
from actors.protocol.people_events import (
    PeopleEvent,
)
from actors.protocol.second_factor_events import (
    RecoveryCodesReplaced,
    SecondFactorBegun,
    SecondFactorConfirmed,
    SecondFactorPolicySet,
    SecondFactorRemoved,
    SecondFactorReset,
)
from actors.protocol.tenancy_events import (
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
from actors.tenant import (
    accounts,
    directory,
    enrolment,
    identity_provider,
    nats_credentials,
    passwords,
    people,
    sessions,
    tenancy,
    users,
)
from actors.tenant.state import TenantState

STATE_KINDS = frozenset(
    model.kind
    for model in (
        UserCreated,
        UserChanged,
        UserDisabled,
        UserEnabled,
        UserDeleted,
        PasswordChanged,
        UserPasswordRehashed,
        SessionsEnded,
        SessionOpened,
        SessionRefreshed,
        SessionEnded,
        DirectoryPut,
        DirectoryRemoved,
        UserSynchronised,
        IdentityProviderPut,
        IdentityProviderRemoved,
        SecondFactorBegun,
        SecondFactorConfirmed,
        SecondFactorRemoved,
        SecondFactorReset,
        RecoveryCodesReplaced,
        SecondFactorPolicySet,
        TenantRequested,
        TenantAdopted,
        TenantCreated,
        TenantChanged,
        TenantSuspended,
        TenantResumed,
        TenantDeletionRequested,
        TenantDeletionCancelled,
        TenantDestructionBegun,
        TenantDestroyed,
        TenantGranted,
        TenantLocked,
        NatsCredentialMade,
        NatsCredentialAdopted,
        NatsCredentialRotated,
        NatsCredentialSigned,
        NatsCredentialRevoked,
        NatsCredentialCut,
    )
).union(people.STATE_KINDS)
"""Kinds that change the state."""


def evolve(state: TenantState, event: EventType, actor: str, at_ms: int) -> TenantState:
    """The state after `event`."""
    if isinstance(event, NatsCredentialEvent):
        return nats_credentials.evolve(state, event, actor, at_ms)
    match event:
        case UserCreated():
            return users.created(state, event)
        case UserChanged() | UserDisabled() | UserEnabled() | UserDeleted() | PasswordChanged():
            return accounts.evolve(state, event)
        case UserPasswordRehashed():
            return passwords.rehashed(state, event)
        case SessionsEnded():
            return sessions.without(state, event.sessions)
        case SessionOpened():
            return sessions.opened(state, event, at_ms)
        case SessionRefreshed():
            return sessions.refreshed(state, event)
        case SessionEnded():
            return sessions.ended(state, event)
        case _:
            return _by_subject(state, event, at_ms)


def _by_subject(state: TenantState, event: EventType, at_ms: int) -> TenantState:
    if isinstance(event, directory.DirectoryEvent):
        return directory.evolve(state, event)
    if isinstance(event, identity_provider.ProviderEvent):
        return identity_provider.evolve(state, event)
    if isinstance(event, enrolment.FactorEvent):
        return enrolment.evolve(state, event)
    if isinstance(event, tenancy.TenancyEvent):
        return tenancy.evolve(state, event, at_ms)
    if isinstance(event, PeopleEvent):
        return people.evolve(state, event, at_ms)
    if isinstance(event, SecondFactorPolicySet):
        return replace(state, second_factor_required=event.after.required)
    return state
