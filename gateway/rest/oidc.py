"""`/auth/oidc`: signing in at a tenant's identity provider.

A browser is sent there and comes back; then the client that has begun fetches the tokens. They are in no
URL: what is in the one that the browser ends at is a ticket, good once, soon, and with the client's
verifier only.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import StringConstraints

from actors.protocol.errors import ErrorCode, Refusal
from gateway.oidc.flow import (
    CARRIED_CHARS_MAX,
    CHALLENGE_PATTERN,
    FLOW_S,
    RETURN_CHARS_MAX,
    VERIFIER_PATTERN,
)
from gateway.oidc_sign_in import AGAIN, Answer
from gateway.rest.access import Body, RestServices, Services, origin_of
from gateway.rest.auth import TokenPair, pair_view
from gateway.rest.strict import StrictRoute

COOKIE: Final = "wardroom-oidc"
PREFIX: Final = "__Host-"
"""Such a cookie can't be planted by a neighbour of the same site (RFC 6265bis, section 4.1.3.2); it needs
TLS."""
ANSWER_CHARS_MAX: Final = 2_048
"""Characters of one parameter of a provider's answer; codes have some hundreds at most."""
TenantInPath = Annotated[str, Path(max_length=64)]
Parameter = Annotated[str, Query(max_length=ANSWER_CHARS_MAX)]


class Handover(Body):
    """The ticket that the browser was given, and the verifier of the challenge that it was begun with."""

    code: Annotated[str, StringConstraints(max_length=CARRIED_CHARS_MAX)]
    verifier: Annotated[str, StringConstraints(pattern=VERIFIER_PATTERN)]


async def start_oidc(
    tenant: TenantInPath,
    services: Services,
    challenge: Annotated[
        str,
        Query(
            pattern=CHALLENGE_PATTERN,
            description="SHA-256 of a random verifier, base64url (RFC 7636, S256).",
        ),
    ],
    return_to: Annotated[
        str,
        Query(
            max_length=RETURN_CHARS_MAX,
            description="A path here, or a page of an allowed origin.",
        ),
    ] = "/",
) -> Response:
    """Send the browser to the tenant's identity provider. It is sent to `return_to` in the end, with a
    ticket in the fragment (`#sign_in=`), to be exchanged at `POST /auth/oidc/{tenant}/session`."""
    started = await services.oidc.sign_in.start(tenant, challenge, return_to)
    answer = RedirectResponse(started.location, 302)
    _set_cookie(answer, services, started.cookie, FLOW_S)
    return answer


async def _answer(
    request: Request,
    state: Parameter = "",
    code: Parameter = "",
    iss: Parameter = "",
    error: Parameter = "",
) -> Answer:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        # RFC 6749, section 3.1: no parameter twice. Somebody else might read the other one.
        raise Refusal(ErrorCode.LOGIN_FAILED, AGAIN)
    return Answer(state, code, iss, error)


async def finish_oidc(
    tenant: TenantInPath,
    given: Annotated[Answer, Depends(_answer)],
    request: Request,
    services: Services,
) -> Response:
    """Where the identity provider sends the browser back to."""
    cookie = request.cookies.get(_cookie_name(services), "")
    location = await services.oidc.sign_in.finish(tenant, given, cookie, origin_of(request))
    answer = RedirectResponse(location, 302)
    _set_cookie(answer, services, "", 0)
    return answer


async def open_oidc_session(
    tenant: TenantInPath, body: Handover, request: Request, services: Services
) -> TokenPair:
    """Exchange the ticket of a sign-in for tokens, once. Whoever has a second factor here gets the problem
    `second_factor_required` with a `challenge` to answer."""
    origin = origin_of(request)
    user = await services.oidc.sign_in.redeem(tenant, body.code, body.verifier, origin)
    return pair_view(await services.sign_in.recognised(tenant, user, origin.address))


def _cookie_name(services: RestServices) -> str:
    return f"{PREFIX}{COOKIE}" if services.oidc.sign_in.is_tls else COOKIE


def _set_cookie(answer: Response, services: RestServices, value: str, age_s: int) -> None:
    answer.set_cookie(
        _cookie_name(services),
        value,
        max_age=age_s,
        path="/",
        secure=services.oidc.sign_in.is_tls,
        httponly=True,
        # Lax: the browser comes back by a link of another site. Strict would leave it at home.
        samesite="lax",
    )


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/auth/oidc/{tenant}", tags=["auth"], route_class=StrictRoute)
    routes.get("/start", status_code=302, response_class=RedirectResponse)(start_oidc)
    routes.get("/callback", status_code=302, response_class=RedirectResponse)(finish_oidc)
    routes.post("/session", response_model_exclude_none=True)(open_oidc_session)
    return routes
