"""Who belongs to a tenant and as what: roles of its own, registration, invitations."""

from typing import assert_never

from actors.protocol.errors import Rejection
from actors.protocol.people_commands import (
    AcceptInvitation,
    ApproveUser,
    CreateRole,
    DeleteRole,
    InviteUser,
    PeopleCommand,
    RegisterUser,
    RevokeInvitation,
    SetRegistration,
    UpdateRole,
)
from actors.protocol.people_events import (
    InvitationAccepted,
    InvitationRevoked,
    PeopleEvent,
    RegistrationIgnored,
    RegistrationSet,
    RoleChanged,
    RoleCreated,
    RoleDeleted,
    UserApproved,
    UserInvited,
    UserRegistered,
)
from actors.tenant import invitations, registration, roles
from actors.tenant.state import TenantState


def decide(state: TenantState, command: PeopleCommand, now_ms: int) -> PeopleEvent | Rejection:
    """What a command makes of a tenant."""
    match command:
        case CreateRole() | UpdateRole() | DeleteRole():
            return roles.decide(state, command)
        case SetRegistration():
            return registration.set_mode(state, command)
        case RegisterUser():
            return registration.register(state, command)
        case ApproveUser():
            return registration.approve(state, command)
        case InviteUser():
            return invitations.invite(state, command, now_ms)
        case RevokeInvitation():
            return invitations.revoke(state, command)
        case AcceptInvitation():
            return invitations.accept(state, command, now_ms)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: PeopleEvent, at_ms: int) -> TenantState:
    """The tenant as an event leaves it."""
    match event:
        case RoleCreated() | RoleChanged() | RoleDeleted():
            return roles.evolve(state, event)
        case RegistrationSet():
            return registration.mode_set(state, event)
        case UserRegistered():
            return registration.registered(state, event)
        case UserApproved():
            return registration.approved(state, event)
        case UserInvited():
            return invitations.invited(state, event, at_ms)
        case InvitationRevoked():
            return invitations.revoked(state, event)
        case InvitationAccepted():
            return invitations.accepted(state, event)
        case RegistrationIgnored():
            return state
        case _:
            assert_never(event)
