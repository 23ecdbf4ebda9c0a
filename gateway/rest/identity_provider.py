"""`/tenants/current/identity-provider`: where a tenant's people sign in, for its administrators.

The client's secret goes in and never comes out: answers say that there is one.
"""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from actors.protocol.commands import PutIdentityProvider, RemoveIdentityProvider
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import IdentityProviderPut
from actors.protocol.ids import TENANT_ROOM
from gateway.directory.people import Level
from gateway.limits import PASSWORD_CHARS_MAX
from gateway.oidc.settings import SESSION_HOURS_DEFAULT, ProviderSettings
from gateway.oidc.stored import SEALED_AS, kept, opened_client_secret, secret_key, settings_of
from gateway.rest.access import (
    Body,
    Caller,
    IdempotencyKey,
    ReceiptView,
    Services,
    SignedIn,
    client_id_of,
    receipt_view,
    send,
)
from gateway.rest.directory import FindingView
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
        client_id=client_id_of(key),
        actor=caller.principal.user,
        role=caller.principal.role,
        settings=kept(settings),
        secret=await _secret(settings, caller, key),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return ProviderChanged(receipt=receipt_view(receipt))


async def delete_identity_provider(
    caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> ProviderChanged:
    """Use none any more. Whoever has signed in there can't refresh his tokens from then on."""
    command = RemoveIdentityProvider(
        client_id=client_id_of(key), actor=caller.principal.user, role=caller.principal.role
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return ProviderChanged(receipt=receipt_view(receipt))


async def check_identity_provider(
    body: ProviderToTest, caller: SignedIn, services: Services
) -> ProviderTested:
    """Test it: its description of itself and its keys are read. Nothing is changed."""
    if body.settings is not None:
        settings: ProviderSettings | None = await _wanted(body.settings, caller)
    else:
        try:
            settings = await settings_of(
                caller.reader, await caller.reader.people.identity_provider()
            )
        except ValueError:
            raise Refusal(
                ErrorCode.CONFLICT, "the settings are not usable; put them again"
            ) from None
    if settings is None:
        raise _no_provider()
    findings = await services.oidc.findings(caller.principal.tenant, settings)
    return ProviderTested(
        usable=not any(finding.level is Level.ERROR for finding in findings),
        findings=[FindingView.of(finding) for finding in findings],
    )


async def _wanted(body: ProviderToPut, caller: Caller) -> ProviderSettings:
    given = body.model_dump(exclude={"client_secret"})
    wanted = _checked({**given, "client_secret": body.client_secret or ""})
    if body.client_secret is not None:
        return wanted
    row = await caller.reader.people.identity_provider()
    secret = await opened_client_secret(caller.reader, kept(wanted), row.secret) if row else ""
    if not secret:
        what = "give the secret of client_id, or an empty one: none was given for this issuer"
        raise RequestValidationError([{"loc": ("body", "client_secret"), "msg": what}])
    return _checked({**given, "client_secret": secret})


def _checked(given: dict[str, Any]) -> ProviderSettings:
    try:
        return ProviderSettings.model_validate(given)
    except ValidationError as error:
        # Without what was put in: a secret is among it.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [{"loc": ("body", *item["loc"]), "msg": item["msg"]} for item in found]
    raise RequestValidationError(faults)


async def _secret(settings: ProviderSettings, caller: Caller, key: str | None) -> str:
    """The sealed secret: the very same when a request comes again, because no seal is made twice."""
    secret = settings.client_secret.get_secret_value()
    if not secret:
        return ""
    reader, wanted = caller.reader, kept(settings)
    if key is not None:
        before = await reader.by_client_id(TENANT_ROOM, caller.principal.user, key)
        known = before is not None and before.kind == IdentityProviderPut.kind
        if known and before is not None and before.content is not None:
            sealed = str(orjson.loads(before.content)["secret"])
            if await opened_client_secret(reader, wanted, sealed) == secret:
                return sealed
    return await reader.secrets.sealed(SEALED_AS, secret_key(wanted), secret)


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
