"""`/tenants/current/directory`: LDAP or Active Directory of a tenant, for its administrators.

The searching account's password goes in and never comes out: answers say that there is one.
"""

from typing import Annotated, Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from actors.protocol.commands import PutDirectory, RemoveDirectory
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import DirectoryPut
from actors.protocol.ids import TENANT_ROOM
from gateway.directory.settings import DirectorySettings
from gateway.directory.stored import KEPT
from gateway.limits import PASSWORD_CHARS_MAX
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

CONNECT_S_MAX: Final = 15
RECEIVE_S_MAX: Final = 30
CALL_S_MAX: Final = 60
"""Seconds that a tenant may have us wait for its servers: a gateway that stops waits for them too."""
Text = Annotated[str, StringConstraints(max_length=1024)]


class AttributeNames(Body):
    """Names of attributes; what is left out is as the flavour has it."""

    key: Text = ""
    username: Text = ""
    email: Text = "mail"
    display_name: Text = "displayName"
    member: Text = "member"


class GroupRole(Body):
    """Members of a group, given by its DN or its bare name, have a built-in role."""

    group: Text
    role: Literal["tenant_admin", "analyst", "viewer"]


class DirectoryFacts(Body):
    """How a directory is asked. See `docs/operation.md`, Directories."""

    servers: list[Text]
    flavour: Literal["active_directory", "ldap"]
    tls: Literal["ldaps", "starttls"] = "ldaps"
    ca_pem: str = ""
    bind_dn: Text = ""
    base_dn: Text
    netbios_domain: Text = ""
    names: AttributeNames = AttributeNames()
    user_filter: Text = ""
    group_filter: Text = ""
    group_base: Text = ""
    connect_s: Annotated[float, Field(gt=0, le=CONNECT_S_MAX)] = 5.0
    receive_s: Annotated[float, Field(gt=0, le=RECEIVE_S_MAX)] = 10.0
    call_s: Annotated[float, Field(gt=0, le=CALL_S_MAX)] = 20.0
    page_size: int = 500
    roles: list[GroupRole] = Field(default_factory=list)


class DirectoryToPut(DirectoryFacts):
    """A directory to ask. Without `bind_password` the present one stays, if it goes to the same servers, in
    the same way, for the same `bind_dn`."""

    bind_password: Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_MAX)] | None = Field(
        default=None, repr=False
    )


class DirectoryToTest(Body):
    """What to test: settings that are not kept yet, or without them those that are."""

    settings: DirectoryToPut | None = None


class DirectoryView(DirectoryFacts):
    """A directory as administrators see it."""

    bind_password_set: bool


class DirectoryChanged(BaseModel):
    """A change of the directory was committed."""

    receipt: ReceiptView


class DirectoryTested(BaseModel):
    """What a test has found; `usable`: a server can be asked, and users are found."""

    usable: bool
    findings: list[FindingView]


async def get_directory(caller: SignedIn) -> DirectoryView:
    """How the tenant's directory is asked."""
    row = await caller.reader.people.directory()
    if row is None or row.settings is None:
        raise _no_directory()
    return DirectoryView(**row.settings, bind_password_set=bool(row.secret))


async def put_directory(
    body: DirectoryToPut, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> DirectoryChanged:
    """Have the people of the tenant sign in with a directory."""
    settings = await _wanted(body, caller)
    command = PutDirectory(
        **by(caller, key),
        settings=KEPT.shown(settings),
        secret=await sealed_once(KEPT, settings, caller, key, DirectoryPut.kind),
    )
    return DirectoryChanged(
        receipt=receipt_view(await send(services, caller, TENANT_ROOM, command))
    )


async def delete_directory(
    caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> DirectoryChanged:
    """Ask no directory any more. Its users can't sign in then, and their sessions end."""
    command = RemoveDirectory(**by(caller, key))
    receipt = await send(services, caller, TENANT_ROOM, command)
    services.directory.synchronise(caller.reader)
    return DirectoryChanged(receipt=receipt_view(receipt))


async def check_directory(
    body: DirectoryToTest, caller: SignedIn, services: Services
) -> DirectoryTested:
    """Test the connection: every server, the searching account, users and groups. Nothing is changed."""
    if body.settings is not None:
        settings: DirectorySettings | None = await _wanted(body.settings, caller)
    else:
        settings = await kept_settings(KEPT, caller, await caller.reader.people.directory())
    if settings is None:
        raise _no_directory()
    findings = await services.directory.findings(caller.principal.tenant, settings)
    return DirectoryTested(
        # A second server that can't be reached is an error, and keeps nobody out.
        usable=any(finding.code == "users" for finding in findings),
        findings=[FindingView.of(finding) for finding in findings],
    )


async def _wanted(body: DirectoryToPut, caller: Caller) -> DirectorySettings:
    given = body.model_dump(exclude={"bind_password"})
    if body.bind_password is not None or not body.bind_dn:
        return checked(KEPT, given, body.bind_password or "")
    row = await caller.reader.people.directory()
    otherwise = "give the password of bind_dn: there is none that was given for these servers"
    return await with_kept_secret(KEPT, given, caller, row, otherwise)


def _no_directory() -> Refusal:
    return Refusal(ErrorCode.NOT_FOUND, "the tenant has no directory")


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(
        prefix="/tenants/current/directory", tags=["directory"], route_class=StrictRoute
    )
    routes.get("")(get_directory)
    routes.put("")(put_directory)
    routes.delete("")(delete_directory)
    routes.post("/test")(check_directory)
    return routes
