"""`/auth/second-factor`: one's own second factor; and whether the tenant requires one of everybody."""

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from actors.protocol.commands import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ResetSecondFactor,
    SetSecondFactorPolicy,
)
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM
from gateway.limits import CODE_CHARS_MAX, PASSWORD_CHARS_MAX
from gateway.rest.access import (
    Body,
    Caller,
    IdempotencyKey,
    RestServices,
    Services,
    SignedIn,
    UserInPath,
)
from gateway.rest.commands import ReceiptView, client_id_of, receipt_view, send
from gateway.rest.strict import StrictRoute
from gateway.rest.users import UserChanged, commit
from gateway.second_factor import new_recovery_codes
from store.rows import SECOND_FACTOR, UserRow

FACTOR_ID_BYTES = 12
Policy = Literal["optional", "required"]
Code = Annotated[str, StringConstraints(min_length=1, max_length=CODE_CHARS_MAX)]
_Password = Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_MAX)]


class BeginEnrolment(Body):
    """The password once more; and a code of the present second factor, where there is one to replace."""

    password: _Password = Field(repr=False)
    code: Code | None = Field(default=None, repr=False)


class EnrolmentCode(Body):
    """A code of the secret that was begun."""

    code: Code = Field(repr=False)


class PasswordAndCode(Body):
    """The password once more, and a code or recovery code of the second factor."""

    password: _Password = Field(repr=False)
    code: Code = Field(repr=False)


class PolicyChange(Body):
    """Whether everybody of the tenant must have a second factor."""

    policy: Policy


class SecondFactorView(BaseModel):
    """One's own second factor. `begun`: one waits for its first code. `policy` is the tenant's."""

    active: bool
    begun: bool
    recovery_codes_left: int
    policy: Policy


class EnrolmentBegun(BaseModel):
    """A secret (base32) and the same as an otpauth address, for a QR code. They are shown once, and
    count for nothing until they are confirmed."""

    secret: str
    uri: str
    receipt: ReceiptView


class NewRecoveryCodes(BaseModel):
    """Recovery codes. They are shown once; each is good once."""

    recovery_codes: list[str]
    receipt: ReceiptView


class PolicyView(BaseModel):
    """Whether everybody of the tenant must have a second factor."""

    policy: Policy


class PolicySet(PolicyView):
    """The policy was set."""

    receipt: ReceiptView


async def get_second_factor(caller: SignedIn) -> SecondFactorView:
    """One's own second factor."""
    user = await _own_row(caller)
    known = user.second_factor
    return SecondFactorView(
        active=known is not None,
        begun=user.begun is not None,
        recovery_codes_left=len(known.recovery) if known else 0,
        policy=await _policy(caller),
    )


