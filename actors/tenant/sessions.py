"""Sign-ins. A refresh token is good once; one that comes again was stolen, and ends the session."""

from dataclasses import replace

from actors.protocol.commands import EndSession, OpenSession, RefreshSession
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import (
    EventType,
    PasswordChanged,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    SessionsEnded,
    UserChanged,
    UserDeleted,
    UserDisabled,
    UserSynchronised,
)
from actors.protocol.limits import SESSIONS_PER_USER_MAX
from actors.protocol.people_events import RoleChanged
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.protocol.second_factor_events import SecondFactorConfirmed, SecondFactorReset
from actors.tenant import second_factor
from actors.tenant.rights import may, refusal_to_touch
from actors.tenant.state import Session, TenantState

SUSPENDED = "the company's access is suspended; ask whoever runs the platform"
REUSED = "a refresh token was used twice"


def open_session(
    state: TenantState, command: OpenSession, now_ms: int
) -> SessionOpened | Rejection:
    """Record a sign-in whose password the gateway has checked."""
    user = state.users.get(command.user)
    if user is None or not user.is_active:
        return Rejection(ErrorCode.LOGIN_FAILED, "unknown user or wrong password")
    if state.locked:
        # Said to those only who have shown their password.
        return Rejection(ErrorCode.TENANT_SUSPENDED, SUSPENDED)
    told = (command.role, command.custom_role)
    if command.role is not Role.SYSTEM and told != (user.role, user.custom_role):
        # The token would speak for a role that he has lost since the gateway looked.
        return Rejection(ErrorCode.LOGIN_FAILED, "the user was changed meanwhile; sign in again")
    if command.clearance != user.clearance and command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.LOGIN_FAILED, "the user was changed meanwhile; sign in again")
    refused = second_factor.refusal_to_enter(state, user, command)
    if refused is not None:
        return refused
    living = [item for item in state.sessions.values() if item.expires_ms > now_ms]
    if sum(item.user == command.user for item in living) >= SESSIONS_PER_USER_MAX:
        detail = f"{SESSIONS_PER_USER_MAX} sessions are open; sign out everywhere first"
        return Rejection(ErrorCode.TOO_MANY, detail)
    return SessionOpened(
        session=command.session,
        user=command.user,
        refresh=command.refresh,
        expires_ms=command.expires_ms,
        address=command.address,
        proof=command.proof,
        restricted=command.restricted,
    )


def refresh(
    state: TenantState, command: RefreshSession, now_ms: int
) -> SessionRefreshed | SessionEnded | Rejection:
    """Exchange a refresh token (RFC 9700, section 4.14.2: rotation with reuse detection)."""
    session = state.sessions.get(command.session)
    if session is None or session.expires_ms <= now_ms:
        return Rejection(ErrorCode.SESSION_ENDED, "the session has ended; sign in again")
    if state.locked:
        return SessionEnded(session=command.session, reason="the tenant is suspended")
    user = state.users.get(session.user)
    if user is None or not user.is_active:
        return SessionEnded(session=command.session, reason="the user is disabled")
    if command.clearance > user.clearance:
        # The next token would speak for a clearance that he has lost since the gateway looked.
        return Rejection(ErrorCode.SESSION_ENDED, "the user was changed meanwhile; sign in again")
    if command.presented != session.refresh:
        return SessionEnded(session=command.session, reason=REUSED)
    refused = second_factor.refusal_to_go_on(state, user, restricted=command.restricted)
    if refused is not None:
        return refused
    return SessionRefreshed(
        session=command.session,
        refresh=command.refresh,
        expires_ms=command.expires_ms,
        restricted=command.restricted,
    )


def end(state: TenantState, command: EndSession) -> SessionEnded | Rejection:
    """Sign out, or sign somebody else out of one session."""
    session = state.sessions.get(command.session)
    if command.user is not None:
        return _end_of(state, command, command.user, session)
    if session is None or session.user != command.actor:
        return Rejection(ErrorCode.SESSION_ENDED, "the session has ended already")
    return SessionEnded(session=command.session, reason="signed out")


def _end_of(
    state: TenantState, command: EndSession, name: str, session: Session | None
) -> SessionEnded | Rejection:
    own = command.actor == name
    if not own and not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may change users")
    user = state.users.get(name)
    if user is None or session is None or session.user != name:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such session")
    beyond = None if own else refusal_to_touch(state, command, user)
    reason = "signed out" if own else "signed out by an administrator"
    return beyond or SessionEnded(session=command.session, reason=reason)


def opened(state: TenantState, event: SessionOpened, at_ms: int) -> TenantState:
    """The tenant with a session more, and without those that have expired."""
    living = {name: item for name, item in state.sessions.items() if item.expires_ms > at_ms}
    living[event.session] = Session(event.user, event.refresh, event.expires_ms)
    user = second_factor.spent(state.users[event.user], event.proof)
    return replace(state, users={**state.users, event.user: user}, sessions=living)


def refreshed(state: TenantState, event: SessionRefreshed) -> TenantState:
    """The session under its next refresh token."""
    session = state.sessions[event.session]
    renewed = replace(session, refresh=event.refresh, expires_ms=event.expires_ms)
    return replace(state, sessions={**state.sessions, event.session: renewed})


def ended(state: TenantState, event: SessionEnded) -> TenantState:
    """The tenant without the session."""
    return without(state, (event.session,))


def without(state: TenantState, names: tuple[str, ...]) -> TenantState:
    """The tenant without some sessions."""
    gone = frozenset(names)
    kept = {name: item for name, item in state.sessions.items() if name not in gone}
    return replace(state, sessions=kept)


def of_user(state: TenantState, user: str, keep: str | None = None) -> tuple[str, ...]:
    """The sessions of a user, but for one that is to stay."""
    return tuple(
        name for name, item in state.sessions.items() if item.user == user and name != keep
    )


def ended_by(event: EventType) -> tuple[str, ...]:
    """The sessions that an event ends; or the role that no longer is what its users' sockets began with."""
    match event:
        case SessionEnded():
            return (event.session,)
        case (
            UserChanged()
            | UserDisabled()
            | UserDeleted()
            | PasswordChanged()
            | SessionsEnded()
            | UserSynchronised()
        ):
            return event.sessions
        case SecondFactorConfirmed() | SecondFactorReset():
            return event.sessions
        case RoleChanged():
            return (event.role,)
        case _:
            return ()
