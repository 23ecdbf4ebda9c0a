"""A tenant's identity provider and its users: who may say what, and how long it is believed."""

from dataclasses import replace
from typing import Any, Final

import pytest

from actors.protocol.audit import audit_facts
from actors.protocol.codec import content_of
from actors.protocol.commands import (
    CreateUser,
    EnableUser,
    OpenSession,
    PutIdentityProvider,
    RefreshSession,
    RemoveIdentityProvider,
    SetPassword,
    SynchroniseUser,
    TenantCommand,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import IdentityProviderPut, SessionOpened, SessionRefreshed
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.state import (
    CustomRole,
    IdentityProvider,
    Session,
    TenantState,
    User,
    state_from_bytes,
    state_to_bytes,
)
from tests.actors.people import AT_MS, EXTERNAL, SYSTEM, Person

TOM: Final = Person("tom", Role.TENANT_ADMIN)
ADA: Final = Person("ada", Role.ANALYST)
HOUR_MS: Final = 3_600_000
ISSUER: Final = "https://id.corp.example"
SETTINGS: Final[dict[str, Any]] = {
    "issuer": ISSUER,
    "client_id": "wardroom",
    "ca_pem": "certificate",
    "roles": [{"group": "soc", "role": "analyst"}],
    "session_hours_max": 2,
}


def tenant(**facts: Any) -> TenantState:
    """A local administrator, and ada who signs in at the provider; `facts` are fields of hers."""
    given = {"email": "ada@corp.example", "display_name": "Ada", "provider_key": f"{ISSUER}#1"}
    ada = User(**{"username": "ada", "role": Role.ANALYST, "password_hash": "", **given, **facts})
    tom = User("tom", "tom@corp.example", "Tom", Role.TENANT_ADMIN, "argon2")
    return TenantState(
        {"ada": ada, "tom": tom}, identity_provider=IdentityProvider(SETTINGS, "sealed")
    )


def refusal(state: TenantState, command: TenantCommand, at_ms: int = AT_MS) -> ErrorCode | None:
    """The code of a refusal."""
    decided = decide(state, command, at_ms)
    return decided.code if isinstance(decided, Rejection) else None


def done(state: TenantState, command: TenantCommand, at_ms: int = AT_MS) -> TenantState:
    """The tenant after a command that must succeed."""
    event = decide(state, command, at_ms)
    assert not isinstance(event, Rejection), event
    return evolve(state, event, command.actor, at_ms)


def opening(**fields: Any) -> OpenSession:
    """Ada signs in."""
    given = {"session": "s1", "user": "ada", "refresh": "0" * 64, "expires_ms": AT_MS * 2}
    return ADA.asks(OpenSession, **{**given, **fields})


def refreshing(**fields: Any) -> RefreshSession:
    """Ada goes on."""
    given = {"session": "s1", "presented": "0" * 64, "refresh": "1" * 64, "expires_ms": AT_MS * 2}
    return ADA.asks(RefreshSession, **{**given, **fields})


@pytest.mark.parametrize("who", [ADA, EXTERNAL, Person("eve", Role.TENANT_ADMIN)])
def test_only_an_administrator_sets_or_removes_it(who: Person) -> None:
    put = who.asks(PutIdentityProvider, settings=SETTINGS, secret="sealed")
    assert refusal(tenant(), put) is ErrorCode.FORBIDDEN
    assert refusal(tenant(), who.asks(RemoveIdentityProvider)) is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(
    "gives", [{"roles": [{"group": "g", "role": "tenant_admin"}]}, {"default_role": "tenant_admin"}]
)
def test_nobody_gives_by_it_what_he_does_not_have(gives: dict[str, Any]) -> None:
    state = tenant(role=Role.VIEWER)
    zoe = User("zoe", None, "Zoe", Role.VIEWER, "argon2", custom_role="role_1")
    roles = {"role_1": CustomRole("Users", ("users.write", "users.read"))}
    state = replace(state, users={**state.users, "zoe": zoe}, roles=roles)
    put = Person("zoe", Role.VIEWER).asks(
        PutIdentityProvider, settings={**SETTINGS, **gives}, secret=""
    )
    assert refusal(state, put) is ErrorCode.FORBIDDEN


def test_an_auditor_sees_what_changed_and_no_secret() -> None:
    put = TOM.asks(
        PutIdentityProvider, settings={**SETTINGS, "issuer": "https://n.example"}, secret="s3"
    )
    event = decide(tenant(), put, AT_MS)
    assert isinstance(event, IdentityProviderPut)
    facts = audit_facts(event.kind, content_of(event, "0" * 64))
    assert facts.operation == "identity_provider.put"
    assert facts.before["issuer"] == ISSUER
    assert facts.after["issuer"] == "https://n.example"
    assert facts.after["grants"] == ["analyst: soc"]
    assert "s3" not in str(facts)
    assert "certificate" not in str(facts)
    assert "s3" not in repr(event)
    assert "s3" not in repr(done(tenant(), put))


def test_what_was_removed_is_gone_and_is_not_removed_twice() -> None:
    state = done(tenant(), TOM.asks(RemoveIdentityProvider))
    assert state.identity_provider is None
    assert refusal(state, TOM.asks(RemoveIdentityProvider)) is ErrorCode.NOT_FOUND


def test_only_the_gateway_makes_its_users_and_never_with_a_password() -> None:
    fields = {"user": "new", "username": "new", "display_name": "New", "user_role": Role.VIEWER}
    key = {"provider_key": f"{ISSUER}#2"}
    by_tom = TOM.asks(CreateUser, **fields, **key, password_hash="")
    assert refusal(tenant(), by_tom) is ErrorCode.FORBIDDEN
    with_password = SYSTEM.asks(CreateUser, **fields, **key, password_hash="argon2")
    assert refusal(tenant(), with_password) is ErrorCode.FORBIDDEN
    of_both = SYSTEM.asks(CreateUser, **fields, **key, directory_key="k", password_hash="")
    assert refusal(tenant(), of_both) is ErrorCode.INVALID
    made = done(tenant(), SYSTEM.asks(CreateUser, **fields, **key, password_hash=""))
    assert made.users["new"].provider_key == f"{ISSUER}#2"


def test_nobody_takes_over_a_user_by_his_name_or_e_mail() -> None:
    for taken in (
        {"username": "TOM"},
        {"email": "Tom@Corp.example"},
        {"username": "tom@corp.example"},
    ):
        fields = {"username": "new", "display_name": "New", "user_role": Role.VIEWER, **taken}
        create = SYSTEM.asks(
            CreateUser, user="new", **fields, password_hash="", provider_key=f"{ISSUER}#2"
        )
        assert refusal(tenant(), create) is ErrorCode.CONFLICT


def test_what_the_provider_keeps_of_a_user_is_not_changed_here() -> None:
    for command in (
        TOM.asks(UpdateUser, user="ada", display_name="Somebody"),
        TOM.asks(SetPassword, user="ada", password_hash="argon2"),
        ADA.asks(UpdateUser, user="ada", display_name="Somebody"),
    ):
        assert refusal(tenant(), command) is ErrorCode.CONFLICT
    says = SYSTEM.asks(
        SynchroniseUser, user="ada", present=True, user_role=Role.VIEWER, display_name="A"
    )
    assert done(tenant(), says).users["ada"].role is Role.VIEWER


def test_an_administrators_word_and_the_providers_do_not_undo_each_other() -> None:
    gone = SYSTEM.asks(SynchroniseUser, user="ada", present=False, reason="no role")
    state = done(tenant(disabled=True), gone)
    state = done(state, TOM.asks(EnableUser, user="ada"))
    assert not state.users["ada"].is_active
    assert refusal(state, opening()) is ErrorCode.LOGIN_FAILED


def test_a_session_ends_by_its_age_however_often_it_is_refreshed() -> None:
    opened = decide(tenant(), opening(), AT_MS)
    assert isinstance(opened, SessionOpened)
    until = AT_MS + 2 * HOUR_MS
    assert (opened.until_ms, opened.expires_ms) == (until, until)
    state = evolve(tenant(), opened, "ada", AT_MS)
    refreshed = decide(state, refreshing(), until - 1)
    assert isinstance(refreshed, SessionRefreshed)
    assert refreshed.expires_ms == until
    state = evolve(state, refreshed, "ada", until - 1)
    late = refreshing(presented="1" * 64)
    assert refusal(state, late, until) is ErrorCode.SESSION_ENDED
    # What was set later counts from the next sign-in on.
    longer = {**SETTINGS, "session_hours_max": 99}
    state = done(state, TOM.asks(PutIdentityProvider, settings=longer, secret=""))
    assert state.sessions["s1"].until_ms == until


def test_the_sessions_of_others_have_no_such_end() -> None:
    opened = decide(
        tenant(),
        Person("tom", Role.TENANT_ADMIN).asks(
            OpenSession, session="s1", user="tom", refresh="0" * 64, expires_ms=AT_MS * 2
        ),
        AT_MS,
    )
    assert isinstance(opened, SessionOpened)
    assert (opened.until_ms, opened.expires_ms) == (0, AT_MS * 2)
    assert b"until_ms" not in content_of(opened, "0" * 64)


@pytest.mark.parametrize("issuer", [None, "https://other.example", f"{ISSUER}/"])
def test_a_provider_that_is_not_the_tenants_vouches_for_nobody(issuer: str | None) -> None:
    state = done(tenant(), opening())
    if issuer is None:
        state = done(state, TOM.asks(RemoveIdentityProvider))
    else:
        settings = {**SETTINGS, "issuer": issuer}
        state = done(state, TOM.asks(PutIdentityProvider, settings=settings, secret=""))
    assert refusal(state, refreshing()) is ErrorCode.SESSION_ENDED
    assert refusal(state, opening(session="s2")) is ErrorCode.LOGIN_FAILED


def test_whom_a_provider_recognises_is_not_asked_to_enrol_a_second_factor_here() -> None:
    state = replace(tenant(), second_factor_required=True)
    assert refusal(state, opening()) is None


def test_a_state_survives_its_snapshot_and_one_without_keeps_its_bytes() -> None:
    state = done(tenant(), opening())
    assert state_from_bytes(state_to_bytes(state)) == state
    before = TenantState(sessions={"s": Session("u", "r", 1)})
    assert b"until_ms" not in state_to_bytes(before)
    assert b"identity_provider" not in state_to_bytes(before)