async def begin_second_factor(
    body: BeginEnrolment, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> EnrolmentBegun:
    """Get a secret for an authenticator. What was begun before is void; what is active stays until the
    new one is confirmed. The answer is given once: the same Idempotency-Key again is a conflict."""
    user = await _confirmed(body.password, caller, services)
    factor = f"fac_{secrets.token_hex(FACTOR_ID_BYTES)}"
    made = await services.second_factors.new_secret(caller.reader, user, factor)
    command = BeginSecondFactor(factor=factor, secret=made.sealed, **_own(caller, key))
    if user.second_factor is None:
        receipt = await send(services, caller, TENANT_ROOM, command)
    elif body.code is None:
        detail = "show a code of your present second factor too"
        raise Refusal(ErrorCode.SECOND_FACTOR_FAILED, detail)
    else:
        address = caller.origin.address
        shown = services.second_factors.shown(caller.reader, user, body.code, address)
        async with shown as proof:
            proved = command.model_copy(update={"proof": proof})
            receipt = await send(services, caller, TENANT_ROOM, proved)
    return EnrolmentBegun(secret=made.secret, uri=made.uri, receipt=receipt_view(receipt))


async def confirm_second_factor(
    body: EnrolmentCode, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> NewRecoveryCodes:
    """Make the secret that was begun one's second factor. All other sessions end; one that was only
    for enrolling is refreshed into a full one."""
    user = await _own_row(caller)
    if user.begun is None:
        raise Refusal(ErrorCode.CONFLICT, "begin an enrolment first")
    made = new_recovery_codes(caller.principal.tenant, user.user)
    confirming = services.second_factors.confirming(
        caller.reader, user, user.begun, body.code, caller.origin.address
    )
    async with confirming as step:
        command = ConfirmSecondFactor(
            factor=user.begun.factor,
            step=step,
            recovery=made.digests,
            session=caller.principal.session,
            **_own(caller, key),
        )
        receipt = await send(services, caller, TENANT_ROOM, command)
    return NewRecoveryCodes(recovery_codes=list(made.codes), receipt=receipt_view(receipt))


async def remove_second_factor(
    body: PasswordAndCode, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Do without one's second factor, where the tenant allows it."""
    user = await _confirmed(body.password, caller, services)
    if user.second_factor is None:
        # A request that comes again finds its own work done, and the tenant knows it by its key.
        bare = RemoveSecondFactor(**_own(caller, key))
        return await commit(services, caller, user.user, bare)
    address = caller.origin.address
    async with services.second_factors.shown(caller.reader, user, body.code, address) as proof:
        command = RemoveSecondFactor(proof=proof, **_own(caller, key))
        return await commit(services, caller, user.user, command)


async def replace_recovery_codes(
    body: PasswordAndCode, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> NewRecoveryCodes:
    """Get other recovery codes; those that are left are void."""
    user = await _confirmed(body.password, caller, services)
    if user.second_factor is None:
        raise Refusal(ErrorCode.CONFLICT, "there is no second factor")
    made = new_recovery_codes(caller.principal.tenant, user.user)
    address = caller.origin.address
    async with services.second_factors.shown(caller.reader, user, body.code, address) as proof:
        command = ReplaceRecoveryCodes(recovery=made.digests, proof=proof, **_own(caller, key))
        receipt = await send(services, caller, TENANT_ROOM, command)
    return NewRecoveryCodes(recovery_codes=list(made.codes), receipt=receipt_view(receipt))


async def reset_second_factor(
    user: UserInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Take away the second factor of somebody who has lost it. All of his sessions end."""
    command = ResetSecondFactor(**{**_own(caller, key), "user": user})
    return await commit(services, caller, user, command)


async def get_policy(caller: SignedIn) -> PolicyView:
    """Whether everybody of the tenant must have a second factor."""
    return PolicyView(policy=await _policy(caller))


async def set_policy(
    body: PolicyChange, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> PolicySet:
    """Say whether everybody of the tenant must have a second factor. Who has none may then do nothing
    but enrol one: at once when he signs in, and from the next refresh on where he is signed in."""
    own = {name: value for name, value in _own(caller, key).items() if name != "user"}
    command = SetSecondFactorPolicy(required=body.policy == "required", **own)
    receipt = await send(services, caller, TENANT_ROOM, command)
    return PolicySet(policy=body.policy, receipt=receipt_view(receipt))


def _own(caller: Caller, key: str | None) -> dict[str, Any]:
    principal = caller.principal
    who = {"actor": principal.user, "role": principal.role, "user": principal.user}
    return {"client_id": client_id_of(key), **who}


async def _own_row(caller: Caller) -> UserRow:
    user = await caller.reader.user(caller.principal.user)
    if user is None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "sign in again")
    return user


async def _confirmed(password: str, caller: Caller, services: RestServices) -> UserRow:
    user = await _own_row(caller)
    tenant, address = caller.principal.tenant, caller.origin.address
    if not await services.sign_in.confirm(tenant, user, (password,), address):
        raise Refusal(ErrorCode.FORBIDDEN, "the password is another one")
    return user


async def _policy(caller: Caller) -> Policy:
    value = await caller.reader.people.policy(SECOND_FACTOR)
    return "required" if value == "required" else "optional"


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(route_class=StrictRoute)
    own = APIRouter(prefix="/auth/second-factor", tags=["auth"], route_class=StrictRoute)
    own.get("")(get_second_factor)
    own.post("")(begin_second_factor)
    own.post("/confirm")(confirm_second_factor)
    own.post("/remove")(remove_second_factor)
    own.post("/recovery-codes")(replace_recovery_codes)
    routes.include_router(own)
    routes.post("/users/{user}/second-factor/reset", tags=["users"])(reset_second_factor)
    policies = APIRouter(prefix="/policies", tags=["policies"], route_class=StrictRoute)
    policies.get("/second-factor", name="get_second_factor_policy")(get_policy)
    policies.put("/second-factor", name="set_second_factor_policy")(set_policy)
    routes.include_router(policies)
    return routes
