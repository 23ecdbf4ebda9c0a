"""What may become of tenants, who may ask for it, and what the platform's roles may not be used for."""

from typing import Any, Final

import pytest
from pydantic import ValidationError

from actors.protocol.audit import audit_facts
from actors.protocol.codec import content_of
from actors.protocol.commands import (
    CreateUser,
    DeleteUser,
    DisableUser,
    GrantTenant,
    LockTenant,
    ManageTenant,
    OpenSession,
    RefreshSession,
    SetPassword,
    TenantCommand,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import SessionEnded
from actors.protocol.ids import RESERVED_TENANTS
from actors.protocol.limits import MANAGED_TENANTS_MAX
from actors.protocol.roles import Role
from actors.protocol.tenancy import STATUSES, ManagedTenant, ProfileChange, TenantProfile
from actors.protocol.tenancy_events import TenantGranted, TenantRequested
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.state import Session, TenantState, User
from tests.actors.people import AT_MS, SYSTEM, Person

PETRA: Final = Person("petra", Role.PLATFORM_ADMIN)
VIC: Final = Person("vic", Role.PLATFORM_VIEWER)
TOM: Final = Person("tom", Role.TENANT_ADMIN)
SAM: Final = Person("sam", Role.ANALYST)
DAY_MS: Final = 24 * 3600 * 1000
ASKED: Final[dict[str, dict[str, Any]]] = {
    "create": {"do": "create", "profile": {"name": "Acme"}},
    "adopt": {"do": "adopt", "name": "Acme"},
    "change": {"do": "change", "change": {"name": "Acme AG"}},
    "suspend": {"do": "suspend"},
    "resume": {"do": "resume"},
    "delete": {"do": "delete", "wait_days": 0},
    "cancel": {"do": "cancel_deletion"},
    "begin": {"do": "begin_destruction"},
    "created": {"do": "confirm", "done": "created"},
    "destroyed": {"do": "confirm", "done": "destroyed"},
}
ALLOWED: Final[dict[str, dict[str, str]]] = {
    "": {"create": "creating", "adopt": "active"},
    "creating": {"change": "creating", "created": "active"},
    "active": {"change": "active", "suspend": "suspended", "delete": "deleting"},
    "suspended": {"change": "suspended", "resume": "active", "delete": "deleting"},
    "deleting": {"change": "deleting", "cancel": "active", "begin": "destroying"},
    "destroying": {"destroyed": "deleted"},
    "deleted": {},
}
"""What each status allows, and the status after it; all else is refused."""
BY_THE_PROVISIONER: Final = {"adopt", "begin", "created", "destroyed"}


def platform(**more: Any) -> TenantState:
    users = {
        who.name: User(who.name, None, who.name, who.role, "hash") for who in (PETRA, VIC, TOM, SAM)
    }
    return TenantState(**{"users": users, **more})


def with_tenant(status: str, **more: Any) -> TenantState:
    facts = {"status": status, "profile": {"name": "Acme"}, "since_ms": AT_MS, "due_ms": AT_MS}
    return platform(tenants={"acme": ManagedTenant.model_validate({**facts, **more})})


def asks(who: Person, asked: str, tenant: str = "acme") -> ManageTenant:
    fields = {"client_id": "c1", "actor": who.name, "role": who.role, "tenant": tenant}
    return ManageTenant.model_validate({**fields, "action": ASKED[asked]})


def after(state: TenantState, command: TenantCommand, now_ms: int = AT_MS) -> TenantState:
    event = decide(state, command, now_ms)
    assert not isinstance(event, Rejection), event
    return evolve(state, event, command.actor, now_ms)


def refusal(state: TenantState, command: TenantCommand, now_ms: int = AT_MS) -> ErrorCode:
    outcome = decide(state, command, now_ms)
    assert isinstance(outcome, Rejection), outcome
    return outcome.code


@pytest.mark.parametrize("status", ["", *STATUSES])
@pytest.mark.parametrize("asked", ASKED)
def test_a_status_allows_what_leads_on_from_it_and_nothing_else(status: str, asked: str) -> None:
    state = with_tenant(status) if status else platform()
    who = SYSTEM if asked in BY_THE_PROVISIONER else PETRA
    wanted = ALLOWED[status].get(asked)
    if wanted is None:
        code = ErrorCode.CONFLICT if status else ErrorCode.NOT_FOUND
        assert refusal(state, asks(who, asked)) is code
    else:
        assert after(state, asks(who, asked)).tenants["acme"].status == wanted


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("who", [VIC, TOM, SAM, Person("stranger", Role.PLATFORM_ADMIN)])
def test_nobody_but_an_administrator_of_the_platform_asks_for_anything(
    who: Person, asked: str
) -> None:
    for status in STATUSES:
        assert refusal(with_tenant(status), asks(who, asked)) is ErrorCode.FORBIDDEN
    assert refusal(platform(), asks(who, asked)) is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("asked", sorted(BY_THE_PROVISIONER))
def test_what_is_done_says_the_provisioner_and_no_person(asked: str) -> None:
    for status in ("creating", "deleting", "destroying"):
        refused = refusal(with_tenant(status), asks(PETRA, asked))
        assert refused is (ErrorCode.CONFLICT if asked == "adopt" else ErrorCode.FORBIDDEN)
    if asked == "adopt":
        assert refusal(platform(), asks(PETRA, asked)) is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("word", sorted(RESERVED_TENANTS))
def test_no_tenant_is_made_with_a_word_of_our_own_and_one_that_is_there_stays(word: str) -> None:
    assert refusal(platform(), asks(PETRA, "create", word)) is ErrorCode.INVALID
    found = after(platform(), asks(SYSTEM, "adopt", word))
    assert after(found, asks(PETRA, "suspend", word)).tenants[word].status == "suspended"


def test_the_platforms_own_tenant_is_not_managed() -> None:
    for asked in ASKED:
        assert refusal(platform(), asks(SYSTEM, asked, "platform")) is ErrorCode.CONFLICT


def test_keys_are_not_destroyed_before_the_waiting_period_is_over() -> None:
    asked = {"do": "delete", "wait_days": 2}
    fields = {"client_id": "c1", "actor": "petra", "role": "platform_admin", "tenant": "acme"}
    state = after(with_tenant("active"), ManageTenant.model_validate({**fields, "action": asked}))
    begin = asks(SYSTEM, "begin")
    assert refusal(state, begin, AT_MS + 2 * DAY_MS - 1) is ErrorCode.CONFLICT
    begun = after(state, begin, AT_MS + 2 * DAY_MS)
    assert begun.tenants["acme"].status == "destroying"
    assert refusal(begun, asks(PETRA, "cancel")) is ErrorCode.CONFLICT


def test_a_tenant_that_was_suspended_is_suspended_again_when_its_deletion_is_taken_back() -> None:
    state = after(with_tenant("suspended"), asks(PETRA, "delete"))
    back = after(state, asks(PETRA, "cancel")).tenants["acme"]
    assert (back.status, back.due_ms) == ("suspended", None)


def test_there_is_an_end_to_how_many_tenants_one_platform_has() -> None:
    facts = ManagedTenant(status="deleted", profile=TenantProfile(name="x"), since_ms=1)
    full = platform(tenants={f"t{n}": facts for n in range(MANAGED_TENANTS_MAX)})
    assert refusal(full, asks(PETRA, "create")) is ErrorCode.TOO_MANY


def test_a_profile_is_bounded_as_a_whole() -> None:
    items = tuple(f"{n}" + "x" * 150 for n in range(50))
    state = with_tenant("active")
    change = {"mappings": {"siem_domains": items, "event_collectors": items}}
    fields = {"client_id": "c1", "actor": "petra", "role": "platform_admin", "tenant": "acme"}
    asked = {"do": "change", "change": change}
    command = ManageTenant.model_validate({**fields, "action": asked})
    assert refusal(state, command) is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    "facts",
    [
        {"picture": "javascript:alert(1)"},
        {"picture": "http://example.org/a.png"},
        {"picture": "data:image/svg+xml;base64,PHN2Zz4="},
        {"picture": "data:text/html;base64,AAAA"},
        {"picture": 'https://example.org/"onerror='},
        {"country": "Germany"},
        {"phone": "call me"},
        {"data_region": "../eu"},
        {"volume": {"unit": "eps", "amount": -1}},
        {"volume": {"unit": "parsecs", "amount": 1}},
        {"sla": {"critical": {"respond_minutes": 0, "resolve_minutes": 1}}},
        {"sla": {"dire": {"respond_minutes": 1, "resolve_minutes": 1}}},
        {"mappings": {"siem_domains": [""]}},
        {"mappings": {"nothing": []}},
        {"nonsense": 1},
    ],
)
def test_facts_that_are_none_are_refused(facts: dict[str, Any]) -> None:
    for model in (TenantProfile, ProfileChange):
        with pytest.raises(ValidationError):
            model.model_validate({"name": "Acme", **facts})


