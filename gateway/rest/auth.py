"""`/auth`: signing in and out."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, StringConstraints

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.limits import NAME_CHARS_MAX
from gateway.auth import SignedIn as SignedInTokens
from gateway.limits import PASSWORD_CHARS_MAX, TICKET_TTL_S, TOKEN_CHARS_MAX
from gateway.rest.access import Body, Services, SignedIn, origin_of
from gateway.rest.strict import StrictRoute

_Password = Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_MAX)]


class Credentials(Body):
    """A username or an e-mail (or username@tenant), and the password.

    `otp` is for tenants that ask for a second factor; where none is asked for it is not looked at.
    """

    username: Annotated[str, StringConstraints(min_length=1, max_length=2 * NAME_CHARS_MAX)]
    password: _Password
    otp: Annotated[str, StringConstraints(max_length=64)] | None = None


class TokenPair(BaseModel):
    """Tokens of a session; `expires_in` is the life of the access token in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 -- the name of a scheme (RFC 6750)
    expires_in: int


class RefreshToken(Body):
    """A refresh token; it is good once."""

    refresh_token: Annotated[str, StringConstraints(max_length=TOKEN_CHARS_MAX)]


class Me(BaseModel):
    """Whoever is signed in."""

    user: str
    username: str
    email: str | None
    display_name: str
    role: str
    tenant: str
    session: str
    clearance: int


class WebSocketTicket(BaseModel):
    """Opens one socket, once, within `expires_in` seconds."""

    ticket: str
    expires_in: int


async def login(credentials: Credentials, services: Services, request: Request) -> TokenPair:
    """Sign in with a username or an e-mail and a password."""
    address = request.client.host if request.client else ""
    return _pair(await services.sign_in.login(credentials.username, credentials.password, address))


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
        role=user.role,
        tenant=caller.principal.tenant,
        session=caller.principal.session,
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
    )


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)
    routes.post("/login")(login)
    routes.post("/refresh")(refresh)
    routes.post("/logout", status_code=204)(logout)
    routes.get("/me")(me)
    routes.post("/ws-ticket")(ws_ticket)
    return routes
