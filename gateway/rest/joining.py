"""`/auth/register`, `/auth/invitations` and what administrators decide about them."""

import os
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from actors.protocol.ids import TENANT_PATTERN, TENANT_ROOM, TOKEN_PATTERN, time_ordered_id
from actors.protocol.people_commands import (
    ApproveUser,
    InviteUser,
    RevokeInvitation,
    SetRegistration,
)
from actors.protocol.roles import Registration
from gateway.frames import rfc3339
from gateway.joining import Newcomer, new_invitation_token
from gateway.limits import INVITATION_TTL_S, TOKEN_CHARS_MAX
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    IdempotencyKey,
    Limit,
    Services,
    SignedIn,
    UserInPath,
    origin_of,
)
from gateway.rest.commands import ReceiptView, by, receipt_view, send
from gateway.rest.strict import StrictRoute
from gateway.rest.users import Email, Name, NewPassword, RoleName, UserChanged, commit, role_of
from store.rows import REGISTRATION

Mode = Literal["closed", "with_approval", "open"]
InvitationInPath = Annotated[str, Path(pattern=TOKEN_PATTERN)]
RECEIVED = "received; if the name is free, an administrator may have to let you in"


class Registrant(Body):
    """Somebody who wants to be a user of a tenant, as an analyst."""

    tenant: Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
    username: Name
    display_name: Name
    email: Email | None = None
    password: NewPassword = Field(repr=False)


class Received(BaseModel):
    """The same whether or not there is somebody of that name."""

    detail: str


class RegistrationPolicy(Body):
    """Whether people may register themselves: not at all, to be approved, or at once."""

    mode: Mode


class PolicyChanged(BaseModel):
    """A policy was committed."""

    mode: Mode
    receipt: ReceiptView


class NewInvitation(Body):
    """Whom to invite, and as what."""

    email: Email
    role: RoleName


class InvitationMade(BaseModel):
    """An invitation. The token is shown this once; whoever has it can use it until `expires_at`."""

    invitation: str
    token: str
    expires_at: str
    receipt: ReceiptView


class InvitationView(BaseModel):
    """An invitation that is neither used nor revoked."""

    invitation: str
    email: str
    role: str
    expires_at: str


class InvitationPage(BaseModel):
    """Invitations by id; `next` is the `cursor` of the following page."""

    items: list[InvitationView]
    next: str | None


class InvitationChanged(BaseModel):
    """A change of an invitation was committed."""

    invitation: str
    receipt: ReceiptView


class Acceptance(Body):
    """The token of an invitation, and how its bearer wants to be known."""

    token: Annotated[str, StringConstraints(max_length=TOKEN_CHARS_MAX)] = Field(repr=False)
    username: Name
    display_name: Name
    password: NewPassword = Field(repr=False)


async def register(body: Registrant, services: Services, request: Request) -> Received:
    """Ask to become a user, where the tenant allows it. Few times only from one address."""
    newcomer = Newcomer(body.username, body.display_name, body.password, body.email)
    await services.joining.register(body.tenant, newcomer, origin_of(request))
    return Received(detail=RECEIVED)


async def accept_invitation(body: Acceptance, services: Services, request: Request) -> UserChanged:
    """Become a user by an invitation; then sign in as any other. It is good once."""
    newcomer = Newcomer(body.username, body.display_name, body.password)
    user, receipt = await services.joining.accept(body.token, newcomer, origin_of(request))
    return UserChanged(user=user, receipt=receipt_view(receipt))


async def get_registration(caller: SignedIn) -> RegistrationPolicy:
    """Whether people may register themselves."""
    mode = await caller.reader.people.policy(REGISTRATION)
    return RegistrationPolicy(mode=Registration(mode or Registration.CLOSED).value)


async def set_registration(
    body: RegistrationPolicy, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> PolicyChanged:
    """Let people register themselves, or no longer."""
    command = SetRegistration(
        **by(caller, key),
        mode=Registration(body.mode),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return PolicyChanged(mode=body.mode, receipt=receipt_view(receipt))


async def approve_user(
    user: UserInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> UserChanged:
    """Let somebody in who has registered himself. To refuse him, delete the user."""
    command = ApproveUser(
        **by(caller, key),
        user=user,
    )
    return await commit(services, caller, user, command)


async def list_invitations(
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
) -> InvitationPage:
    """Invitations that can still be used."""
    rows = await caller.reader.people.invitations(after=cursor or "", limit=limit + 1)
    items = [
        InvitationView(
            invitation=row.invitation,
            email=row.email,
            role=row.role,
            expires_at=rfc3339(row.expires_ms),
        )
        for row in rows[:limit]
    ]
    return InvitationPage(items=items, next=items[-1].invitation if len(rows) > limit else None)


async def invite_user(
    body: NewInvitation, caller: SignedIn, services: Services, response: Response
) -> InvitationMade:
    """Invite somebody. Nothing is sent: the token in the answer is for you to hand over, and no request
    shows it again. So there is no Idempotency-Key here; an e-mail is invited once at a time."""
    now_ms = time.time_ns() // 1_000_000
    invitation = time_ordered_id("inv", now_ms, os.urandom(10))
    token = new_invitation_token(caller.principal.tenant, invitation)
    command = InviteUser(
        client_id=invitation,
        actor=caller.principal.user,
        role=caller.principal.role,
        invitation=invitation,
        email=body.email,
        digest=token.digest,
        expires_ms=now_ms + INVITATION_TTL_S * 1000,
        **role_of(body.role),
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    response.headers["Location"] = f"/api/v1/invitations/{invitation}"
    return InvitationMade(
        invitation=invitation,
        token=str(token),
        expires_at=rfc3339(command.expires_ms),
        receipt=receipt_view(receipt),
    )


async def revoke_invitation(
    invitation: InvitationInPath, caller: SignedIn, services: Services, key: IdempotencyKey = None
) -> InvitationChanged:
    """Have an invitation be good for nothing."""
    command = RevokeInvitation(
        **by(caller, key),
        invitation=invitation,
    )
    receipt = await send(services, caller, TENANT_ROOM, command)
    return InvitationChanged(invitation=invitation, receipt=receipt_view(receipt))


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(tags=["joining"], route_class=StrictRoute)
    routes.post("/auth/register", status_code=202)(register)
    routes.post("/auth/invitations/accept", status_code=201)(accept_invitation)
    routes.get("/policies/registration")(get_registration)
    routes.put("/policies/registration")(set_registration)
    routes.post("/users/{user}/approve")(approve_user)
    routes.get("/invitations")(list_invitations)
    routes.post("/invitations", status_code=201)(invite_user)
    routes.delete("/invitations/{invitation}")(revoke_invitation)
    return routes
