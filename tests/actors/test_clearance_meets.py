"""A clearance beside what came with it: second factors, directories and roles of the tenant's own."""

from typing import Any

from actors.protocol.commands import PutDirectory, TenantCommand, UpdateUser
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import DirectoryPut, UserChanged
from actors.protocol.permissions import BUILT_IN, Permission
from actors.protocol.roles import Role
from actors.protocol.second_factor_commands import ResetSecondFactor
from actors.protocol.second_factor_events import SecondFactorReset
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.state import CustomRole, SecondFactor, Session, TenantState, User

NOW_MS = 1_795_000_000_000
LEAD = CustomRole("Lead", (*BUILT_IN[Role.ANALYST], Permission.USERS_WRITE))


def a_tenant() -> TenantState:
    """An administrator and a lead of some clearance, and analysts of more and of less."""

    def user(name: str, role: Role, clearance: int, **more: Any) -> User:
        factor = SecondFactor("f1", "SEALED")
        facts: dict[str, Any] = {"clearance": clearance, "second_factor": factor, **more}
        return User(name, None, name, role, "argon2", **facts)

    users = {
        "tom": user("tom", Role.TENANT_ADMIN, 1),
        "lea": user("lea", Role.VIEWER, 1, custom_role="role_lead"),
        "top": user("top", Role.ANALYST, 3),
        "low": user("low", Role.ANALYST, 0),
        "dir": user("dir", Role.ANALYST, 0, directory_key="k"),
    }
    sessions = {f"s_{name}": Session(name, "0" * 64, NOW_MS * 2) for name in users}
    return TenantState(users, sessions, roles={"role_lead": LEAD})


def made(command: TenantCommand) -> Any:
    """What a command makes: an event, or the code of a refusal."""
    decided = decide(a_tenant(), command, NOW_MS)
    return decided.code if isinstance(decided, Rejection) else decided


def test_nobody_takes_the_second_factor_of_whoever_has_more_clearance() -> None:
    for actor, role in (("tom", Role.TENANT_ADMIN), ("lea", Role.VIEWER)):
        who: dict[str, Any] = {"client_id": "c", "actor": actor, "role": role}
        assert made(ResetSecondFactor(**who, user="top")) is ErrorCode.FORBIDDEN
        assert isinstance(made(ResetSecondFactor(**who, user="low")), SecondFactorReset)
    operator = ResetSecondFactor(client_id="c", actor="op", role=Role.SYSTEM, user="top")
    assert isinstance(made(operator), SecondFactorReset)


def test_a_role_of_the_tenants_own_gives_clearance_within_that_of_whoever_has_it() -> None:
    who: dict[str, Any] = {"client_id": "c", "actor": "lea", "role": Role.VIEWER}
    assert made(UpdateUser(**who, user="low", user_clearance=2)) is ErrorCode.FORBIDDEN
    event = made(UpdateUser(**who, user="low", user_clearance=1))
    assert isinstance(event, UserChanged)
    assert event.sessions == ("s_low",)
    after = evolve(a_tenant(), event, "lea", NOW_MS).users["low"]
    assert (after.clearance, after.role, after.custom_role) == (1, Role.ANALYST, None)


def test_another_role_and_another_clearance_leave_each_other_alone() -> None:
    who: dict[str, Any] = {"client_id": "c", "actor": "tom", "role": Role.TENANT_ADMIN}
    event = made(UpdateUser(**who, user="lea", user_clearance=0))
    after = evolve(a_tenant(), event, "tom", NOW_MS).users["lea"]
    assert (after.clearance, after.custom_role) == (0, "role_lead")
    event = made(UpdateUser(**who, user="top", user_role=Role.VIEWER, custom_role="role_lead"))
    after = evolve(a_tenant(), event, "tom", NOW_MS).users["top"]
    assert (after.clearance, after.custom_role) == (3, "role_lead")


def test_a_user_of_the_directory_has_his_clearance_and_no_role_from_here() -> None:
    who: dict[str, Any] = {"client_id": "c", "actor": "tom", "role": Role.TENANT_ADMIN}
    assert isinstance(made(UpdateUser(**who, user="dir", user_clearance=1)), UserChanged)
    custom = UpdateUser(**who, user="dir", user_role=Role.VIEWER, custom_role="role_lead")
    assert made(custom) is ErrorCode.CONFLICT
    put = PutDirectory(**who, settings={}, secret="")
    assert isinstance(made(put), DirectoryPut)
