"""`/auth`: what everybody may do about himself."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import Field, StringConstraints, model_validator

from actors.protocol.commands import EndSessions, SetPassword, UpdateUser
from actors.protocol.errors import ErrorCode, Refusal
from gateway.limits import PASSWORD_CHARS_MAX
from gateway.rest.access import Body, IdempotencyKey, Services, SignedIn
from gateway.rest.commands import by
from gateway.rest.strict import StrictRoute
from gateway.rest.users import EmailOrNone, Name, NewPassword, UserChanged, commit, salt_of


class ProfileChange(Body):
    """What is to be changed; what is left out stays. An empty e-mail takes the present one away."""

    display_name: Name | None = None
    email: EmailOrNone | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.display_name is None and self.email is None:
            raise ValueError("name something to change")
        return self


class PasswordChange(Body):
    """The present password, and the one to use from now on."""

    old_password: Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_MAX)] = Field(
        repr=False
    )
    password: NewPassword = Field(repr=False)


async def change_me(
    body: ProfileChange, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Change one's own name or e-mail."""
    principal = caller.principal
    command = UpdateUser(
        **by(caller, key),
        user=principal.user,
        display_name=body.display_name,
        email=body.email,
    )
    return await commit(services, caller, principal.user, command)


async def change_password(
    body: PasswordChange, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Change one's own password. All other sessions end; this one stays."""
    principal = caller.principal
    user = await caller.reader.user(principal.user)
    if user is not None and not user.is_local:
        raise Refusal(
            ErrorCode.CONFLICT, "your organisation's directory keeps your password; change it there"
        )
    # A request that comes again finds its own work done: whoever knows what it set may hear so.
    proofs = (body.old_password,) if key is None else (body.old_password, body.password)
    address = caller.origin.address
    if user is None or not await services.sign_in.confirm(principal.tenant, user, proofs, address):
        raise Refusal(ErrorCode.FORBIDDEN, "the present password is another one")
    salt = salt_of(caller, principal.user, key)
    command = SetPassword(
        **by(caller, key),
        user=principal.user,
        password_hash=await services.passwords.hashed(body.password, salt),
        keep=principal.session,
    )
    return await commit(services, caller, principal.user, command)


async def logout_everywhere(
    caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """End all sessions of one's own, this one too."""
    user = caller.principal.user
    return await commit(services, caller, user, EndSessions(**by(caller, key), user=user))


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)
    routes.patch("/me")(change_me)
    routes.post("/password")(change_password)
    routes.post("/logout-everywhere")(logout_everywhere)
    return routes
