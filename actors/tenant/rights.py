"""What the people of a tenant may do to it, as its own actor knows them.

Nobody gives what he does not have, and nobody lays hands on somebody who has more: or whoever may change
users could make himself an administrator by way of another.
"""

from actors.protocol.commands import Command
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.permissions import BUILT_IN, Permission, known_permissions
from actors.protocol.roles import PLATFORM_ROLES, Role
from actors.tenant.state import TenantState, User

ADMINISTRATORS = frozenset({Role.TENANT_ADMIN, Role.PLATFORM_ADMIN})
NO_SUCH_ROLE = "there is no such role"


def permissions_of(
    state: TenantState, role: Role, custom_role: str | None
) -> frozenset[Permission]:
    """What a role permits; one that is gone permits nothing."""
    if custom_role is None:
        return BUILT_IN[role]
    known = state.roles.get(custom_role)
    return known_permissions(known.permissions) if known is not None else frozenset()


def permissions_of_user(state: TenantState, user: User) -> frozenset[Permission]:
    """What is permitted to a user."""
    return permissions_of(state, user.role, user.custom_role)


def may(state: TenantState, command: Command, permission: Permission) -> bool:
    """Whether a command comes from somebody with a permission. What the tenant knows counts more than
    the role that a command carries: that one may be minutes old."""
    if command.role is Role.SYSTEM:
        return True
    known = state.users.get(command.actor)
    if known is None or not known.is_active:
        return False
    # A custom role is carried as the built-in one as which it acts in rooms, so it says nothing here.
    if known.custom_role is None and command.role is not known.role:
        return False
    return permission in permissions_of_user(state, known)


def reaches(state: TenantState, command: Command, permissions: frozenset[Permission]) -> bool:
    """Whether whoever commands has these permissions himself."""
    if command.role is Role.SYSTEM:
        return True
    known = state.users.get(command.actor)
    return known is not None and permissions <= permissions_of_user(state, known)


def may_give_platform_roles(state: TenantState, command: Command) -> bool:
    """Whether a command comes from an administrator of the platform. No other tenant has one: the role is
    given by somebody who has it, and the first gets it from the operator."""
    return may(state, command, Permission.PLATFORM_WRITE)


def refusal_to_touch(state: TenantState, command: Command, user: User) -> Rejection | None:
    """Why whoever commands may not change this user; None if he may."""
    # Whoever could set the password of somebody with grants had the grants.
    if user.grants and not may_give_platform_roles(state, command):
        return _of_the_platform()
    return _refusal_about(
        state, command, user.role, user.custom_role, "has more permissions than you"
    )


def refusal_to_give(
    state: TenantState, command: Command, role: Role, custom_role: str | None
) -> Rejection | None:
    """Why whoever commands may not give a role to somebody; None if he may."""
    if custom_role is not None:
        if custom_role not in state.roles:
            return Rejection(ErrorCode.INVALID, NO_SUCH_ROLE)
        if role is not Role.VIEWER:
            return Rejection(ErrorCode.INVALID, "name one role only")
    return _refusal_about(state, command, role, custom_role, "would have more permissions than you")


def _refusal_about(
    state: TenantState, command: Command, role: Role, custom_role: str | None, why: str
) -> Rejection | None:
    known = state.users.get(command.actor)
    if role in PLATFORM_ROLES and not may_give_platform_roles(state, command):
        # An administrator of the tenant must not become one of the platform.
        return _of_the_platform()
    administers = command.role is Role.SYSTEM or (
        known is not None and known.custom_role is None and known.role in ADMINISTRATORS
    )
    # All permissions together still make no administrator: he is one in rooms too.
    allowed = administers or (
        (role is not Role.TENANT_ADMIN or custom_role is not None)
        and reaches(state, command, permissions_of(state, role, custom_role))
    )
    return None if allowed else Rejection(ErrorCode.FORBIDDEN, f"that user {why}")


def _of_the_platform() -> Rejection:
    return Rejection(ErrorCode.FORBIDDEN, "this is for the platform's administrators")
