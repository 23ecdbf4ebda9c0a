"""The parent view: people of the platform tenant read the tenants that they are granted, and no others.

Who is granted a tenant as somebody of a role sees what a person of this role sees there who is a member of
no room, and writes nothing. Each reading is recorded in the chain of the tenant that is read, first.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from actors.protocol.commands import GrantTenant
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import PLATFORM_TENANT, ROOM_PATTERN, TENANT_ROOM, TOKEN_PATTERN
from actors.protocol.markings import LOWEST
from actors.protocol.permissions import permitted
from actors.protocol.roles import Role
from gateway.evidence import Reading
from gateway.policy import DENIED, ROUTES, Granted, nothing_here
from gateway.rest import audit, entries, rooms, users
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    Caller,
    IdempotencyKey,
    Limit,
    RoomInPath,
    Services,
    SignedIn,
    UserInPath,
    route_of,
)
from gateway.rest.commands import ReceiptView, client_id_of, receipt_view, send
from gateway.rest.strict import StrictRoute
from gateway.rest.tenants import TenantInPath
from gateway.rooms import visible_room

GrantedRole = Literal["tenant_admin", "analyst", "viewer"]
Kind = Literal["room", "audit_log", "room_list", "user_list"]


class Grant(Body):
    """As somebody of which role a tenant may be read: users and the audit log are for administrators."""

    role: GrantedRole


class GrantView(BaseModel):
    """A tenant that somebody may read."""

    tenant: str
    role: str


class GrantList(BaseModel):
    """All grants of somebody, by tenant."""

    items: list[GrantView]
    next: str | None = None


class GrantChanged(BaseModel):
    """A grant was given or taken away; without a role there is none any more."""

    user: str
    tenant: str
    role: str | None
    receipt: ReceiptView


@dataclass(frozen=True, slots=True)
class Guest:
    """A caller in the tenant that he is granted: with its readings, and under the role of the grant."""

    caller: Caller
    services: Services

    async def reads(self, kind: Kind, object_id: str) -> None:
        """Have a reading recorded in the tenant's own chain, or refuse it."""
        reading = Reading("read", kind, object_id, {"home": PLATFORM_TENANT})
        await self.services.evidence.require(self.caller.principal, self.caller.origin, reading)


async def _guest(
    request: Request, caller: SignedIn, services: Services, tenant: TenantInPath
) -> Guest:
    principal = caller.principal
    if principal.tenant != PLATFORM_TENANT:
        raise nothing_here()
    # Asked each time: a grant that was taken away counts from the next request on.
    row = await caller.reader.user(principal.user)
    role = row.grants.get(tenant) if row is not None and row.is_active else None
    reader = await services.reader.tenant(tenant) if role is not None else None
    if role is None or reader is None:
        raise nothing_here()
    # What a role and a clearance of his own tenant let him see says nothing there.
    there = replace(principal, tenant=tenant, role=Role(role), custom_role="", clearance=LOWEST)
    permissions = permitted(tenant, there.role)
    need = ROUTES.get(route_of(request))
    if not isinstance(need, Granted) or need.permission not in permissions:
        raise Refusal(ErrorCode.FORBIDDEN, DENIED)
    return Guest(Caller(there, reader, caller.origin, permissions), services)


InGrantedTenant = Annotated[Guest, Depends(_guest)]


async def list_granted_rooms(
    guest: InGrantedTenant,
    tenant: TenantInPath,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=ROOM_PATTERN)] | None = None,
) -> rooms.RoomPage:
    """The rooms of a granted tenant that are open to the role of the grant."""
    await guest.reads("room_list", tenant)
    return await rooms.list_rooms(guest.caller, limit, cursor)


async def get_granted_room(guest: InGrantedTenant, room: RoomInPath) -> rooms.RoomDetail:
    """One room of a granted tenant."""
    row = await visible_room(guest.caller.reader, guest.caller.principal, room)
    await guest.reads("room", room)
    return await rooms.get_room(row, guest.caller)


async def list_granted_entries(
    guest: InGrantedTenant,
    room: RoomInPath,
    after: entries.After = 0,
    before: entries.Before | None = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """A page of a room of a granted tenant."""
    row = await visible_room(guest.caller.reader, guest.caller.principal, room)
    await guest.reads("room", room)
    return await entries.list_entries(row, guest.caller, after, before, None, limit)


async def list_granted_users(
    guest: InGrantedTenant,
    tenant: TenantInPath,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
) -> users.UserPage:
    """The users of a granted tenant."""
    await guest.reads("user_list", tenant)
    return await users.list_users(guest.caller, limit, cursor, False)


async def list_granted_audit_entries(
    guest: InGrantedTenant,
    tenant: TenantInPath,
    query: Annotated[audit.PageQuery, Query()],
) -> audit.AuditPageView:
    """The audit log of a granted tenant, newest first."""
    await guest.reads("audit_log", tenant)
    return await audit.list_entries(guest.caller, query)


async def list_my_grants(caller: SignedIn) -> GrantList:
    """The tenants that the caller may read besides his own."""
    return await _grants_of(caller, caller.principal.user)


async def list_grants(user: UserInPath, caller: SignedIn) -> GrantList:
    """The tenants that a user of the platform tenant may read."""
    return await _grants_of(caller, user)


async def put_grant(
    body: Grant,
    user: UserInPath,
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> GrantChanged:
    """Let a user of the platform tenant read a tenant."""
    return await _grant(services, caller, (user, tenant, Role(body.role)), key)


async def delete_grant(
    user: UserInPath,
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> GrantChanged:
    """Let a user of the platform tenant read a tenant no longer."""
    return await _grant(services, caller, (user, tenant, None), key)


async def _grants_of(caller: Caller, user: str) -> GrantList:
    row = await caller.reader.user(user)
    if row is None:
        raise Refusal(ErrorCode.NOT_FOUND, "there is no such user")
    items = [GrantView(tenant=name, role=role) for name, role in sorted(row.grants.items())]
    return GrantList(items=items)


async def _grant(
    services: Services, caller: Caller, wanted: tuple[str, str, Role | None], key: str | None
) -> GrantChanged:
    user, tenant, role = wanted
    command = GrantTenant.model_validate(
        {
            "client_id": client_id_of(key),
            "actor": caller.principal.user,
            "role": caller.principal.role,
            "user": user,
            "tenant": tenant,
            "granted": role,
        }
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return GrantChanged(user=user, tenant=tenant, role=role, receipt=receipt_view(receipt))


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["parent view"], route_class=StrictRoute)
    routes.get("/auth/grants")(list_my_grants)
    routes.get("/users/{user}/grants")(list_grants)
    routes.put("/users/{user}/grants/{tenant}")(put_grant)
    routes.delete("/users/{user}/grants/{tenant}")(delete_grant)
    under = "/tenants/{tenant}"
    routes.get(f"{under}/rooms")(list_granted_rooms)
    routes.get(f"{under}/rooms/{{room}}")(get_granted_room)
    entries_of = routes.get(f"{under}/rooms/{{room}}/entries", response_model=entries.EntryPage)
    entries_of(list_granted_entries)
    routes.get(f"{under}/users")(list_granted_users)
    routes.get(f"{under}/audit-logs")(list_granted_audit_entries)
    return routes
