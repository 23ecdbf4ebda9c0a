"""`/users`: the people of a tenant, for its administrators."""

import hashlib
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints, model_validator

from actors.protocol.commands import (
    Command,
    CreateUser,
    DeleteUser,
    DisableUser,
    EnableUser,
    EndSessions,
    SetPassword,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import (
    TENANT_ROOM,
    TOKEN_PATTERN,
    is_role_id,
)
from actors.protocol.limits import NAME_CHARS_MAX, REASON_CHARS_MAX
from actors.protocol.markings import Clearance
from actors.protocol.roles import Role
from gateway.joining import warning_about
from gateway.limits import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    Caller,
    IdempotencyKey,
    Limit,
    RestServices,
    Services,
    SignedIn,
    UserInPath,
)
from gateway.rest.commands import ReceiptView, by, new_id, receipt_view, send
from gateway.rest.strict import StrictRoute
from store.rows import UserRow

SALT_BYTES = 16
"""RFC 9106, section 3.1: 16 bytes are recommended for password hashing."""

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX, strip_whitespace=True)
]
Email = Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX, pattern=r"^[^@\s]+@[^@\s]+$")]
EmailOrNone = Annotated[
    str, StringConstraints(max_length=NAME_CHARS_MAX, pattern=r"^([^@\s]+@[^@\s]+)?$")
]
"""An e-mail, or the empty text where there is to be none."""
NewPassword = Annotated[
    str, StringConstraints(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)
]
Reason = Annotated[str, StringConstraints(max_length=REASON_CHARS_MAX)]
RoleName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(tenant_admin|analyst|viewer|platform_admin|platform_viewer|role_[A-Za-z0-9_-]{1,59})$"
    ),
]
"""A built-in role, or the id of one that the tenant has made. Roles of the platform count in its tenant,
and are given by its administrators only."""
Source = Literal["local", "directory", "identity_provider"]


class NewUser(Body):
    """A user to make. Username and e-mail must be free in the tenant, whatever their case."""

    username: Name
    display_name: Name
    role: RoleName
    email: Email | None = None
    password: NewPassword = Field(repr=False)


class UserChange(Body):
    """What is to be changed; what is left out stays. An empty e-mail takes the present one away."""

    display_name: Name | None = None
    email: EmailOrNone | None = None
    role: RoleName | None = None
    clearance: Clearance | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        facts = (self.display_name, self.email, self.role, self.clearance)
        if all(value is None for value in facts):
            raise ValueError("name something to change")
        return self


class Why(Body):
    """A reason for the record."""

    reason: Reason = ""


class Password(Body):
    """A password to set."""

    password: NewPassword = Field(repr=False)


class UserView(BaseModel):
    """A user. One who is disabled can't sign in; one who is deleted never will, and has lost his names; one
    who is pending has registered himself and waits to be approved.

    The directory, or the identity provider, keeps name, role and password of users that it is the `source`
    of; those whom it keeps out are `suspended`.
    """

    user: str
    username: str
    email: str | None
    display_name: str
    role: str
    disabled: bool
    deleted: bool
    source: Source
    suspended: bool
    second_factor: bool
    pending: bool
    clearance: int
    warning: str | None = Field(default=None, description="To be read before he is approved.")


class UserPage(BaseModel):
    """Users by id; `next` is the `cursor` of the following page."""

    items: list[UserView]
    next: str | None


class UserChanged(BaseModel):
    """A change of a user was committed."""

    user: str
    receipt: ReceiptView


def source_of(row: UserRow) -> Source:
    """Who keeps a user."""
    if row.provider_key:
        return "identity_provider"
    return "directory" if row.directory_key else "local"


def view_of(row: UserRow, warning: str | None = None) -> UserView:
    """A user as administrators see him; a warning is for one who is pending."""
    return UserView(
        user=row.user,
        username=row.username,
        email=row.email,
        display_name=row.display_name,
        role=row.custom_role or row.role,
        disabled=row.disabled,
        deleted=row.deleted,
        source=source_of(row),
        suspended=row.suspended,
        second_factor=row.second_factor is not None,
        pending=row.pending,
        clearance=row.clearance,
        warning=warning if row.pending else None,
    )


def role_of(name: str) -> dict[str, Any]:
    """A role as commands about users have it."""
    if is_role_id(name):
        return {"user_role": Role.VIEWER, "custom_role": name}
    return {"user_role": Role(name)}


