"""`/tenants/current/identity-provider`: where a tenant's people sign in, for its administrators.

The client's secret goes in and never comes out: answers say that there is one.
"""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from actors.protocol.commands import PutIdentityProvider, RemoveIdentityProvider
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import IdentityProviderPut
from actors.protocol.ids import TENANT_ROOM
from gateway.directory.people import Level
from gateway.limits import PASSWORD_CHARS_MAX
from gateway.oidc.settings import SESSION_HOURS_DEFAULT, ProviderSettings
from gateway.oidc.stored import KEPT
from gateway.rest.access import Body, Caller, IdempotencyKey, Services, SignedIn
from gateway.rest.commands import ReceiptView, by, receipt_view, send
from gateway.rest.settings_with_secret import (
    FindingView,
    checked,
    kept_settings,
    sealed_once,
    with_kept_secret,
)
from gateway.rest.strict import StrictRoute

Text = Annotated[str, StringConstraints(max_length=512)]
GivenRoleName = Literal["tenant_admin", "analyst", "viewer"]


class ProviderGroupRole(Body):
    """Whoever has this group among his groups, to the letter, has a role."""

    group: Text
    role: GivenRoleName


class ProviderFacts(Body):
    """An identity provider. See `docs/operation.md`, Identity providers."""

    issuer: Text
    client_id: Text
    scopes: list[Text] = Field(default_factory=lambda: ["openid", "profile", "email"])
    ca_pem: str = ""
    username_claim: Text = "preferred_username"
    display_name_claim: Text = "name"
    email_claim: Text = "email"
    groups_claim: Text = "groups"
    roles: list[ProviderGroupRole] = Field(default_factory=list)
    default_role: GivenRoleName | None = None
    required_acr: Text = ""
    session_hours_max: int = SESSION_HOURS_DEFAULT


class ProviderToPut(ProviderFacts):
    """An identity provider to use. Without `client_secret` the present one stays, if it goes to the same
    `issuer`, `client_id` and `ca_pem`; an empty one is that of a public client."""

    client_secret: Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_MAX)] | None = Field(
        default=None, repr=False
    )


class ProviderToTest(Body):
    """What to test: settings that are not kept yet, or without them those that are."""

    settings: ProviderToPut | None = None


class ProviderView(ProviderFacts):
    """An identity provider as administrators see it. It must know `redirect_uri`, which is empty if the
    operator has not set where browsers reach this system."""

    client_secret_set: bool
    redirect_uri: str


class ProviderChanged(BaseModel):
    """A change of the identity provider was committed."""

    receipt: ReceiptView


class ProviderTested(BaseModel):
    """What a test has found; `usable`: people can be sent there, as far as it can be known."""

    usable: bool
    findings: list[FindingView]


async def get_identity_provider(caller: SignedIn, services: Services) -> ProviderView:
    """Where the tenant's people sign in."""
    row = await caller.reader.people.identity_provider()
    if row is None or row.settings is None:
        raise _no_provider()
    return ProviderView(
        **row.settings,
        client_secret_set=bool(row.secret),
        redirect_uri=services.oidc.sign_in.redirect_uri(caller.principal.tenant),
    )


async def put_identity_provider(
    body: ProviderToPut, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> ProviderChanged:
    """Have the people of the tenant sign in at an identity provider."""
    settings = await _wanted(body, caller)
    command = PutIdentityProvider(
        **by(caller, key),
        settings=KEPT.shown(settings),
        secret=await sealed_once(KEPT, settings, caller, key, IdentityProviderPut.kind),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return ProviderChanged(receipt=receipt_view(receipt))


async def delete_identity_provider(
    caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> ProviderChanged:
    """Use none any more. Whoever has signed in there can't refresh his tokens from then on."""
    command = RemoveIdentityProvider(**by(caller, key))
    receipt = await send(services, caller, TENANT_ROOM, command)
    return ProviderChanged(receipt=receipt_view(receipt))


async def check_identity_provider(
    body: ProviderToTest, caller: SignedIn, services: Services
) -> ProviderTested:
    """Test it: its description of itself and its keys are read. Nothing is changed."""
    if body.settings is not None:
        settings: ProviderSettings | None = await _wanted(body.settings, caller)
    else:
        row = await caller.reader.people.identity_provider()
        settings = await kept_settings(KEPT, caller, row)
    if settings is None:
        raise _no_provider()
    findings = await services.oidc.findings(caller.principal.tenant, settings)
    return ProviderTested(
        usable=not any(finding.level is Level.ERROR for finding in findings),
        findings=[FindingView.of(finding) for finding in findings],
    )


async def _wanted(body: ProviderToPut, caller: Caller) -> ProviderSettings:
    given = body.model_dump(exclude={"client_secret"})
    if body.client_secret is not None:
        return checked(KEPT, given, body.client_secret)
    row = await caller.reader.people.identity_provider()
    otherwise = "give the secret of client_id, or an empty one: none was given for this issuer"
    return await with_kept_secret(KEPT, given, caller, row, otherwise)


def _no_provider() -> Refusal:
    return Refusal(ErrorCode.NOT_FOUND, "the tenant has no identity provider")


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(
        prefix="/tenants/current/identity-provider",
        tags=["identity provider"],
        route_class=StrictRoute,
    )
    routes.get("")(get_identity_provider)
    routes.put("")(put_identity_provider)
    routes.delete("")(delete_identity_provider)
    routes.post("/test")(check_identity_provider)
    return routes