def test_a_change_leaves_what_it_does_not_name_and_takes_away_what_it_empties() -> None:
    profile = TenantProfile.model_validate(
        {
            "name": "Acme",
            "country": "DE",
            "picture": "https://example.org/a.png",
            "volume": {"unit": "eps", "amount": 5},
            "sla": {"high": {"respond_minutes": 5, "resolve_minutes": 50}},
        }
    )
    assert profile.changed(ProfileChange(name="Acme AG")) == profile.model_copy(
        update={"name": "Acme AG"}
    )
    empty = {"picture": "", "country": "", "volume": {"unit": "eps", "amount": 0}, "sla": {}}
    after = profile.changed(ProfileChange.model_validate(empty))
    assert after == TenantProfile(name="Acme")


def test_the_hash_of_the_first_password_is_in_no_audit_entry_and_is_forgotten_when_it_is_used() -> (
    None
):
    first = {"user": "u", "username": "boss", "display_name": "Boss", "password_hash": "hashed"}
    action = {**ASKED["create"], "administrator": first}
    fields = {"client_id": "c1", "actor": "petra", "role": "platform_admin", "tenant": "acme"}
    command = ManageTenant.model_validate({**fields, "action": action})
    event = decide(platform(), command, AT_MS)
    assert isinstance(event, TenantRequested)
    assert "hashed" not in repr(command) + repr(event)
    assert "hashed" not in repr(audit_facts(event.kind, content_of(event, "")))
    state = evolve(platform(), event, "petra", AT_MS)
    assert state.tenants["acme"].administrator is not None
    assert after(state, asks(SYSTEM, "created")).tenants["acme"].administrator is None


