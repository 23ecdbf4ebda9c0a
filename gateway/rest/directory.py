"""`/tenants/current/directory`: LDAP or Active Directory of a tenant, for its administrators.

The searching account's password goes in and never comes out: answers say that there is one.
"""

from typing import Annotated, Any, Final, Literal, Self

import orjson
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from actors.protocol.commands import PutDirectory, RemoveDirectory
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import DirectoryPut
from actors.protocol.ids import TENANT_ROOM
from gateway.directory.people import Finding, Level
from gateway.directory.settings import DirectorySettings
from gateway.directory.stored import SEALED_AS, kept, opened_password, secret_key, settings_of
from gateway.limits import PASSWORD_CHARS_MAX
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
from gateway.rest.strict import StrictRoute

STANDS_IN: Final = "?"
"""Stands for a password that is kept, until it is known whether it may be used."""
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


class FindingView(BaseModel):
    """One finding: with an `error` people can't sign in."""

    level: Level
    code: str
    text: str

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """A finding as it is shown."""
        return cls(level=finding.level, code=finding.code, text=finding.text)


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
        client_id=client_id_of(key),
        actor=caller.principal.user,
        role=caller.principal.role,
        settings=kept(settings),
        secret=await _secret(settings, caller, key),
    )
    return DirectoryChanged(
        receipt=receipt_view(await send(services, caller, TENANT_ROOM, command))
    )


async def delete_directory(
    caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> DirectoryChanged:
    """Ask no directory any more. Its users can't sign in then, and their sessions end."""
    command = RemoveDirectory(
        client_id=client_id_of(key), actor=caller.principal.user, role=caller.principal.role
    )
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
        try:
            settings = await settings_of(caller.reader, await caller.reader.people.directory())
        except ValueError:
            raise Refusal(
                ErrorCode.CONFLICT, "the settings are not usable; put them again"
            ) from None
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
        return _checked({**given, "bind_password": body.bind_password or ""})
    wanted = _checked({**given, "bind_password": STANDS_IN})
    row = await caller.reader.people.directory()
    password = await opened_password(caller.reader, kept(wanted), row.secret) if row else ""
    if not password:
        what = "give the password of bind_dn: there is none that was given for these servers"
        raise RequestValidationError([{"loc": ("body", "bind_password"), "msg": what}])
    return _checked({**given, "bind_password": password})


def _checked(given: dict[str, Any]) -> DirectorySettings:
    try:
        return DirectorySettings.model_validate(given)
    except ValidationError as error:
        # Without what was put in: a password is among it.
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [{"loc": ("body", *item["loc"]), "msg": item["msg"]} for item in found]
    raise RequestValidationError(faults)


async def _secret(settings: DirectorySettings, caller: Caller, key: str | None) -> str:
    """The sealed password: the very same when a request comes again, because no seal is made twice."""
    password = settings.bind_password.get_secret_value()
    if not password:
        return ""
    reader, wanted = caller.reader, kept(settings)
    if key is not None:
        before = await reader.by_client_id(TENANT_ROOM, caller.principal.user, key)
        if before is not None and before.kind == DirectoryPut.kind and before.content is not None:
            secret = orjson.loads(before.content)["secret"]
            if await opened_password(reader, wanted, secret) == password:
                return str(secret)
    return await reader.secrets.sealed(SEALED_AS, secret_key(wanted), password)


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
