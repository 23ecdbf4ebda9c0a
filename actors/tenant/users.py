"""Users: made by an administrator; a name signs in one user of a tenant only."""

import re
from dataclasses import replace
from typing import Final

from actors.protocol.commands import CreateUser
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import UserCreated
from actors.protocol.permissions import Permission
from actors.protocol.roles import PLATFORM_ROLES, Role
from actors.tenant.rights import may, refusal_to_give
from actors.tenant.state import TenantState, User

_HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]"
)
PEOPLE = frozenset({Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER, *PLATFORM_ROLES})


def create(state: TenantState, command: CreateUser) -> UserCreated | Rejection:
    """Make a user."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may make users")
    if command.user_role not in PEOPLE:
        return Rejection(ErrorCode.INVALID, f"{command.user_role} is no role for a person")
    if command.directory_key and (command.role is not Role.SYSTEM or command.password_hash):
        return Rejection(ErrorCode.FORBIDDEN, "only the gateway knows who is in the directory")
    beyond = refusal_to_give(state, command, command.user_role, command.custom_role)
    if beyond is not None:
        return beyond
    wanted = {name.casefold() for name in (command.username, command.email) if name}
    unfit = unfit_text(command.username, command.email, command.display_name)
    if unfit is not None:
        return unfit
    if is_taken(state, wanted):
        return Rejection(ErrorCode.CONFLICT, "the name or the e-mail is taken")
    if command.user in state.users:
        return Rejection(ErrorCode.CONFLICT, "the user exists already")
    return UserCreated(
        user=command.user,
        username=command.username,
        email=command.email,
        display_name=command.display_name,
        role=command.user_role,
        custom_role=command.custom_role,
        password_hash=command.password_hash,
        directory_key=command.directory_key,
    )


def is_taken(state: TenantState, wanted: set[str], but: str | None = None) -> bool:
    """Whether one of the names, casefolded, is that of another user; deleted ones have none.

    Args:
        state: the tenant.
        wanted: the names.
        but: the user who may have them already.
    """
    return any(
        wanted & {name.casefold() for name in (user.username, user.email) if name}
        for key, user in state.users.items()
        if key != but and not user.deleted
    )


def unfit_text(*texts: str | None) -> Rejection | None:
    """The refusal of names that don't show what they are: control and bidirectional characters
    (Unicode TR 36, section 2.10) make one name look like another."""
    if any(_HIDDEN.search(text) for text in texts if text):
        return Rejection(ErrorCode.INVALID, "a name has no control or direction characters")
    return None


def created(state: TenantState, event: UserCreated) -> TenantState:
    """The tenant with a user more."""
    user = User(
        username=event.username,
        email=event.email,
        display_name=event.display_name,
        role=event.role,
        custom_role=event.custom_role,
        password_hash=event.password_hash,
        directory_key=event.directory_key,
    )
    return replace(state, users={**state.users, event.user: user})