# Grants -----------------------------------------------------------------------------------------


def grants(who: Person, role: Role | None, user: str = "sam", tenant: str = "acme") -> GrantTenant:
    return who.asks(GrantTenant, user=user, tenant=tenant, granted=role)


def test_a_grant_is_given_changed_and_taken_away_by_administrators_of_the_platform_only() -> None:
    state = with_tenant("active")
    for who in (VIC, TOM, SAM):
        assert refusal(state, grants(who, Role.VIEWER)) is ErrorCode.FORBIDDEN
    state = after(state, grants(PETRA, Role.VIEWER))
    assert state.users["sam"].grants == {"acme": Role.VIEWER}
    assert refusal(state, grants(PETRA, Role.VIEWER)) is ErrorCode.CONFLICT
    event = decide(state, grants(PETRA, Role.ANALYST), AT_MS)
    assert isinstance(event, TenantGranted)
    assert (event.former, event.granted) == (Role.VIEWER, Role.ANALYST)
    assert after(state, grants(PETRA, None)).users["sam"].grants == {}


def test_there_is_no_grant_of_what_is_not_there_nor_of_a_role_of_the_platform() -> None:
    state = with_tenant("active")
    assert refusal(state, grants(PETRA, Role.VIEWER, user="nobody")) is ErrorCode.NOT_FOUND
    assert refusal(state, grants(PETRA, Role.VIEWER, tenant="none")) is ErrorCode.NOT_FOUND
    assert refusal(with_tenant("deleted"), grants(PETRA, Role.VIEWER)) is ErrorCode.NOT_FOUND
    with pytest.raises(ValidationError):
        grants(PETRA, Role.PLATFORM_ADMIN)


