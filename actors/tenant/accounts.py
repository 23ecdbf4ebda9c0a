"""What becomes of users: changed, disabled, enabled, deleted, given another password, signed out.

An administrator may do all of it to everybody of his tenant, and everybody may see to his own name,
e-mail, password and sessions. Whatever takes something away from a user ends the sessions that still
have it: the event names them.
"""

from dataclasses import replace
from typing import assert_never

from actors.protocol.commands import (
    Command,
    DeleteUser,
    DisableUser,
    EnableUser,
    EndSessions,
    SetPassword,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import (
    PasswordChanged,
    Profile,
    SessionsEnded,
    UserChanged,
    UserDeleted,
    UserDisabled,
    UserEnabled,
)
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.tenant import clearance, sessions
from actors.tenant.rights import ADMINISTRATORS, may, refusal_to_give, refusal_to_touch
from actors.tenant.state import TenantState, User
from actors.tenant.users import PEOPLE, is_taken, unfit_text

AccountCommand = UpdateUser | DisableUser | EnableUser | DeleteUser | SetPassword | EndSessions
UserEvent = UserChanged | UserDisabled | UserEnabled | UserDeleted | PasswordChanged


def decide(state: TenantState, command: AccountCommand) -> UserEvent | SessionsEnded | Rejection:
    """What a command makes of a user."""
    match command:
        case UpdateUser():
            return update(state, command)
        case DisableUser():
            return disable(state, command)
        case EnableUser():
            return enable(state, command)
        case DeleteUser():
            return delete(state, command)
        case SetPassword():
            return set_password(state, command)
        case EndSessions():
            return end_sessions(state, command)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: UserEvent) -> TenantState:
    """The tenant with the user as an event leaves him."""
    user = state.users[event.user]
    ended: tuple[str, ...] = ()
    match event:
        case UserChanged():
            after, ended = event.after, event.sessions
            user = replace(
                user,
                display_name=after.display_name,
                email=after.email,
                role=after.role,
                custom_role=after.custom_role,
            )
            user = clearance.granted(user, after)
        case UserDisabled():
            user, ended = replace(user, disabled=True), event.sessions
        case UserEnabled():
            user = replace(user, disabled=False)
        case UserDeleted():
            gone = replace(user, deleted=True, second_factor=None, begun=None)
            user, ended = gone, event.sessions
        case PasswordChanged():
            user, ended = replace(user, password_hash=event.password_hash), event.sessions
        case _:
            assert_never(event)
    return sessions.without(replace(state, users={**state.users, event.user: user}), ended)


def update(state: TenantState, command: UpdateUser) -> UserChanged | Rejection:
    """Change a user's name, e-mail, role or clearance."""
    another = command.user_role is not None or command.custom_role is not None
    own = not another and command.user_clearance is None
    user = _subject(state, command, command.user, self_too=own)
    if isinstance(user, Rejection):
        return user
    facts = another or command.display_name is not None or command.email is not None
    if user.directory_key and facts:
        return _kept_by_directory("name, e-mail and role")
    role, custom_role = user.role, user.custom_role
    if another:
        role, custom_role = command.user_role or Role.VIEWER, command.custom_role
    if role not in PEOPLE:
        return Rejection(ErrorCode.INVALID, f"{role} is no role for a person")
    beyond = refusal_to_give(state, command, role, custom_role) if another else None
    if beyond is not None:
        return beyond
    if role is not user.role and _is_last_administrator(state, command.user):
        return _last_administrator()
    email = user.email if command.email is None else command.email.strip() or None
    level = user.clearance if command.user_clearance is None else command.user_clearance
    unfit = unfit_text(command.display_name, email) or clearance.refusal_to_grant(
        state, command, user.clearance, level
    )
    if unfit is not None:
        return unfit
    if email is not None and is_taken(state, {email.casefold()}, but=command.user):
        return Rejection(ErrorCode.CONFLICT, "the e-mail is taken")
    return UserChanged(
        user=command.user,
        before=_profile(user, level),
        after=Profile(
            display_name=command.display_name or user.display_name,
            email=email,
            role=role,
            custom_role=custom_role,
            clearance=clearance.told(level, user.clearance),
        ),
        sessions=()
        if (role, custom_role, level) == (user.role, user.custom_role, user.clearance)
        else sessions.of_user(state, command.user),
    )


