"""Roles of a tenant's own: who may make them, what they can permit, and when they can be taken away."""

from typing import Any, Final

import pytest

from actors.protocol.codec import fingerprint
from actors.protocol.commands import (
    CreateUser,
    DeleteUser,
    DisableUser,
    OpenSession,
    SetPassword,
    TenantCommand,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import UserChanged
from actors.protocol.limits import ROLES_PER_TENANT_MAX
from actors.protocol.people_commands import CreateRole, DeleteRole, UpdateRole
from actors.protocol.people_events import RoleChanged
from actors.protocol.permissions import (
    BUILT_IN,
    OF_PLATFORM,
    OF_TENANT,
    PERMISSIONS,
    Permission,
    capability,
    known_permissions,
    permitted,
)
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.sessions import ended_by
from actors.tenant.state import TenantState, User
from tests.actors.people import AT_MS, SYSTEM, Person

TOM: Final = Person("tom", Role.TENANT_ADMIN)
ANA: Final = Person("ana", Role.ANALYST)
LEAD: Final = Person("lea", Role.VIEWER)
"""She has the role `role_lead`: a viewer in rooms, who may change users."""
LEADING: Final = frozenset(
    {Permission.USERS_READ, Permission.USERS_WRITE, Permission.ROOMS_READ, Permission.ALERTS_READ}
)
DESK: Final = frozenset({Permission.ROOMS_READ, Permission.ALERTS_READ})


def tenant() -> TenantState:
    """An administrator, an analyst, a lead and somebody at the desk."""
    users = {
        name: User(name, None, name, role, "argon2")
        for name, role in {"tom": Role.TENANT_ADMIN, "ana": Role.ANALYST}.items()
    }
    for name, custom in {"lea": "role_lead", "dan": "role_desk"}.items():
        users[name] = User(name, None, name, Role.VIEWER, "argon2", custom_role=custom)
    return after(
        TenantState(users),
        made("role_lead", LEADING),
        made("role_desk", DESK),
    )


def made(role: str, permissions: frozenset[Permission], by: Person = SYSTEM) -> CreateRole:
    """The command that makes a role."""
    return by.asks(CreateRole, new_role=role, name=f"Name of {role}", permissions=permissions)


def after(state: TenantState, *commands: TenantCommand) -> TenantState:
    """The tenant once commands that must succeed are done."""
    for command in commands:
        event = decide(state, command, AT_MS)
        assert not isinstance(event, Rejection), event
        state = evolve(state, event, command.actor, AT_MS)
    return state


def refusal(state: TenantState, command: TenantCommand) -> ErrorCode | None:
    """The code of a refusal."""
    decided = decide(state, command, AT_MS)
    return decided.code if isinstance(decided, Rejection) else None


def new_user(by: Person, **fields: Any) -> CreateUser:
    """The command that makes nina."""
    facts = {"user": "nina", "username": "nina", "display_name": "Nina", "password_hash": "argon2"}
    return by.asks(CreateUser, **{"user_role": Role.VIEWER, **facts, **fields})


def test_every_permission_is_said_in_words_and_an_administrator_has_all() -> None:
    assert PERMISSIONS.keys() == OF_TENANT
    assert BUILT_IN.keys() == set(Role)
    assert BUILT_IN[Role.TENANT_ADMIN] == OF_TENANT
    assert BUILT_IN[Role.VIEWER] < BUILT_IN[Role.ANALYST] < BUILT_IN[Role.TENANT_ADMIN]
    assert not BUILT_IN[Role.EXTERNAL] | BUILT_IN[Role.SYSTEM]


def test_no_role_of_a_tenants_own_manages_tenants_whoever_makes_it() -> None:
    for permission in OF_PLATFORM:
        for maker in (TOM, SYSTEM):
            wanted = made("role_more", frozenset({permission}), maker)
            assert refusal(tenant(), wanted) is ErrorCode.INVALID
        assert known_permissions([permission.value]) == frozenset()
        assert permission not in permitted("acme", Role.PLATFORM_ADMIN)
        assert permission in permitted("platform", Role.PLATFORM_ADMIN)


def test_a_custom_role_acts_in_rooms_as_an_analyst_at_most() -> None:
    assert capability(frozenset(Permission)) is Role.ANALYST
    assert capability(frozenset({Permission.ROOMS_CREATE})) is Role.ANALYST
    assert capability(frozenset(Permission) - {Permission.ROOMS_CREATE}) is Role.VIEWER


@pytest.mark.parametrize("by", [ANA, Person("dan", Role.VIEWER), Person("eve", Role.TENANT_ADMIN)])
def test_who_may_not_change_users_changes_no_roles(by: Person) -> None:
    for command in (
        made("role_new", frozenset(), by),
        by.asks(UpdateRole, changed_role="role_desk", name="Other"),
        by.asks(DeleteRole, deleted_role="role_desk"),
    ):
        assert refusal(tenant(), command) is ErrorCode.FORBIDDEN


def test_a_role_permits_no_more_than_is_permitted_to_its_maker() -> None:
    state = tenant()
    assert refusal(state, made("role_new", LEADING, LEAD)) is None
    assert refusal(state, made("role_new", LEADING | {Permission.AUDIT_READ}, LEAD)) is (
        ErrorCode.FORBIDDEN
    )
    more = DESK | {Permission.AUDIT_READ}
    grown = LEAD.asks(UpdateRole, changed_role="role_desk", permissions=more)
    assert refusal(state, grown) is ErrorCode.FORBIDDEN
    own = LEAD.asks(UpdateRole, changed_role="role_lead", permissions=LEADING | more)
    assert refusal(state, own) is ErrorCode.FORBIDDEN


def test_a_role_that_permits_more_can_be_neither_changed_nor_deleted() -> None:
    state = after(tenant(), made("role_audit", frozenset({Permission.AUDIT_READ})))
    for command in (
        LEAD.asks(UpdateRole, changed_role="role_audit", permissions=frozenset()),
        LEAD.asks(UpdateRole, changed_role="role_audit", name="Mine"),
        LEAD.asks(DeleteRole, deleted_role="role_audit"),
    ):
        assert refusal(state, command) is ErrorCode.FORBIDDEN


def test_nobody_gives_a_role_beyond_his_own() -> None:
    state = after(tenant(), made("role_all", OF_TENANT))
    for beyond in (
        {"user_role": Role.TENANT_ADMIN},
        {"user_role": Role.ANALYST},
        {"custom_role": "role_all"},
    ):
        assert refusal(state, new_user(LEAD, **beyond)) is ErrorCode.FORBIDDEN
        given = LEAD.asks(UpdateUser, user="dan", **beyond)
        assert refusal(state, given) is ErrorCode.FORBIDDEN
    assert refusal(state, new_user(LEAD, custom_role="role_desk")) is None
    assert refusal(state, new_user(TOM, custom_role="role_all")) is None


def test_all_permissions_together_make_no_administrator_and_no_master_of_one() -> None:
    state = after(tenant(), made("role_all", OF_TENANT))
    state = after(state, TOM.asks(UpdateUser, user="lea", custom_role="role_all"))
    for command in (
        new_user(LEAD, user_role=Role.TENANT_ADMIN),
        LEAD.asks(UpdateUser, user="lea", user_role=Role.TENANT_ADMIN),
        LEAD.asks(SetPassword, user="tom", password_hash="argon2-mine"),
        LEAD.asks(DisableUser, user="tom"),
    ):
        assert refusal(state, command) is ErrorCode.FORBIDDEN


def test_nobody_lays_hands_on_a_user_with_more_permissions() -> None:
    state = tenant()
    for command in (
        LEAD.asks(SetPassword, user="ana", password_hash="argon2-mine"),
        LEAD.asks(DisableUser, user="tom"),
        LEAD.asks(DeleteUser, user="ana"),
        LEAD.asks(UpdateUser, user="ana", email="lea@example.org"),
    ):
        assert refusal(state, command) is ErrorCode.FORBIDDEN
    assert refusal(state, LEAD.asks(DisableUser, user="dan")) is None


def test_a_role_that_somebody_has_stays_until_he_has_another() -> None:
    state = tenant()
    delete = TOM.asks(DeleteRole, deleted_role="role_desk")
    decided = decide(state, delete, AT_MS)
    assert isinstance(decided, Rejection)
    assert (decided.code, decided.detail) == (
        ErrorCode.CONFLICT,
        "this role is that of 1 of the users; give them another one first",
    )
    moved = after(state, TOM.asks(UpdateUser, user="dan", user_role=Role.VIEWER), delete)
    assert "role_desk" not in moved.roles
    assert moved.users["dan"].custom_role is None
    assert refusal(moved, new_user(TOM, custom_role="role_desk")) is ErrorCode.INVALID
    assert refusal(moved, delete) is ErrorCode.NOT_FOUND


def test_a_role_keeps_its_id_under_another_name_and_no_two_have_one_name() -> None:
    state = after(tenant(), TOM.asks(UpdateRole, changed_role="role_desk", name="Front desk"))
    assert state.roles["role_desk"].name == "Front desk"
    assert state.roles["role_desk"].permissions == tuple(sorted(DESK))
    for name in ("front DESK", "analyst", "Tenant_Admin"):
        command = TOM.asks(CreateRole, new_role="role_x", name=name, permissions=frozenset())
        assert refusal(state, command) is ErrorCode.CONFLICT
    shady = TOM.asks(CreateRole, new_role="role_x", name="de\u202esk", permissions=frozenset())
    assert refusal(state, shady) is ErrorCode.INVALID


def test_a_tenant_has_so_many_roles_and_no_more() -> None:
    state = tenant()
    for number in range(ROLES_PER_TENANT_MAX - len(state.roles)):
        state = after(state, made(f"role_{number}", DESK))
    assert refusal(state, made("role_one_more", DESK)) is ErrorCode.TOO_MANY


def test_another_permission_is_told_to_the_sockets_of_the_role() -> None:
    changed = decide(
        tenant(), TOM.asks(UpdateRole, changed_role="role_desk", permissions=frozenset()), AT_MS
    )
    assert isinstance(changed, RoleChanged)
    assert changed.before.permissions == tuple(sorted(DESK))
    assert changed.after.permissions == ()
    assert ended_by(changed) == ("role_desk",)


def test_another_custom_role_ends_the_sessions_that_have_the_old_one() -> None:
    state = after(tenant(), opening("dan", "role_desk"))
    event = decide(state, TOM.asks(UpdateUser, user="dan", custom_role="role_lead"), AT_MS)
    assert isinstance(event, UserChanged)
    assert (event.before.custom_role, event.after.custom_role) == ("role_desk", "role_lead")
    assert event.sessions == ("ses_1",)


def opening(user: str, custom_role: str | None) -> OpenSession:
    """A sign-in as the gateway records it."""
    facts = {"session": "ses_1", "refresh": "0" * 64, "expires_ms": AT_MS + 1}
    who = Person(user, Role.VIEWER)
    return who.asks(OpenSession, user=user, custom_role=custom_role, **facts)


@pytest.mark.parametrize("told", [None, "role_lead"])
def test_a_sign_in_for_a_role_that_was_lost_meanwhile_is_refused(told: str | None) -> None:
    assert refusal(tenant(), opening("dan", told)) is ErrorCode.LOGIN_FAILED
    assert refusal(tenant(), opening("dan", "role_desk")) is None


def test_a_command_without_a_custom_role_keeps_the_fingerprint_it_always_had() -> None:
    assert "custom_role" not in new_user(TOM).model_dump(mode="json")
    assert fingerprint(new_user(TOM)) != fingerprint(new_user(TOM, custom_role="role_desk"))
