"""`/roles` and `/permissions`: what may be permitted, and the tenant's own roles."""

from typing import Annotated, Self

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, model_validator

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import (
    TENANT_ROOM,
    TOKEN_PATTERN,
    is_role_id,
)
from actors.protocol.people_commands import CreateRole, DeleteRole, UpdateRole
from actors.protocol.permissions import BUILT_IN, PERMISSIONS, Permission, known_permissions
from actors.protocol.roles import Role
from gateway.rest.access import DEFAULT_LIMIT, Body, IdempotencyKey, Limit, Services, SignedIn
from gateway.rest.commands import ReceiptView, by, new_id, receipt_view, send
from gateway.rest.strict import StrictRoute
from gateway.rest.users import Name
from store.rows import RoleRow

PEOPLE = (Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER)
# Strict bodies take no text for an enumeration; here the text is the wire's only form of it.
PermissionName = Annotated[Permission, Field(strict=False)]
RoleInPath = Annotated[str, Path(pattern=TOKEN_PATTERN)]


class NewRole(Body):
    """A role to make. It can permit what is permitted to its maker, and no more."""

    name: Name
    permissions: list[PermissionName] = Field(max_length=len(Permission))


class RoleChange(Body):
    """What is to be changed; what is left out stays. The permissions are all that there will be."""

    name: Name | None = None
    permissions: list[PermissionName] | None = Field(default=None, max_length=len(Permission))

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.name is None and self.permissions is None:
            raise ValueError("name something to change")
        return self


class RoleView(BaseModel):
    """A role. A built-in one can't be changed, and its id is its name."""

    role: str
    name: str
    permissions: list[str]
    built_in: bool


class RolePage(BaseModel):
    """The built-in roles, then the tenant's own by id; `next` is the `cursor` of the following page."""

    items: list[RoleView]
    next: str | None


class RoleChanged(BaseModel):
    """A change of a role was committed."""

    role: str
    receipt: ReceiptView


class PermissionView(BaseModel):
    """A permission, in words."""

    permission: str
    meaning: str


class PermissionList(BaseModel):
    """Every permission there is; `next` is always null."""

    items: list[PermissionView]
    next: str | None = None


def _built_in(role: Role) -> RoleView:
    permissions = [str(name) for name in sorted(BUILT_IN[role])]
    return RoleView(role=role, name=role, permissions=permissions, built_in=True)


def _view(row: RoleRow) -> RoleView:
    permissions = [str(name) for name in sorted(known_permissions(row.permissions))]
    return RoleView(role=row.role, name=row.name, permissions=permissions, built_in=False)


async def list_permissions(_: SignedIn) -> PermissionList:
    """What roles can permit."""
    return PermissionList(
        items=[
            PermissionView(permission=name, meaning=meaning)
            for name, meaning in PERMISSIONS.items()
        ]
    )


async def list_roles(
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
) -> RolePage:
    """The roles that users can have. The built-in ones are on the first page, besides its `limit`."""
    rows = await caller.reader.people.roles(after=cursor or "", limit=limit + 1)
    page = [_view(row) for row in rows[:limit]]
    first = [_built_in(role) for role in PEOPLE] if cursor is None else []
    return RolePage(items=first + page, next=page[-1].role if len(rows) > limit else None)


async def get_role(role: RoleInPath, caller: SignedIn) -> RoleView:
    """One role."""
    if role in PEOPLE:
        return _built_in(Role(role))
    row = await caller.reader.people.role(role)
    if row is None:
        raise _no_such_role()
    return _view(row)


async def create_role(
    body: NewRole,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> RoleChanged:
    """Make a role. With an Idempotency-Key, a repeated request makes no second one."""
    role = new_id("role", caller, key)
    command = CreateRole(
        **by(caller, key),
        new_role=role,
        name=body.name,
        permissions=frozenset(body.permissions),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    response.status_code = 200 if receipt.duplicate else 201
    response.headers["Location"] = f"/api/v1/roles/{role}"
    return RoleChanged(role=role, receipt=receipt_view(receipt))


async def change_role(
    body: RoleChange,
    role: RoleInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> RoleChanged:
    """Change a role for everybody who has it: at once, and their sockets are closed to begin anew."""
    command = UpdateRole(
        **by(caller, key),
        changed_role=_own(role),
        name=body.name,
        permissions=None if body.permissions is None else frozenset(body.permissions),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return RoleChanged(role=role, receipt=receipt_view(receipt))


async def delete_role(
    role: RoleInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> RoleChanged:
    """Delete a role that nobody has."""
    command = DeleteRole(
        **by(caller, key),
        deleted_role=_own(role),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return RoleChanged(role=role, receipt=receipt_view(receipt))


def _own(role: str) -> str:
    if role in PEOPLE:
        raise Refusal(ErrorCode.FORBIDDEN, "a built-in role can't be changed; make one of your own")
    if not is_role_id(role):
        raise _no_such_role()
    return role


def _no_such_role() -> Refusal:
    return Refusal(ErrorCode.NOT_FOUND, "there is no such role")


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["roles"], route_class=StrictRoute)
    routes.get("/permissions")(list_permissions)
    routes.get("/roles")(list_roles)
    routes.post("/roles", status_code=201, responses={200: {"model": RoleChanged}})(create_role)
    routes.get("/roles/{role}")(get_role)
    routes.patch("/roles/{role}")(change_role)
    routes.delete("/roles/{role}")(delete_role)
    return routes
