"""What an event does to a tenant. Pure."""

from dataclasses import replace
from typing import get_args

from actors.protocol.events import (
    CommandRefused,
    EventType,
    EvidenceRead,
    PasswordChanged,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    SessionsEnded,
    SignInFailed,
    TenantEventType,
    UserChanged,
    UserCreated,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    UserPasswordRehashed,
)
from actors.protocol.nats_credential_events import (
    NatsCredentialEvent,
)
from actors.protocol.people_events import (
    PeopleEvent,
    RegistrationIgnored,
)
from actors.protocol.second_factor_events import (
    SecondFactorPolicySet,
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

ONLY_RECORDED = (SignInFailed, EvidenceRead, CommandRefused, RegistrationIgnored)
STATE_KINDS = frozenset(
    model.kind for model in get_args(TenantEventType) if model not in ONLY_RECORDED
)
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
