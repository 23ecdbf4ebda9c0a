"""The tenant's directory, and what it says of its users.

An administrator says how it is asked. What it answers comes from the gateway and is put before everything
but an administrator's own word: whom he has disabled or deleted stays so, whatever the directory says.
"""

from dataclasses import replace
from typing import Any, Final, assert_never

from actors.protocol.command import Command
from actors.protocol.commands import PutDirectory, RemoveDirectory, SynchroniseUser
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import (
    DirectoryPut,
    DirectoryRemoved,
    SynchronisedProfile,
    UserSynchronised,
)
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.tenant import clearance, sessions
from actors.tenant.rights import may, refusal_to_give, refusal_to_touch
from actors.tenant.state import Directory, TenantState, User
from actors.tenant.users import PEOPLE, is_taken, unfit_text

DirectoryCommand = PutDirectory | RemoveDirectory | SynchroniseUser
DirectoryEvent = DirectoryPut | DirectoryRemoved | UserSynchronised

SHOWN: Final = (
    *("servers", "flavour", "tls", "bind_dn", "base_dn", "group_base"),
    *("user_filter", "group_filter", "netbios_domain"),
)
"""Settings that an auditor is shown."""


def decide(state: TenantState, command: DirectoryCommand) -> DirectoryEvent | Rejection:
    """What a command makes of a tenant's directory or of one of its users."""
    match command:
        case PutDirectory():
            return put(state, command)
        case RemoveDirectory():
            return remove(state, command)
        case SynchroniseUser():
            return synchronise(state, command)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: DirectoryEvent) -> TenantState:
    """The tenant after it."""
    match event:
        case DirectoryPut():
            return replace(state, directory=Directory(event.settings, event.secret))
        case DirectoryRemoved():
            return replace(state, directory=None)
        case UserSynchronised():
            after = event.after
            user = replace(
                state.users[event.user],
                display_name=after.display_name,
                email=after.email,
                role=after.role,
                suspended=after.suspended,
            )
            users = {**state.users, event.user: user}
            return sessions.without(replace(state, users=users), event.sessions)
        case _:
            assert_never(event)


def put(state: TenantState, command: PutDirectory) -> DirectoryPut | Rejection:
    """Set how the directory is asked."""
    beyond = _refusal(state, command, command.settings)
    if beyond is not None:
        return beyond
    refused = clearance.refusal_to_vouch(state, command)
    return refused or DirectoryPut(
        before=_shown(state.directory),
        after=_shown(Directory(command.settings, command.secret)),
        settings=command.settings,
        secret=command.secret,
    )


def remove(state: TenantState, command: RemoveDirectory) -> DirectoryRemoved | Rejection:
    """Ask no directory any more."""
    beyond = _refusal(state, command, {})
    if beyond is not None:
        return beyond
    if state.directory is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no directory")
    return DirectoryRemoved(before=_shown(state.directory))


def _refusal(state: TenantState, command: Command, settings: dict[str, Any]) -> Rejection | None:
    """Why whoever commands may not have people sign in with a directory of these settings. A directory
    gives roles, and keeps out whom it had let in: nobody does by it what he may not do himself."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may change the directory")
    given = {rule.get("role") for rule in _rules(settings)}
    for role in sorted(PEOPLE):
        beyond = refusal_to_give(state, command, role, None) if role in given else None
        if beyond is not None:
            return beyond
    of_directory = (
        user for user in state.users.values() if user.directory_key and not user.deleted
    )
    touched = (refusal_to_touch(state, command, user) for user in of_directory)
    return next((refusal for refusal in touched if refusal is not None), None)


def synchronise(state: TenantState, command: SynchroniseUser) -> UserSynchronised | Rejection:
    """Have a user be as the directory says. Even the last administrator: somebody who has left must not
    stay in because nobody else is there; whoever operates the system can make another one."""
    user = state.users.get(command.user)
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the gateway knows what the directory says")
    if user is None or user.deleted or not user.directory_key:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user of the directory")
    if command.present and command.user_role not in PEOPLE:
        return Rejection(ErrorCode.INVALID, "a user of the directory has a role for a person")
    before = _profile(user)
    after = _after(state, command, user)
    if before == after:
        return Rejection(ErrorCode.CONFLICT, "nothing has changed")
    if after.suspended:
        after = after.model_copy(update={"reason": command.reason})
    ends = after.suspended or after.role is not before.role
    return UserSynchronised(
        user=command.user,
        before=before,
        after=after,
        sessions=sessions.of_user(state, command.user) if ends else (),
    )


def _after(state: TenantState, command: SynchroniseUser, user: User) -> SynchronisedProfile:
    if not command.present or command.user_role is None:
        return _profile(user).model_copy(update={"suspended": True})
    # A name that can't be used must not keep his role from being taken away.
    name = command.display_name or user.display_name
    email = command.email
    if email is not None and (
        unfit_text(email) or is_taken(state, {email.casefold()}, but=command.user)
    ):
        email = user.email
    return SynchronisedProfile(
        display_name=user.display_name if unfit_text(name) else name,
        email=email,
        role=command.user_role,
        suspended=False,
    )


def _profile(user: User) -> SynchronisedProfile:
    return SynchronisedProfile(
        display_name=user.display_name,
        email=user.email,
        role=user.role,
        suspended=user.suspended,
    )


def _shown(directory: Directory | None) -> dict[str, Any]:
    if directory is None:
        return {}
    settings = directory.settings
    grants = [f"{rule.get('role')}: {rule.get('group')}" for rule in _rules(settings)]
    return {**{name: settings[name] for name in SHOWN if name in settings}, "grants": grants}


def _rules(settings: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in settings.get("roles", ()) if isinstance(rule, dict)]
