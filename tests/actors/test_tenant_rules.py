"""Users and sign-ins: who may make them, and what ends them."""

from dataclasses import replace
from typing import Any

import pytest

from actors.protocol.commands import (
    CreateUser,
    EndSession,
    OpenSession,
    RefreshSession,
    TenantCommand,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import SessionEnded, SessionRefreshed, TenantEventType
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.state import TenantState, User
from tests.actors.people import ADMIN, AT_MS, OWNER, SYSTEM, VIEWER, Person

FIRST, SECOND, FORGED = "1" * 64, "2" * 64, "f" * 64
HOUR_MS = 3_600_000


def user(name: str, *, email: str | None = None, disabled: bool = False) -> User:
    """A user as the state keeps it."""
    return User(name, email, name.title(), Role.ANALYST, "argon2-of-nothing", disabled)


def tenant(**users: User) -> TenantState:
    """A tenant with users by id."""
    return TenantState(users=users)


def after(state: TenantState, command: TenantCommand, now_ms: int = AT_MS) -> TenantState:
    """The tenant once a command that must succeed is done."""
    event = decide(state, command, now_ms)
    assert not isinstance(event, Rejection), event
    return evolve(state, event, command.actor, now_ms)


def refusal(decided: TenantEventType | Rejection) -> ErrorCode | None:
    """The code of a refusal."""
    return decided.code if isinstance(decided, Rejection) else None


def new_user(who: Person, **fields: Any) -> CreateUser:
    """A command to make the user u2, called Bob."""
    given = {"user": "u2", "username": "Bob", "display_name": "Bob", "user_role": Role.ANALYST}
    return who.asks(CreateUser, **{**given, "password_hash": "argon2", **fields})


def opening(**fields: Any) -> OpenSession:
    """A sign-in of u1 for an hour."""
    given = {"session": "s1", "user": "u1", "refresh": FIRST, "expires_ms": AT_MS + HOUR_MS}
    return OWNER.asks(OpenSession, **{**given, **fields})


def refreshing(presented: str, **fields: Any) -> RefreshSession:
    """An exchange of a token for the second."""
    given = {"session": "s1", "refresh": SECOND, "expires_ms": AT_MS + 2 * HOUR_MS}
    return OWNER.asks(RefreshSession, presented=presented, **{**given, **fields})


@pytest.mark.parametrize(
    ("who", "fields", "code"),
    [
        (ADMIN, {}, None),
        (SYSTEM, {}, None),
        (OWNER, {}, ErrorCode.FORBIDDEN),
        (VIEWER, {}, ErrorCode.FORBIDDEN),
        (ADMIN, {"user_role": Role.SYSTEM}, ErrorCode.INVALID),
        (ADMIN, {"user_role": Role.EXTERNAL}, ErrorCode.INVALID),
        (ADMIN, {"username": "ALICE"}, ErrorCode.CONFLICT),
        (ADMIN, {"username": "Alice@Example.org"}, ErrorCode.CONFLICT),
        (ADMIN, {"email": "alice"}, ErrorCode.CONFLICT),
        (ADMIN, {"user": "u1"}, ErrorCode.CONFLICT),
    ],
)
def test_making_users_is_for_administrators_and_names_are_taken_once(
    who: Person, fields: dict[str, Any], code: ErrorCode | None
) -> None:
    anna = replace(user("anna"), role=Role.TENANT_ADMIN)
    state = tenant(u1=user("alice", email="alice@example.org"), anna=anna)
    assert refusal(decide(state, new_user(who, **fields), AT_MS)) is code


@pytest.mark.parametrize("users", [{}, {"u1": user("alice", disabled=True)}])
def test_only_a_user_who_is_there_and_not_disabled_signs_in(users: dict[str, User]) -> None:
    assert refusal(decide(tenant(**users), opening(), AT_MS)) is ErrorCode.LOGIN_FAILED


def test_a_refresh_token_is_good_once_and_its_successor_after_it() -> None:
    state = after(tenant(u1=user("alice")), opening())
    first = decide(state, refreshing(FIRST), AT_MS)
    assert isinstance(first, SessionRefreshed)
    state = evolve(state, first, "olga", AT_MS)
    assert isinstance(decide(state, refreshing(SECOND), AT_MS), SessionRefreshed)


@pytest.mark.parametrize("presented", [FIRST, FORGED])
def test_a_refresh_token_that_comes_again_ends_the_session_for_everybody(presented: str) -> None:
    state = after(tenant(u1=user("alice")), opening())
    state = after(state, refreshing(FIRST))
    ended = decide(state, refreshing(presented), AT_MS)
    assert isinstance(ended, SessionEnded)
    state = evolve(state, ended, "olga", AT_MS)
    assert refusal(decide(state, refreshing(SECOND), AT_MS)) is ErrorCode.SESSION_ENDED


def test_a_session_ends_by_its_time_and_refreshing_prolongs_it() -> None:
    state = after(tenant(u1=user("alice")), opening())
    at_its_end = AT_MS + HOUR_MS
    assert refusal(decide(state, refreshing(FIRST), at_its_end)) is ErrorCode.SESSION_ENDED
    assert refusal(decide(state, refreshing(FIRST), at_its_end - 1)) is None
    state = after(state, refreshing(FIRST))
    assert refusal(decide(state, refreshing(SECOND), at_its_end)) is None


def test_a_disabled_user_loses_the_session_at_the_next_refresh() -> None:
    state = after(tenant(u1=user("alice")), opening())
    state = TenantState({"u1": user("alice", disabled=True)}, state.sessions)
    ended = decide(state, refreshing(FIRST), AT_MS)
    assert isinstance(ended, SessionEnded)
    assert "disabled" in ended.reason


def test_one_signs_out_of_a_session_of_ones_own_once() -> None:
    state = after(tenant(u1=user("alice")), opening())
    mine = Person("u1", Role.ANALYST).asks(EndSession, session="s1")
    another = Person("u2", Role.TENANT_ADMIN).asks(EndSession, session="s1")
    assert refusal(decide(state, another, AT_MS)) is ErrorCode.SESSION_ENDED
    state = after(state, mine)
    assert state.sessions == {}
    assert refusal(decide(state, mine, AT_MS)) is ErrorCode.SESSION_ENDED


def test_a_new_sign_in_clears_away_what_has_expired() -> None:
    state = after(tenant(u1=user("alice")), opening())
    later = AT_MS + HOUR_MS
    state = after(state, opening(session="s2", expires_ms=later + HOUR_MS), later)
    assert set(state.sessions) == {"s2"}
