"""Roles of a tenant's own: a name and what it permits. Ids stay, whatever the name becomes."""

from dataclasses import replace
from typing import assert_never

from actors.protocol.commands import Command
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.limits import ROLES_PER_TENANT_MAX
from actors.protocol.people_commands import CreateRole, DeleteRole, UpdateRole
from actors.protocol.people_events import RoleChanged, RoleCreated, RoleDeleted, RoleFacts
from actors.protocol.permissions import OF_TENANT, Permission, known_permissions
from actors.protocol.roles import Role
from actors.tenant.rights import NO_SUCH_ROLE, may, reaches
from actors.tenant.state import CustomRole, TenantState
from actors.tenant.users import unfit_text

RoleCommand = CreateRole | UpdateRole | DeleteRole
RoleEvent = RoleCreated | RoleChanged | RoleDeleted


def decide(state: TenantState, command: RoleCommand) -> RoleEvent | Rejection:
    """What a command makes of a role."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only who may change users may change roles")
    match command:
        case CreateRole():
            return create(state, command)
        case UpdateRole():
            return update(state, command)
        case DeleteRole():
            return delete(state, command)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: RoleEvent) -> TenantState:
    """The tenant with its roles as an event leaves them."""
    roles = {name: role for name, role in state.roles.items() if name != event.role}
    match event:
        case RoleCreated():
            roles[event.role] = CustomRole(event.name, event.permissions)
        case RoleChanged():
            roles[event.role] = CustomRole(event.after.name, event.after.permissions)
        case RoleDeleted():
            pass
        case _:
            assert_never(event)
    return replace(state, roles=roles)


def create(state: TenantState, command: CreateRole) -> RoleCreated | Rejection:
    """Make a role."""
    if command.new_role in state.roles:
        return Rejection(ErrorCode.CONFLICT, "the role exists already")
    if len(state.roles) >= ROLES_PER_TENANT_MAX:
        detail = f"a tenant has at most {ROLES_PER_TENANT_MAX} roles; delete one first"
        return Rejection(ErrorCode.TOO_MANY, detail)
    refused = _unfit_name(state, command.name) or _beyond(state, command, command.permissions)
    return refused or RoleCreated(
        role=command.new_role, name=command.name, permissions=_in_order(command.permissions)
    )


def update(state: TenantState, command: UpdateRole) -> RoleChanged | Rejection:
    """Change a role for everybody who has it, at once."""
    role = state.roles.get(command.changed_role)
    if role is None:
        return Rejection(ErrorCode.NOT_FOUND, NO_SUCH_ROLE)
    before = known_permissions(role.permissions)
    after = before if command.permissions is None else command.permissions
    refused = _beyond(state, command, before | after)
    if refused is None and command.name is not None:
        refused = _unfit_name(state, command.name, but=command.changed_role)
    return refused or RoleChanged(
        role=command.changed_role,
        before=RoleFacts(name=role.name, permissions=role.permissions),
        after=RoleFacts(name=command.name or role.name, permissions=_in_order(after)),
    )


def delete(state: TenantState, command: DeleteRole) -> RoleDeleted | Rejection:
    """Take a role away."""
    role = state.roles.get(command.deleted_role)
    if role is None:
        return Rejection(ErrorCode.NOT_FOUND, NO_SUCH_ROLE)
    having = sum(
        user.custom_role == command.deleted_role and not user.deleted
        for user in state.users.values()
    )
    if having:
        detail = f"this role is that of {having} of the users; give them another one first"
        return Rejection(ErrorCode.CONFLICT, detail)
    refused = _beyond(state, command, known_permissions(role.permissions))
    return refused or RoleDeleted(role=command.deleted_role, name=role.name)


def _beyond(
    state: TenantState, command: Command, permissions: frozenset[Permission]
) -> Rejection | None:
    if not permissions <= OF_TENANT:
        return Rejection(ErrorCode.INVALID, "only the platform's own roles manage tenants")
    if reaches(state, command, permissions):
        return None
    return Rejection(ErrorCode.FORBIDDEN, "a role can't permit more than is permitted to you")


def _unfit_name(state: TenantState, name: str, but: str | None = None) -> Rejection | None:
    unfit = unfit_text(name)
    if unfit is not None:
        return unfit
    taken = {role.name.casefold() for key, role in state.roles.items() if key != but}
    if name.casefold() in taken | set(Role):
        return Rejection(ErrorCode.CONFLICT, "another role has this name")
    return None


def _in_order(permissions: frozenset[Permission]) -> tuple[str, ...]:
    return tuple(sorted(permissions))
