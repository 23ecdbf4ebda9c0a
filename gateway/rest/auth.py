"""`/auth`: signing in and out."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, StringConstraints

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.limits import NAME_CHARS_MAX
from gateway.auth import SignedIn as SignedInTokens
from gateway.limits import CODE_CHARS_MAX, PASSWORD_CHARS_MAX, TICKET_TTL_S, TOKEN_CHARS_MAX
from gateway.rest.access import Body, Services, SignedIn, origin_of
from gateway.rest.strict import StrictRoute

_Password = Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_MAX)]


class Credentials(Body):
    """A username or an e-mail (or username@tenant), and the password.

    `otp` is a code or recovery code of the second factor, for whoever has one and does not want to be
    asked for it; of others it is not looked at.
    """

    username: Annotated[str, StringConstraints(min_length=1, max_length=2 * NAME_CHARS_MAX)]
    password: _Password
    otp: Annotated[str, StringConstraints(max_length=CODE_CHARS_MAX)] | None = None


class ChallengeAnswer(Body):
    """The challenge of a sign-in, and a code or recovery code of the second factor."""

    challenge: Annotated[str, StringConstraints(max_length=TOKEN_CHARS_MAX)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=CODE_CHARS_MAX)]


class TokenPair(BaseModel):
    """Tokens of a session; `expires_in` is the life of the access token in seconds.

    With the scope `enrol` they are for nothing but enrolling the second factor that the tenant requires;
    once that is done, a refresh gives full ones.
    """

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 -- the name of a scheme (RFC 6750)
    expires_in: int
    scope: Literal["enrol"] | None = None


class RefreshToken(Body):
    """A refresh token; it is good once."""

    refresh_token: Annotated[str, StringConstraints(max_length=TOKEN_CHARS_MAX)]


class Me(BaseModel):
    """Whoever is signed in, and what is permitted to him."""

    user: str
    username: str
    email: str | None
    display_name: str
    role: str
    tenant: str
    session: str
    permissions: list[str]
    clearance: int


class WebSocketTicket(BaseModel):
    """Opens one socket, once, within `expires_in` seconds."""

    ticket: str
    expires_in: int


async def login(credentials: Credentials, services: Services, request: Request) -> TokenPair:
    """Sign in with a username or an e-mail and a password. Whoever has a second factor, and sends no
    `otp`, gets the problem `second_factor_required` with a `challenge` to answer."""
    address = request.client.host if request.client else ""
    return _pair(
        await services.sign_in.login(
            credentials.username, credentials.password, address, credentials.otp
        )
    )


async def answer_challenge(
    body: ChallengeAnswer, services: Services, request: Request
) -> TokenPair:
    """Go on signing in: with a code of the second factor, within `expires_in` of the challenge."""
    address = request.client.host if request.client else ""
    return _pair(await services.sign_in.answer(body.challenge, body.code, address))


async def refresh(body: RefreshToken, services: Services, request: Request) -> TokenPair:
    """Exchange a refresh token for the next pair. One that comes a second time ends the session."""
    return _pair(await services.sign_in.refresh(body.refresh_token, origin_of(request)))


async def logout(caller: SignedIn, services: Services) -> None:
    """End the session; its sockets are closed."""
    await services.sign_in.logout(caller.principal, caller.origin)
    services.sockets.on_sessions_ended(caller.principal.tenant, [caller.principal.session])


async def me(caller: SignedIn) -> Me:
    """Who is signed in."""
    user = await caller.reader.user(caller.principal.user)
    if user is None:
        raise Refusal(ErrorCode.UNAUTHENTICATED, "sign in again")
    return Me(
        user=user.user,
        username=user.username,
        email=user.email,
        display_name=user.display_name,
        role=user.custom_role or user.role,
        tenant=caller.principal.tenant,
        session=caller.principal.session,
        permissions=sorted(caller.permissions),
        clearance=caller.principal.clearance,
    )


async def ws_ticket(caller: SignedIn, services: Services) -> WebSocketTicket:
    """A ticket for `GET /ws/v1?ticket=`, for clients that can't send a first frame in time."""
    ticket = services.tokens.ticket(caller.principal)
    return WebSocketTicket(ticket=ticket, expires_in=TICKET_TTL_S)


def _pair(tokens: SignedInTokens) -> TokenPair:
    return TokenPair(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        expires_in=tokens.expires_in,
        scope="enrol" if tokens.restricted else None,
    )


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)
    routes.post("/login", response_model_exclude_none=True)(login)
    routes.post("/login/second-factor", response_model_exclude_none=True)(answer_challenge)
    routes.post("/refresh", response_model_exclude_none=True)(refresh)
    routes.post("/logout", status_code=204)(logout)
    routes.get("/me")(me)
    routes.post("/ws-ticket")(ws_ticket)
    return routes
