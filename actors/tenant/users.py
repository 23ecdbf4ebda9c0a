"""Users: made by an administrator; a name signs in one user of a tenant only."""

from dataclasses import replace

from actors.protocol.commands import CreateUser
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import UserCreated
from actors.protocol.roles import Role
from actors.tenant.state import TenantState, User

PEOPLE = frozenset({Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER})


def create(state: TenantState, command: CreateUser) -> UserCreated | Rejection:
    """Make a user."""
    if command.role not in (Role.TENANT_ADMIN, Role.SYSTEM):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may make users")
    if command.user_role not in PEOPLE:
        return Rejection(ErrorCode.INVALID, f"{command.user_role} is no role for a person")
    wanted = {name.casefold() for name in (command.username, command.email) if name}
    for user in state.users.values():
        taken = {name.casefold() for name in (user.username, user.email) if name}
        if wanted & taken:
            return Rejection(ErrorCode.CONFLICT, "the name or the e-mail is taken")
    if command.user in state.users:
        return Rejection(ErrorCode.CONFLICT, "the user exists already")
    return UserCreated(
        user=command.user,
        username=command.username,
        email=command.email,
        display_name=command.display_name,
        role=command.user_role,
        password_hash=command.password_hash,
    )


def created(state: TenantState, event: UserCreated) -> TenantState:
    """The tenant with a user more."""
    user = User(
        username=event.username,
        email=event.email,
        display_name=event.display_name,
        role=event.role,
        password_hash=event.password_hash,
    )
    return replace(state, users={**state.users, event.user: user})
