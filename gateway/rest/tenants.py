"""`/tenants`: the companies of a platform, for those who run it. Nobody else finds anything here.

What is asked for is recorded in the platform's own chain; the provisioner makes it so. The gateway has not
the privileges for it.
"""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, StringConstraints, model_validator

from actors.protocol.commands import ManageTenant
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import PLATFORM_TENANT, TENANT_PATTERN, TENANT_ROOM, derived_id
from actors.protocol.limits import REASON_CHARS_MAX
from actors.protocol.tenancy import (
    CancelDeletion,
    Change,
    Create,
    Delete,
    FirstAdministrator,
    ProfileChange,
    Resume,
    Suspend,
    TenantAction,
    TenantProfile,
)
from gateway.frames import rfc3339
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    Caller,
    IdempotencyKey,
    Limit,
    Services,
    SignedIn,
)
from gateway.rest.commands import ReceiptView, by, receipt_view, send
from gateway.rest.strict import StrictRoute
from gateway.rest.users import Email, Name, NewPassword, salt_of
from store.rows import ManagedTenantRow

_Id = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
_Reason = Annotated[str, StringConstraints(max_length=REASON_CHARS_MAX)]


class NewAdministrator(Body):
    """Who is to administer a new tenant."""

    username: Name
    display_name: Name | None = None
    email: Email | None = None
    password: NewPassword = Field(repr=False)


class NewTenant(TenantProfile):
    """A tenant to make. Its id is part of subjects and of a database's name, and fixed for ever."""

    id: _Id
    administrator: NewAdministrator | None = None

    def profile(self) -> TenantProfile:
        """What of it is the profile."""
        return TenantProfile(**{name: getattr(self, name) for name in TenantProfile.model_fields})


class TenantPatch(ProfileChange):
    """What is to be changed; what is left out stays. Empty texts, an empty `sla` (the default one then
    counts) and a volume of 0 take away what was there."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if all(value is None for _, value in self):
            raise ValueError("name something to change")
        return self


class TenantReason(Body):
    """A reason for the record."""

    reason: _Reason = ""


class TenantView(TenantProfile):
    """A tenant. `status` is one of creating, active, suspended, deleting (it waits until `due_at`, and can
    be taken back), destroying and deleted. `sla` is null where the default table counts. What is asked of a
    tenant shows at once; `settled` says whether it has also been made so."""

    id: str
    status: str
    since: str
    due_at: str | None
    settled: bool


class TenantPage(BaseModel):
    """Tenants by id; `next` is the `cursor` of the following page."""

    items: list[TenantView]
    next: str | None


class TenantAccepted(BaseModel):
    """What was asked for is recorded, and will be made so; the tenant's `status` tells."""

    tenant: str
    receipt: ReceiptView


TenantInPath = Annotated[str, Path(pattern=TENANT_PATTERN)]


async def list_tenants(
    _caller: SignedIn,
    services: Services,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TENANT_PATTERN)] | None = None,
) -> TenantPage:
    """The tenants of the platform, deleted ones too."""
    rows = await services.reader.managed_tenants(
        PLATFORM_TENANT, after=cursor or "", limit=limit + 1
    )
    page = rows[:limit]
    following = page[-1].tenant if len(rows) > limit else None
    stages = await services.reader.tenant_stages([row.tenant for row in page])
    items = [_view(row, stages.get(row.tenant)) for row in page]
    return TenantPage(items=items, next=following)


async def create_tenant(
    body: NewTenant,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> TenantAccepted:
    """Ask for a tenant. It is there when its `status` is active; then its administrator can sign in."""
    known = await services.reader.managed_tenant(PLATFORM_TENANT, body.id)
    if known is None and await services.reader.tenant(body.id) is not None:
        # Made by an operator a moment ago, and the platform's chain does not know it yet.
        raise Refusal(ErrorCode.CONFLICT, "this id is or was that of a tenant")
    first = body.administrator
    action = Create(profile=body.profile())
    if first is not None:
        user = derived_id("usr", body.id, first.username.casefold())
        hashed = await services.passwords.hashed(first.password, salt_of(caller, user, key))
        administrator = FirstAdministrator(
            user=user,
            username=first.username,
            email=first.email,
            display_name=first.display_name or first.username,
            password_hash=hashed,
        )
        action = action.model_copy(update={"administrator": administrator})
    response.headers["Location"] = f"/api/v1/tenants/{body.id}"
    return await _ask(services, caller, body.id, action, key)


async def get_tenant(tenant: TenantInPath, _caller: SignedIn, services: Services) -> TenantView:
    """One tenant."""
    row = await services.reader.managed_tenant(PLATFORM_TENANT, tenant)
    if row is None:
        raise Refusal(ErrorCode.NOT_FOUND, "there is no such tenant")
    stages = await services.reader.tenant_stages([tenant])
    return _view(row, stages.get(tenant))


async def change_tenant(
    body: TenantPatch,
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> TenantAccepted:
    """Change a tenant's profile."""
    change = ProfileChange(**{name: getattr(body, name) for name in ProfileChange.model_fields})
    return await _ask(services, caller, tenant, Change(change=change), key)


async def delete_tenant(
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> TenantAccepted:
    """Suspend a tenant, and destroy its keys when the waiting period is over. Until then it can be taken
    back; after it nothing of its contents can be opened ever again, and the chain still verifies."""
    action = Delete(wait_days=services.tenant_deletion_days)
    return await _ask(services, caller, tenant, action, key)


async def suspend_tenant(
    body: TenantReason,
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> TenantAccepted:
    """Keep a tenant out: sessions end, nobody signs in, its systems are refused."""
    return await _ask(services, caller, tenant, Suspend(reason=body.reason), key)


async def resume_tenant(
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> TenantAccepted:
    """Let a suspended tenant in again."""
    return await _ask(services, caller, tenant, Resume(), key)


async def cancel_deletion(
    tenant: TenantInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> TenantAccepted:
    """Take a deletion back within its waiting period; the tenant is then what it was before."""
    return await _ask(services, caller, tenant, CancelDeletion(), key)


async def _ask(
    services: Services, caller: Caller, tenant: str, action: TenantAction, key: str | None
) -> TenantAccepted:
    command = ManageTenant(**by(caller, key), tenant=tenant, action=action)
    receipt = await send(services, caller, TENANT_ROOM, command)
    return TenantAccepted(tenant=tenant, receipt=receipt_view(receipt))


_STAGES_WHEN_SETTLED = {
    "active": "",
    "suspended": "suspended",
    "deleting": "suspended",
    "deleted": "destroyed",
}


def _view(row: ManagedTenantRow, stage: str | None) -> TenantView:
    fields: dict[str, Any] = dict(row.profile)
    return TenantView(
        **fields,
        id=row.tenant,
        status=row.status,
        since=rfc3339(row.since_ms),
        due_at=None if row.due_ms is None else rfc3339(row.due_ms),
        settled=stage is not None and _STAGES_WHEN_SETTLED.get(row.status) == stage,
    )


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/tenants", tags=["tenants"], route_class=StrictRoute)
    routes.get("")(list_tenants)
    routes.post("", status_code=202)(create_tenant)
    routes.get("/{tenant}")(get_tenant)
    routes.patch("/{tenant}")(change_tenant)
    routes.delete("/{tenant}", status_code=202)(delete_tenant)
    routes.post("/{tenant}/suspend", status_code=202)(suspend_tenant)
    routes.post("/{tenant}/resume", status_code=202)(resume_tenant)
    routes.post("/{tenant}/cancel-deletion", status_code=202)(cancel_deletion)
    return routes