def disable(state: TenantState, command: DisableUser) -> UserDisabled | Rejection:
    """Keep a user out."""
    user = _subject(state, command, command.user)
    if isinstance(user, Rejection):
        return user
    if user.disabled:
        return Rejection(ErrorCode.CONFLICT, "the user is disabled already")
    if _is_last_administrator(state, command.user):
        return _last_administrator()
    ended = sessions.of_user(state, command.user)
    return UserDisabled(user=command.user, reason=command.reason, sessions=ended)


def enable(state: TenantState, command: EnableUser) -> UserEnabled | Rejection:
    """Let a user in again."""
    user = _subject(state, command, command.user)
    if isinstance(user, Rejection):
        return user
    if not user.disabled:
        return Rejection(ErrorCode.CONFLICT, "the user is not disabled")
    return UserEnabled(user=command.user)


def delete(state: TenantState, command: DeleteUser) -> UserDeleted | Rejection:
    """Take a user away; the chain keeps who he was."""
    user = _subject(state, command, command.user)
    if isinstance(user, Rejection):
        return user
    if _is_last_administrator(state, command.user):
        return _last_administrator()
    return UserDeleted(
        user=command.user,
        username=user.username,
        email=user.email,
        reason=command.reason,
        sessions=sessions.of_user(state, command.user),
    )


def set_password(state: TenantState, command: SetPassword) -> PasswordChanged | Rejection:
    """Give a user another password.

    Whoever changes his own has shown the old one to the gateway. His session must still be there: an
    administrator who has set another password in the meantime has ended it.
    """
    user = _subject(state, command, command.user, self_too=command.keep is not None)
    if isinstance(user, Rejection):
        return user
    if user.directory_key:
        return _kept_by_directory("password")
    beyond = clearance.refusal_to_speak_for(state, command, command.user)
    if beyond is not None:
        return beyond
    if command.keep is not None:
        session = state.sessions.get(command.keep)
        if command.actor != command.user or session is None or session.user != command.user:
            return Rejection(ErrorCode.SESSION_ENDED, "the session has ended; sign in again")
    return PasswordChanged(
        user=command.user,
        password_hash=command.password_hash,
        sessions=sessions.of_user(state, command.user, keep=command.keep),
    )


def end_sessions(state: TenantState, command: EndSessions) -> SessionsEnded | Rejection:
    """Sign a user out everywhere."""
    user = _subject(state, command, command.user, self_too=True)
    if isinstance(user, Rejection):
        return user
    own = command.actor == command.user
    return SessionsEnded(
        user=command.user,
        reason="signed out everywhere" if own else "signed out by an administrator",
        sessions=sessions.of_user(state, command.user),
    )


def _subject(
    state: TenantState, command: Command, name: str, *, self_too: bool = False
) -> User | Rejection:
    own = self_too and command.actor == name
    if not own and not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may change users")
    user = state.users.get(name)
    if user is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user")
    if user.deleted:
        return Rejection(ErrorCode.CONFLICT, "the user is deleted")
    if own and user.disabled:
        return Rejection(ErrorCode.FORBIDDEN, "the user is disabled")
    beyond = None if own else refusal_to_touch(state, command, user)
    return beyond or user


def _is_last_administrator(state: TenantState, name: str) -> bool:
    role = state.users[name].role
    active = [key for key, user in state.users.items() if user.is_active and user.role is role]
    return role in ADMINISTRATORS and active == [name]


def _last_administrator() -> Rejection:
    detail = "this is the tenant's last administrator; make another one first"
    return Rejection(ErrorCode.CONFLICT, detail)


def _kept_by_directory(what: str) -> Rejection:
    detail = f"the tenant's directory keeps this user's {what}; change it there"
    return Rejection(ErrorCode.CONFLICT, detail)


def _profile(user: User, level: int) -> Profile:
    return Profile(
        display_name=user.display_name,
        email=user.email,
        role=user.role,
        custom_role=user.custom_role,
        clearance=clearance.told(user.clearance, level),
    )
