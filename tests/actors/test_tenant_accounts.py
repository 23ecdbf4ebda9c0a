"""What becomes of users: who may do what to whom, what can't be done, and which sessions end."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from actors.protocol.commands import (
    CreateUser,
    DeleteUser,
    DisableUser,
    EnableUser,
    EndSessions,
    OpenSession,
    RefreshSession,
    SetPassword,
    TenantCommand,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.limits import CONTENT_BYTES_MAX, SESSIONS_PER_USER_MAX
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.sessions import ended_by
from actors.tenant.state import Session, TenantState, User
from tests.actors.people import AT_MS, SYSTEM, Person

TOM: Final = Person("tom", Role.TENANT_ADMIN)
TIM: Final = Person("tim", Role.TENANT_ADMIN)
ANA: Final = Person("ana", Role.ANALYST)
BOB: Final = Person("bob", Role.ANALYST)
STRANGER: Final = Person("eve", Role.TENANT_ADMIN)
HASH: Final = "argon2-of-another"
LATER_MS: Final = AT_MS + 3_600_000


def tenant(**facts: Any) -> TenantState:
    """Two administrators and two analysts, each with two sessions. `facts` are fields of ana."""
    people = {"tom": Role.TENANT_ADMIN, "tim": Role.TENANT_ADMIN, "ana": Role.ANALYST}
    users = {
        name: User(name.title(), f"{name}@example.org", name.title(), role, "argon2-of-nothing")
        for name, role in {**people, "bob": Role.ANALYST}.items()
    }
    given = {"username": "Ana", "email": "ana@example.org", "display_name": "Ana"}
    users["ana"] = User(**{**given, "role": Role.ANALYST, "password_hash": "argon2", **facts})
    sessions = {
        f"{name}-{number}": Session(name, "0" * 64, LATER_MS) for name in users for number in (1, 2)
    }
    return TenantState(users, sessions)


def refusal(state: TenantState, command: TenantCommand) -> ErrorCode | None:
    """The code of a refusal."""
    decided = decide(state, command, AT_MS)
    return decided.code if isinstance(decided, Rejection) else None


def after(state: TenantState, *commands: TenantCommand) -> TenantState:
    """The tenant once commands that must succeed are done."""
    for command in commands:
        event = decide(state, command, AT_MS)
        assert not isinstance(event, Rejection), event
        state = evolve(state, event, command.actor, AT_MS)
    return state


def ended(state: TenantState, command: TenantCommand) -> set[str]:
    """The sessions that a command ends: those its event names, and no others."""
    event = decide(state, command, AT_MS)
    assert not isinstance(event, Rejection), event
    gone = state.sessions.keys() - evolve(state, event, command.actor, AT_MS).sessions.keys()
    assert sorted(gone) == sorted(ended_by(event))
    return set(gone)


ABOUT_ANA: Final[dict[str, Callable[[Person], TenantCommand]]] = {
    "her name": lambda who: who.asks(UpdateUser, user="ana", display_name="Ana L."),
    "her e-mail": lambda who: who.asks(UpdateUser, user="ana", email="new@example.org"),
    "her role": lambda who: who.asks(UpdateUser, user="ana", user_role=Role.VIEWER),
    "disable": lambda who: who.asks(DisableUser, user="ana"),
    "delete": lambda who: who.asks(DeleteUser, user="ana"),
    "password": lambda who: who.asks(SetPassword, user="ana", password_hash=HASH),
    "own password": lambda who: who.asks(SetPassword, user="ana", password_hash=HASH, keep="ana-1"),
    "sign out": lambda who: who.asks(EndSessions, user="ana"),
}
HER_OWN: Final = {"her name", "her e-mail", "own password", "sign out"}


@pytest.mark.parametrize("what", ABOUT_ANA)
def test_an_administrator_sees_to_everybody_and_everybody_to_himself(what: str) -> None:
    state, asks = tenant(), ABOUT_ANA[what]
    for who in (TOM, SYSTEM):
        # What one does with one's own session only works in one's own name.
        expected = ErrorCode.SESSION_ENDED if what == "own password" else None
        assert refusal(state, asks(who)) is expected, who
    assert refusal(state, asks(ANA)) is (None if what in HER_OWN else ErrorCode.FORBIDDEN)
    for who in (BOB, STRANGER):
        assert refusal(state, asks(who)) is ErrorCode.FORBIDDEN, who


@pytest.mark.parametrize("what", ABOUT_ANA)
def test_an_administrator_who_was_demoted_or_disabled_a_moment_ago_may_nothing(what: str) -> None:
    for command in (
        TOM.asks(UpdateUser, user="tim", user_role=Role.ANALYST),
        TOM.asks(DisableUser, user="tim"),
        TOM.asks(DeleteUser, user="tim"),
    ):
        state = after(tenant(), command)
        assert refusal(state, ABOUT_ANA[what](TIM)) is ErrorCode.FORBIDDEN
        new = {"user": "u9", "username": "new", "display_name": "New", "user_role": Role.ANALYST}
        create = TIM.asks(CreateUser, **{**new, "password_hash": HASH})
        assert refusal(tenant(), create) is None
        assert refusal(state, create) is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("what", ABOUT_ANA)
def test_nothing_is_done_to_nobody_nor_to_the_deleted(what: str) -> None:
    asked = ABOUT_ANA[what](TOM)
    nobody = asked.model_copy(update={"user": "usr_none"})
    assert refusal(tenant(), nobody) is ErrorCode.NOT_FOUND
    assert refusal(tenant(deleted=True), asked) is ErrorCode.CONFLICT


@pytest.mark.parametrize(
    ("what", "gone"),
    [
        ("her name", set()),
        ("her e-mail", set()),
        ("her role", {"ana-1", "ana-2"}),
        ("disable", {"ana-1", "ana-2"}),
        ("delete", {"ana-1", "ana-2"}),
        ("password", {"ana-1", "ana-2"}),
        ("sign out", {"ana-1", "ana-2"}),
    ],
)
def test_whatever_takes_something_away_ends_the_sessions_that_have_it(
    what: str, gone: set[str]
) -> None:
    assert ended(tenant(), ABOUT_ANA[what](TOM)) == gone


def test_the_same_role_again_ends_nothing() -> None:
    assert ended(tenant(), TOM.asks(UpdateUser, user="ana", user_role=Role.ANALYST)) == set()


def test_ones_own_new_password_ends_the_other_sessions() -> None:
    assert ended(tenant(), ABOUT_ANA["own password"](ANA)) == {"ana-2"}


def test_a_password_is_not_changed_in_a_session_that_has_ended_or_is_another_users() -> None:
    signed_out = after(tenant(), TOM.asks(EndSessions, user="ana"))
    assert refusal(signed_out, ABOUT_ANA["own password"](ANA)) is ErrorCode.SESSION_ENDED
    foreign = ANA.asks(SetPassword, user="ana", password_hash=HASH, keep="bob-1")
    assert refusal(tenant(), foreign) is ErrorCode.SESSION_ENDED


@pytest.mark.parametrize(
    "command",
    [
        TOM.asks(DisableUser, user="tom"),
        TOM.asks(DeleteUser, user="tom"),
        TOM.asks(UpdateUser, user="tom", user_role=Role.ANALYST),
        SYSTEM.asks(DisableUser, user="tom"),
    ],
)
def test_the_last_administrator_who_can_sign_in_stays_one(command: TenantCommand) -> None:
    assert refusal(tenant(), command) is None
    for away in (TOM.asks(DisableUser, user="tim"), TOM.asks(DeleteUser, user="tim")):
        alone = after(tenant(), away)
        assert refusal(alone, command) is ErrorCode.CONFLICT
        name = TOM.asks(UpdateUser, user="tom", display_name="Tom", user_role=Role.TENANT_ADMIN)
        assert refusal(alone, name) is None


def test_disabling_and_enabling_are_each_done_once() -> None:
    disable, enable = TOM.asks(DisableUser, user="ana"), TOM.asks(EnableUser, user="ana")
    assert refusal(tenant(), enable) is ErrorCode.CONFLICT
    state = after(tenant(), disable)
    assert refusal(state, disable) is ErrorCode.CONFLICT
    assert state.users["ana"].disabled
    assert after(state, enable).users["ana"] == tenant().users["ana"]


@pytest.mark.parametrize("facts", [{"disabled": True}, {"deleted": True}])
def test_who_is_disabled_or_deleted_opens_no_session_and_renews_none(facts: dict[str, Any]) -> None:
    state = tenant(**facts)
    more = {"refresh": "1" * 64, "expires_ms": LATER_MS}
    opened = ANA.asks(OpenSession, session="s9", user="ana", **more)
    assert refusal(state, opened) is ErrorCode.LOGIN_FAILED
    event = decide(
        state, ANA.asks(RefreshSession, session="ana-1", presented="0" * 64, **more), AT_MS
    )
    assert not isinstance(event, Rejection)
    assert ended_by(event) == ("ana-1",)


def test_a_session_is_not_opened_under_a_role_that_was_changed_meanwhile() -> None:
    state = after(tenant(), TOM.asks(UpdateUser, user="ana", user_role=Role.VIEWER))
    more = {"session": "s9", "user": "ana", "refresh": "1" * 64, "expires_ms": LATER_MS}
    assert refusal(state, ANA.asks(OpenSession, **more)) is ErrorCode.LOGIN_FAILED
    assert refusal(state, Person("ana", Role.VIEWER).asks(OpenSession, **more)) is None


def test_names_and_emails_are_unique_whatever_their_case_and_free_once_deleted() -> None:
    new = {"user": "u9", "display_name": "New", "user_role": Role.ANALYST, "password_hash": HASH}
    for name in ("ANA", "Ana@Example.ORG"):
        create = TOM.asks(CreateUser, username=name, **new)
        assert refusal(tenant(), create) is ErrorCode.CONFLICT
        assert refusal(tenant(deleted=True), create) is None
        email = BOB.asks(UpdateUser, user="bob", email=name)
        assert refusal(tenant(), email) is ErrorCode.CONFLICT
        assert refusal(tenant(deleted=True), email) is None
    own = ANA.asks(UpdateUser, user="ana", email="ANA@example.org")
    assert after(tenant(), own).users["ana"].email == "ANA@example.org"


def test_an_email_stays_unless_named_and_goes_when_it_is_empty() -> None:
    named = after(tenant(), ANA.asks(UpdateUser, user="ana", display_name="Ana L.")).users["ana"]
    assert (named.email, named.display_name) == ("ana@example.org", "Ana L.")
    bare = after(tenant(), ANA.asks(UpdateUser, user="ana", email=" ")).users["ana"]
    assert (bare.email, bare.display_name) == (None, "Ana")


@pytest.mark.parametrize("hidden", ["a\0b", "a\nb", "a\u202eb", "a\u200bb", "\ufeffab"])
def test_a_name_shows_what_it_is(hidden: str) -> None:
    given = {"user": "u9", "display_name": "New", "user_role": Role.ANALYST, "username": "new"}
    for field in ("username", "email", "display_name"):
        create = TOM.asks(CreateUser, **{**given, "password_hash": HASH, field: hidden})
        assert refusal(tenant(), create) is ErrorCode.INVALID
    for field in ("email", "display_name"):
        change = TOM.asks(UpdateUser, user="ana", **{field: hidden})
        assert refusal(tenant(), change) is ErrorCode.INVALID


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.EXTERNAL])
def test_nobody_is_given_the_role_of_a_machine(role: Role) -> None:
    assert refusal(tenant(), TOM.asks(UpdateUser, user="ana", user_role=role)) is ErrorCode.INVALID


def test_a_user_has_no_more_sessions_than_one_record_can_end() -> None:
    many = {
        f"ses_{n:032x}": Session("ana", "0" * 64, LATER_MS) for n in range(SESSIONS_PER_USER_MAX)
    }
    state = TenantState(tenant().users, many)
    more = {"session": "s9", "user": "ana", "refresh": "1" * 64, "expires_ms": LATER_MS}
    assert refusal(state, ANA.asks(OpenSession, **more)) is ErrorCode.TOO_MANY
    expired = decide(state, ANA.asks(OpenSession, **more), LATER_MS)
    assert not isinstance(expired, Rejection)
    event = decide(state, TOM.asks(DisableUser, user="ana", reason="x" * 2000), AT_MS)
    assert not isinstance(event, Rejection)
    assert len(event.model_dump_json()) < CONTENT_BYTES_MAX


def test_no_command_event_or_state_shows_a_password_hash() -> None:
    command = TOM.asks(SetPassword, user="ana", password_hash="SECRET")
    event = decide(tenant(), command, AT_MS)
    state = after(tenant(), command)
    assert state.users["ana"].password_hash == "SECRET"
    assert all("SECRET" not in repr(each) for each in (command, event, state))
