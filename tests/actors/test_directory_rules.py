"""A tenant's directory and its users: who may say what, and whose word counts."""

from dataclasses import replace
from typing import Any, Final

import pytest

from actors.protocol.commands import (
    CreateUser,
    DisableUser,
    EnableUser,
    OpenSession,
    PutDirectory,
    RefreshSession,
    RemoveDirectory,
    SetPassword,
    SynchroniseUser,
    TenantCommand,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import DirectoryPut, DirectoryRemoved, UserSynchronised
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.sessions import ended_by
from actors.tenant.state import Session, TenantState, User, state_from_bytes, state_to_bytes
from tests.actors.people import AT_MS, EXTERNAL, SYSTEM, Person

TOM: Final = Person("tom", Role.TENANT_ADMIN)
ADA: Final = Person("ada", Role.ANALYST)
KEY: Final = "6f1c9a52-0000-4000-8000-000000000001"
SETTINGS: Final[dict[str, Any]] = {
    "servers": ["ldaps://dc.corp.test"],
    "flavour": "ldap",
    "base_dn": "dc=corp,dc=test",
    "ca_pem": "certificate",
    "roles": [{"group": "cn=soc", "role": "analyst"}],
}


def tenant(**facts: Any) -> TenantState:
    """A local administrator, and ada of the directory with two sessions; `facts` are fields of hers."""
    given = {
        "username": "ada",
        "email": "ada@corp.test",
        "display_name": "Ada",
        "role": Role.ANALYST,
    }
    ada = User(**{**given, "password_hash": "", "directory_key": KEY, **facts})
    tom = User("tom", "tom@corp.test", "Tom", Role.TENANT_ADMIN, "argon2")
    sessions = {name: Session("ada", "0" * 64, AT_MS + 1000) for name in ("s1", "s2")}
    return TenantState({"ada": ada, "tom": tom}, sessions)


def refusal(state: TenantState, command: TenantCommand) -> ErrorCode | None:
    """The code of a refusal."""
    decided = decide(state, command, AT_MS)
    return decided.code if isinstance(decided, Rejection) else None


def done(state: TenantState, command: TenantCommand) -> tuple[TenantState, tuple[str, ...]]:
    """The tenant after a command that must succeed, and the sessions that it ends."""
    event = decide(state, command, AT_MS)
    assert not isinstance(event, Rejection), event
    return evolve(state, event, command.actor, AT_MS), ended_by(event)


def says(**fields: Any) -> SynchroniseUser:
    """What the directory says of ada; by default that she is as she was."""
    given = {"present": True, "user_role": Role.ANALYST, "display_name": "Ada"}
    return SYSTEM.asks(
        SynchroniseUser, **{"user": "ada", **given, "email": "ada@corp.test", **fields}
    )


@pytest.mark.parametrize("who", [ADA, EXTERNAL, Person("eve", Role.TENANT_ADMIN)])
def test_only_an_administrator_sets_a_directory(who: Person) -> None:
    state, _ = done(tenant(), TOM.asks(PutDirectory, settings=SETTINGS, secret="sealed"))
    put = who.asks(PutDirectory, settings=SETTINGS, secret="sealed")
    assert refusal(state, put) is ErrorCode.FORBIDDEN
    assert refusal(state, who.asks(RemoveDirectory)) is ErrorCode.FORBIDDEN


def test_a_directory_is_put_changed_and_removed_and_auditors_see_who_may_do_what() -> None:
    state, _ = done(tenant(), TOM.asks(PutDirectory, settings=SETTINGS, secret="sealed"))
    changed = {**SETTINGS, "roles": [{"group": "cn=soc", "role": "tenant_admin"}]}
    event = decide(state, TOM.asks(PutDirectory, settings=changed, secret="other"), AT_MS)
    assert isinstance(event, DirectoryPut)
    assert event.before["grants"] == ["analyst: cn=soc"]
    assert event.after["grants"] == ["tenant_admin: cn=soc"]
    assert "ca_pem" not in event.after
    assert "other" not in repr(event)
    state = evolve(state, event, "tom", AT_MS)
    assert state.directory is not None
    assert (state.directory.settings, state.directory.secret) == (changed, "other")
    assert state_from_bytes(state_to_bytes(state)) == state
    removed = decide(state, TOM.asks(RemoveDirectory), AT_MS)
    assert isinstance(removed, DirectoryRemoved)
    state = evolve(state, removed, "tom", AT_MS)
    assert state.directory is None
    assert refusal(state, TOM.asks(RemoveDirectory)) is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("who", [TOM, ADA, EXTERNAL])
def test_nobody_but_the_gateway_says_who_is_in_the_directory(who: Person) -> None:
    made = who.asks(
        CreateUser,
        user="new",
        username="new",
        display_name="New",
        user_role=Role.ANALYST,
        password_hash="",
        directory_key=KEY,
    )
    assert refusal(tenant(), made) is ErrorCode.FORBIDDEN
    for told in (says(present=False), says(user_role=Role.TENANT_ADMIN)):
        by_him = told.model_copy(update={"actor": who.name, "role": who.role})
        assert refusal(tenant(), by_him) is ErrorCode.FORBIDDEN


def test_a_user_of_the_directory_has_no_password_here() -> None:
    made = SYSTEM.asks(
        CreateUser,
        user="new",
        username="new",
        display_name="New",
        user_role=Role.ANALYST,
        password_hash="argon2",
        directory_key=KEY,
    )
    assert refusal(tenant(), made) is ErrorCode.FORBIDDEN
    for who in (TOM, SYSTEM):
        set_one = who.asks(SetPassword, user="ada", password_hash="argon2")
        assert refusal(tenant(), set_one) is ErrorCode.CONFLICT


def test_what_the_directory_keeps_of_a_user_is_not_changed_here() -> None:
    for command in (
        TOM.asks(UpdateUser, user="ada", user_role=Role.TENANT_ADMIN),
        TOM.asks(UpdateUser, user="ada", email="other@corp.test"),
        ADA.asks(UpdateUser, user="ada", display_name="Somebody"),
    ):
        assert refusal(tenant(), command) is ErrorCode.CONFLICT


@pytest.mark.parametrize("local", ["tom", "TOM@corp.test"])
def test_a_user_of_the_directory_takes_no_name_that_somebody_has(local: str) -> None:
    made = SYSTEM.asks(
        CreateUser,
        user="new",
        username=local,
        display_name="New",
        user_role=Role.TENANT_ADMIN,
        password_hash="",
        directory_key=KEY,
    )
    assert refusal(tenant(), made) is ErrorCode.CONFLICT


def test_a_local_user_is_not_synchronised() -> None:
    assert refusal(tenant(), says(user="tom", present=False)) is ErrorCode.NOT_FOUND
    assert refusal(tenant(deleted=True), says(present=False)) is ErrorCode.NOT_FOUND
    assert refusal(tenant(), says(user="nobody", present=False)) is ErrorCode.NOT_FOUND


def test_whom_the_directory_keeps_out_is_out_and_back_when_it_says_so() -> None:
    state, ended = done(tenant(), says(present=False, reason="gone"))
    assert set(ended) == {"s1", "s2"}
    assert not state.users["ada"].is_active
    assert state_from_bytes(state_to_bytes(state)) == state
    opening = {"session": "s3", "user": "ada", "refresh": "0" * 64, "expires_ms": AT_MS + 1}
    assert refusal(state, ADA.asks(OpenSession, **opening)) is ErrorCode.LOGIN_FAILED
    digests = {"presented": "0" * 64, "refresh": "1" * 64, "expires_ms": AT_MS + 1}
    refresh = ADA.asks(RefreshSession, session="s1", **digests)
    assert refusal(state, refresh) is ErrorCode.SESSION_ENDED
    # An administrator's enabling is about his own disabling.
    assert refusal(state, TOM.asks(EnableUser, user="ada")) is ErrorCode.CONFLICT
    assert refusal(state, says(present=False)) is ErrorCode.CONFLICT
    state, ended = done(state, says())
    assert (state.users["ada"].is_active, ended) == (True, ())


def test_whom_an_administrator_has_disabled_stays_so_whatever_the_directory_says() -> None:
    state, _ = done(tenant(), TOM.asks(DisableUser, user="ada"))
    for told in (says(present=False), says(), says(user_role=Role.VIEWER)):
        state, _ = done(state, told)
        assert not state.users["ada"].is_active
    state, _ = done(state, TOM.asks(EnableUser, user="ada"))
    assert state.users["ada"].is_active


@pytest.mark.parametrize("role", [Role.VIEWER, Role.TENANT_ADMIN])
def test_another_role_ends_the_sessions_that_have_the_old_one(role: Role) -> None:
    state, ended = done(tenant(), says(user_role=role))
    assert (state.users["ada"].role, set(ended)) == (role, {"s1", "s2"})


def test_another_name_ends_no_session() -> None:
    state, ended = done(tenant(), says(display_name="Ada L.", email="al@corp.test"))
    user = state.users["ada"]
    assert (user.display_name, user.email, ended) == ("Ada L.", "al@corp.test", ())
    state, _ = done(state, says(display_name="Ada L.", email=None))
    assert state.users["ada"].email is None


@pytest.mark.parametrize(
    "unfit", [{"email": "tom@corp.test"}, {"email": "a\u202eb@x"}, {"display_name": "a\u202eb"}]
)
def test_a_name_that_can_not_be_taken_over_does_not_keep_a_role(unfit: dict[str, Any]) -> None:
    before = tenant()
    state, ended = done(before, says(user_role=Role.VIEWER, **unfit))
    assert state.users["ada"] == replace(before.users["ada"], role=Role.VIEWER)
    assert ended
    assert refusal(before, says(**unfit)) is ErrorCode.CONFLICT


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.EXTERNAL, None])
def test_a_directory_gives_roles_for_people_only(role: Role | None) -> None:
    assert refusal(tenant(), says(user_role=role)) is ErrorCode.INVALID


def test_even_the_last_administrator_is_out_when_the_directory_says_so() -> None:
    state = tenant(role=Role.TENANT_ADMIN)
    state = replace(state, users={"ada": state.users["ada"]})
    event = decide(state, says(present=False), AT_MS)
    assert isinstance(event, UserSynchronised)
    assert event.after.suspended
    state, _ = done(state, says(user_role=Role.VIEWER))
    assert state.users["ada"].role is Role.VIEWER
