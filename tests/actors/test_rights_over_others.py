"""Whoever may change users by a role of the tenant's own gets nothing by directories and second factors
that he may not give or touch himself."""

from typing import Any

import pytest

from actors.protocol.commands import PutDirectory, RemoveDirectory, TenantCommand
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.permissions import BUILT_IN, Permission
from actors.protocol.roles import Role
from actors.protocol.second_factor_commands import ResetSecondFactor, SetSecondFactorPolicy
from actors.tenant.decide import decide
from actors.tenant.state import CustomRole, SecondFactor, TenantState, User

NOW_MS = 1_795_000_000_000
LEAD = CustomRole("Lead", (*BUILT_IN[Role.VIEWER], Permission.USERS_WRITE))


def user(role: Role, **more: Any) -> User:
    """Somebody with this role."""
    return User(role.value, None, role.value, role, "argon2", **more)


def a_tenant(**people: User) -> TenantState:
    """A lead, whose role is the tenant's own, and others."""
    lead = user(Role.VIEWER, custom_role="role_lead")
    return TenantState(
        {"tom": user(Role.TENANT_ADMIN), "lea": lead, **people}, roles={"role_lead": LEAD}
    )


def put(actor: str, role: Role, *given: str) -> PutDirectory:
    """A directory whose groups give these roles."""
    rules = [{"group": "cn=everybody", "role": name} for name in given]
    return PutDirectory(client_id="c", actor=actor, role=role, settings={"roles": rules}, secret="")


def refused(state: TenantState, command: TenantCommand) -> bool:
    """Whether a command is forbidden; else it is obeyed."""
    made = decide(state, command, NOW_MS)
    if isinstance(made, Rejection):
        assert made.code is ErrorCode.FORBIDDEN, made
        return True
    return False


@pytest.mark.parametrize("given", ["tenant_admin", "analyst"])
def test_a_directory_gives_no_more_than_who_puts_it_may_give(given: str) -> None:
    state = a_tenant()
    assert refused(state, put("lea", Role.VIEWER, "viewer", given))
    assert not refused(state, put("lea", Role.VIEWER, "viewer"))
    assert not refused(state, put("tom", Role.TENANT_ADMIN, "viewer", given))


def test_nobody_replaces_a_directory_whose_users_have_more_permissions() -> None:
    state = a_tenant(zoe=user(Role.TENANT_ADMIN, directory_key="k"))
    for command in (
        put("lea", Role.VIEWER, "viewer"),
        RemoveDirectory(client_id="c", actor="lea", role=Role.VIEWER),
    ):
        assert refused(state, command)
    assert not refused(state, put("tom", Role.TENANT_ADMIN))


def test_an_administrators_second_factor_is_reset_by_administrators_only() -> None:
    factor = SecondFactor("f1", "SEALED")
    state = a_tenant(
        ann=user(Role.TENANT_ADMIN, second_factor=factor),
        vic=user(Role.VIEWER, second_factor=factor),
    )

    def reset(actor: str, role: Role, whose: str) -> ResetSecondFactor:
        return ResetSecondFactor(client_id="c", actor=actor, role=role, user=whose)

    assert refused(state, reset("lea", Role.VIEWER, "ann"))
    assert not refused(state, reset("lea", Role.VIEWER, "vic"))
    assert not refused(state, reset("tom", Role.TENANT_ADMIN, "ann"))


def test_who_may_not_change_users_changes_neither_directory_nor_second_factors() -> None:
    state = a_tenant(ana=user(Role.ANALYST), vic=user(Role.VIEWER))
    common: dict[str, Any] = {"client_id": "c", "actor": "ana", "role": Role.ANALYST}
    for command in (
        put("ana", Role.ANALYST, "viewer"),
        RemoveDirectory(**common),
        ResetSecondFactor(**common, user="vic"),
        SetSecondFactorPolicy(**common, required=False),
    ):
        assert refused(state, command)
