"""People who make themselves users, where their tenant allows it."""

from dataclasses import replace

from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.limits import PENDING_USERS_MAX
from actors.protocol.people_commands import ApproveUser, RegisterUser, SetRegistration
from actors.protocol.people_events import (
    RegistrationIgnored,
    RegistrationSet,
    UserApproved,
    UserRegistered,
)
from actors.protocol.permissions import Permission
from actors.protocol.roles import Registration, Role
from actors.tenant.rights import may, refusal_to_give, refusal_to_touch
from actors.tenant.state import TenantState, User
from actors.tenant.users import is_taken, unfit_text


def set_mode(state: TenantState, command: SetRegistration) -> RegistrationSet | Rejection:
    """Allow registration, or no longer."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only who may change users may say who registers")
    beyond = refusal_to_give(state, command, Role.ANALYST, None)
    return beyond or RegistrationSet(
        before={"mode": state.registration}, after={"mode": command.mode}
    )


def register(
    state: TenantState, command: RegisterUser
) -> UserRegistered | RegistrationIgnored | Rejection:
    """Make somebody a user who asked for it. Whether his name was free shows in the record only: what is
    refused here is refused whatever names there are."""
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the gateway registers somebody")
    if state.registration is Registration.CLOSED or state.locked:
        return Rejection(ErrorCode.FORBIDDEN, "people don't register themselves here")
    unfit = unfit_text(command.username, command.email, command.display_name)
    if unfit is not None:
        return unfit
    if sum(user.pending and not user.deleted for user in state.users.values()) >= PENDING_USERS_MAX:
        return Rejection(ErrorCode.TOO_MANY, "too many wait to be approved; try again another day")
    wanted = {name.casefold() for name in (command.username, command.email) if name}
    if is_taken(state, wanted) or command.user in state.users:
        return RegistrationIgnored(username=command.username, reason="the name or e-mail is taken")
    if command.in_directory:
        reason = "the directory knows somebody by the name or e-mail"
        return RegistrationIgnored(username=command.username, reason=reason)
    return UserRegistered(
        user=command.user,
        username=command.username,
        email=command.email,
        display_name=command.display_name,
        role=Role.ANALYST,
        # Nobody can be asked whether a provider knows the name, so a person looks.
        pending=state.registration is Registration.WITH_APPROVAL
        or state.identity_provider is not None,
        password_hash=command.password_hash,
    )


def approve(state: TenantState, command: ApproveUser) -> UserApproved | Rejection:
    """Let somebody in."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may change users")
    user = state.users.get(command.user)
    if user is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user")
    if user.deleted or not user.pending:
        return Rejection(ErrorCode.CONFLICT, "the user does not wait to be approved")
    return refusal_to_touch(state, command, user) or UserApproved(user=command.user)


def mode_set(state: TenantState, event: RegistrationSet) -> TenantState:
    """The tenant with another policy."""
    return replace(state, registration=Registration(event.after["mode"]))


def registered(state: TenantState, event: UserRegistered) -> TenantState:
    """The tenant with a user more, who may have to wait."""
    user = User(
        username=event.username,
        email=event.email,
        display_name=event.display_name,
        role=event.role,
        password_hash=event.password_hash,
        pending=event.pending,
    )
    return replace(state, users={**state.users, event.user: user})


def approved(state: TenantState, event: UserApproved) -> TenantState:
    """The tenant with the user let in."""
    user = replace(state.users[event.user], pending=False)
    return replace(state, users={**state.users, event.user: user})