# Roles ------------------------------------------------------------------------------------------


def test_an_administrator_of_a_tenant_gives_nobody_a_role_of_the_platform() -> None:
    new = {"user": "new", "username": "new", "display_name": "New", "password_hash": "hash"}
    for role in (Role.PLATFORM_ADMIN, Role.PLATFORM_VIEWER):
        create = TOM.asks(CreateUser, **new, user_role=role)
        assert refusal(platform(), create) is ErrorCode.FORBIDDEN
        assert refusal(platform(), create.model_copy(update={"actor": "vic"})) is (
            ErrorCode.FORBIDDEN
        )
        update = TOM.asks(UpdateUser, user="sam", user_role=role)
        assert refusal(platform(), update) is ErrorCode.FORBIDDEN
        for who in (PETRA, SYSTEM):
            made = after(platform(), who.asks(CreateUser, **new, user_role=role))
            assert made.users["new"].role is role


def test_nor_does_he_get_at_somebody_who_has_one_or_who_reads_other_tenants() -> None:
    state = after(with_tenant("active"), grants(PETRA, Role.VIEWER))
    for user in ("petra", "vic", "sam"):
        for command in (
            TOM.asks(SetPassword, user=user, password_hash="his"),
            TOM.asks(UpdateUser, user=user, email="tom@example.org"),
            TOM.asks(DisableUser, user=user),
            TOM.asks(DeleteUser, user=user),
        ):
            assert refusal(state, command) is ErrorCode.FORBIDDEN
    without = after(platform(), TOM.asks(SetPassword, user="sam", password_hash="his"))
    assert without.users["sam"].password_hash == "his"


def test_the_last_administrator_of_the_platform_stays() -> None:
    for command in (
        PETRA.asks(UpdateUser, user="petra", user_role=Role.ANALYST),
        SYSTEM.asks(DisableUser, user="petra"),
        SYSTEM.asks(DeleteUser, user="petra"),
    ):
        assert refusal(platform(), command) is ErrorCode.CONFLICT


# The lock ---------------------------------------------------------------------------------------


def test_nobody_signs_in_or_goes_on_in_a_tenant_that_is_locked() -> None:
    opened = {"sam": Session("sam", "0" * 64, AT_MS + 1)}
    state = platform(sessions=opened)
    for who in (PETRA, TOM, SAM):
        assert refusal(state, who.asks(LockTenant, locked=True)) is ErrorCode.FORBIDDEN
    locked = after(state, SYSTEM.asks(LockTenant, locked=True))
    assert refusal(locked, SYSTEM.asks(LockTenant, locked=True)) is ErrorCode.CONFLICT
    facts = {"session": "s2", "user": "sam", "refresh": "0" * 64, "expires_ms": AT_MS + 1}
    sign_in = SAM.asks(OpenSession, **facts)
    assert refusal(locked, sign_in) is ErrorCode.TENANT_SUSPENDED
    renewal = {"session": "sam", "presented": "0" * 64, "refresh": "1" * 64}
    going_on = SAM.asks(RefreshSession, **renewal, expires_ms=AT_MS + 9)
    assert isinstance(decide(locked, going_on, AT_MS), SessionEnded)
    open_again = after(locked, SYSTEM.asks(LockTenant, locked=False))
    assert after(open_again, sign_in).sessions["s2"].user == "sam"