def salt_of(caller: Caller, subject: str, key: str | None) -> bytes | None:
    """The salt of a password that a request brings: the same when the request comes again.

    A salt is no secret and must only be used once (RFC 9106, section 3.1); a key is good for one body.
    """
    if key is None:
        return None
    principal = caller.principal
    parts = "\0".join(("password", principal.tenant, principal.user, subject, key))
    return hashlib.sha256(parts.encode()).digest()[:SALT_BYTES]


async def commit(
    services: RestServices, caller: Caller, user: str, command: Command
) -> UserChanged:
    """Have the tenant's actor commit a command about a user.

    Raises:
        Refusal: it was not applied.
        OutcomeUnknown: no receipt in time.
    """
    receipt = await send(services, caller, TENANT_ROOM, command)
    return UserChanged(user=user, receipt=receipt_view(receipt))


def _about(user: str, caller: Caller, key: str | None) -> dict[str, Any]:
    """What every command about a user has."""
    return {**by(caller, key), "user": user}


async def list_users(
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
    deleted: Annotated[bool, Query(description="Those that are deleted instead.")] = False,
) -> UserPage:
    """The users of the tenant."""
    rows = await caller.reader.users(after=cursor or "", limit=limit + 1, deleted=deleted)
    page = rows[:limit]
    following = page[-1].user if len(rows) > limit else None
    warning = await warning_about(caller.reader, page)
    return UserPage(items=[view_of(row, warning) for row in page], next=following)


async def create_user(
    body: NewUser,
    caller: SignedIn,
    services: Services,
    response: Response,
    key: IdempotencyKey = None,
) -> UserChanged:
    """Make a user. With an Idempotency-Key, a repeated request makes no second one."""
    user = new_id("usr", caller, key)
    command = CreateUser(
        **by(caller, key),
        user=user,
        username=body.username,
        email=body.email,
        display_name=body.display_name,
        **role_of(body.role),
        password_hash=await services.passwords.hashed(body.password, salt_of(caller, user, key)),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    response.status_code = 200 if receipt.duplicate else 201
    response.headers["Location"] = f"/api/v1/users/{user}"
    return UserChanged(user=user, receipt=receipt_view(receipt))


async def get_user(user: UserInPath, caller: SignedIn) -> UserView:
    """One user, also one who is deleted."""
    row = await caller.reader.user(user)
    if row is None:
        raise Refusal(ErrorCode.NOT_FOUND, "there is no such user")
    return view_of(row, await warning_about(caller.reader, [row]))


async def change_user(
    body: UserChange,
    user: UserInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> UserChanged:
    """Change a user's name, e-mail, role or clearance. Another role or clearance ends the sessions that
    have the old one; nobody gives more clearance than he has himself."""
    command = UpdateUser(
        **_about(user, caller, key),
        display_name=body.display_name,
        email=body.email,
        **(role_of(body.role) if body.role else {}),
        user_clearance=body.clearance,
    )
    return await commit(services, caller, user, command)


async def delete_user(
    user: UserInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Delete a user: he stays in the record, his sessions end, and his names become free."""
    command = DeleteUser(**_about(user, caller, key))
    return await commit(services, caller, user, command)


async def disable_user(
    body: Why,
    user: UserInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> UserChanged:
    """Keep a user out. His sessions end, and his sockets are closed."""
    command = DisableUser(reason=body.reason, **_about(user, caller, key))
    return await commit(services, caller, user, command)


async def enable_user(
    user: UserInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Let a disabled user in again."""
    command = EnableUser(**_about(user, caller, key))
    return await commit(services, caller, user, command)


async def set_password(
    body: Password,
    user: UserInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> UserChanged:
    """Give a user another password. All of his sessions end."""
    password_hash = await services.passwords.hashed(body.password, salt_of(caller, user, key))
    command = SetPassword(password_hash=password_hash, **_about(user, caller, key))
    return await commit(services, caller, user, command)


async def end_sessions(
    user: UserInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Sign a user out everywhere."""
    command = EndSessions(**_about(user, caller, key))
    return await commit(services, caller, user, command)


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/users", tags=["users"], route_class=StrictRoute)
    routes.get("")(list_users)
    routes.post("", status_code=201, responses={200: {"model": UserChanged}})(create_user)
    routes.get("/{user}")(get_user)
    routes.patch("/{user}")(change_user)
    routes.delete("/{user}")(delete_user)
    routes.post("/{user}/disable")(disable_user)
    routes.post("/{user}/enable")(enable_user)
    routes.post("/{user}/password", name="set_user_password")(set_password)
    routes.post("/{user}/logout-everywhere", name="end_user_sessions")(end_sessions)
    return routes
