"""The one table of errors: a code, its HTTP status, its WebSocket close code; and problem documents.

A code without a close code leaves the socket open: the frame was understood and refused.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from actors.protocol.errors import ErrorCode, OutcomeUnknown, Refusal
from gateway.challenge import SecondFactorWanted
from gateway.too_soon import TooSoon
from gateway.websocket_protocol import CloseCode

log = structlog.get_logger(__name__)

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
NOT_FOUND_DETAIL: Final = "there is nothing here that you may see"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a code shows: on HTTP, on a socket, and in words."""

    status: int
    close: CloseCode | None
    title: str


OUTCOMES: Final[dict[ErrorCode, Outcome]] = {
    ErrorCode.BAD_FRAME: Outcome(400, CloseCode.BAD_FRAME, "This can not be read"),
    ErrorCode.INVALID: Outcome(422, None, "Something in it is not valid"),
    ErrorCode.TOO_LARGE: Outcome(413, CloseCode.TOO_LARGE, "This is too large"),
    ErrorCode.TOO_MANY: Outcome(429, CloseCode.TOO_MANY, "Too many at once"),
    ErrorCode.NOT_FOUND: Outcome(404, None, "There is no such thing"),
    ErrorCode.FORBIDDEN: Outcome(403, CloseCode.FORBIDDEN, "You may not do this"),
    ErrorCode.UNAUTHENTICATED: Outcome(401, CloseCode.UNAUTHENTICATED, "Sign in first"),
    ErrorCode.CONFLICT: Outcome(409, None, "This contradicts what is there"),
    ErrorCode.ROOM_CLOSED: Outcome(409, None, "The room is closed"),
    ErrorCode.ROOM_EXISTS: Outcome(409, None, "The room exists"),
    ErrorCode.NOT_A_MEMBER: Outcome(403, None, "You are not a member of this room"),
    ErrorCode.LOGIN_FAILED: Outcome(401, None, "Signing in failed"),
    ErrorCode.SESSION_ENDED: Outcome(401, CloseCode.UNAUTHENTICATED, "The session has ended"),
    ErrorCode.REFRESH_REUSED: Outcome(401, None, "The refresh token was used before"),
    ErrorCode.SECOND_FACTOR_REQUIRED: Outcome(401, None, "A second factor is needed"),
    ErrorCode.SECOND_FACTOR_FAILED: Outcome(403, None, "The second factor failed"),
    ErrorCode.ENROLMENT_REQUIRED: Outcome(403, CloseCode.FORBIDDEN, "Enrol a second factor first"),
    ErrorCode.TENANT_SUSPENDED: Outcome(403, None, "The company is suspended"),
    ErrorCode.UNAVAILABLE: Outcome(503, None, "A part of the system does not answer"),
    ErrorCode.OUTCOME_UNKNOWN: Outcome(504, None, "It is not known whether this was done"),
    ErrorCode.INTERNAL: Outcome(500, CloseCode.INTERNAL, "Something went wrong here"),
}
"""Every code. On a socket a refused frame that is no protocol error is answered with `rejected`,
whatever stands here: the close code is for the connection as a whole."""

_CODES_OF_STATUS: Final[dict[int, ErrorCode]] = {
    400: ErrorCode.BAD_FRAME,
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.TOO_MANY,
    503: ErrorCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad field. `pointer` is a JSON pointer into the body (RFC 6901), as a URI fragment."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class BodyRefused(HTTPException):
    """A request body that can't be read at all."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        # What is left of a body that is too large is not worth reading.
        headers = {"Connection": "close"} if code is ErrorCode.TOO_LARGE else None
        super().__init__(OUTCOMES[code].status, detail, headers)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457).

    It does not repeat what was asked for, so that the answer for another tenant's object is byte
    for byte the one for an object that does not exist.
    """

    status: int
    code: str
    title: str
    detail: str
    faults: tuple[Fault, ...] = ()
    instance: str | None = None
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """The answer that carries it."""
        fields: dict[str, Any] = {
            "type": f"urn:wardroom:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }
        if self.faults:
            fields["errors"] = [_present(fault) for fault in self.faults]
        if self.instance is not None:
            fields["instance"] = self.instance
        body = orjson.dumps(fields)
        return Response(body, self.status, headers, media_type=PROBLEM_MEDIA_TYPE)


def problem(
    code: ErrorCode, detail: str, faults: tuple[Fault, ...] = (), instance: str | None = None
) -> Problem:
    """The problem document of a code."""
    outcome = OUTCOMES[code]
    return Problem(outcome.status, code, outcome.title, detail, faults, instance)


def install(app: FastAPI, unavailable: tuple[type[Exception], ...] = ()) -> None:
    """Have every error of an application answered with a problem document.

    `unavailable` are exceptions that say that a server underneath does not answer.
    """
    for kind in unavailable:
        app.add_exception_handler(kind, _on_unavailable)
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(OutcomeUnknown, _on_outcome_unknown)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_refusal(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    headers = _extra_headers(error.code)
    if isinstance(error, TooSoon):
        headers.update(error.headers)
    if isinstance(error, SecondFactorWanted):
        wanted = replace(problem(error.code, error.detail), members=error.members)
        # It lets go on signing in, so no cache may keep it.
        return wanted.response({**headers, "Cache-Control": "no-store"})
    return problem(error.code, error.detail).response(headers)


async def _on_outcome_unknown(_request: Request, _error: Exception) -> Response:
    code = ErrorCode.OUTCOME_UNKNOWN
    detail = "no receipt came in time; send the same request with the same Idempotency-Key again"
    return problem(code, detail).response(_extra_headers(code))


async def _on_unavailable(_request: Request, error: Exception) -> Response:
    log.warning("request.part_unavailable", error=repr(error))
    code = ErrorCode.UNAVAILABLE
    return problem(code, "try again in a moment").response(_extra_headers(code))


async def _on_invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    if any(item["loc"][:1] == ("path",) for item in found):
        # An id of a form that nothing can have is the id of nothing.
        return problem(ErrorCode.NOT_FOUND, NOT_FOUND_DETAIL).response()
    faults = tuple(_fault(item["loc"], item["msg"]) for item in found)
    return problem(ErrorCode.INVALID, "see errors", faults).response()


def _fault(loc: tuple[int | str, ...], message: str) -> Fault:
    place, *path = loc
    if place == "body":
        steps = [str(step).replace("~", "~0").replace("/", "~1") for step in path]
        return Fault(message, pointer="#" + "".join(f"/{step}" for step in steps))
    return Fault(message, parameter=".".join(str(step) for step in path))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if isinstance(error, BodyRefused):
        return problem(error.code, error.detail).response(error.headers)
    code = _CODES_OF_STATUS.get(error.status_code)
    if code is ErrorCode.NOT_FOUND:
        return problem(code, NOT_FOUND_DETAIL).response()
    if code is not None:
        return problem(code, error.detail).response(error.headers)
    phrase = HTTPStatus(error.status_code).phrase
    slug = phrase.lower().replace(" ", "_").replace("-", "_")
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {**(headers or {}), "Allow": ", ".join(_methods_at(request))}
    return Problem(error.status_code, slug, phrase, error.detail).response(headers)


def _methods_at(request: Request) -> list[str]:
    """All that may be asked of a path (RFC 9110, section 10.2.1); the framework names one route's."""
    methods: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods
    return sorted(methods)


async def _on_unexpected(_request: Request, error: Exception) -> Response:
    occurrence = secrets.token_hex(8)
    log.error("request.failed", occurrence=occurrence, exc_info=error)
    detail = "the server's log has more under this instance"
    instance = f"urn:wardroom:occurrence:{occurrence}"
    return problem(ErrorCode.INTERNAL, detail, instance=instance).response()


def _extra_headers(code: ErrorCode) -> dict[str, str]:
    status = OUTCOMES[code].status
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    if status in (429, 503, 504):
        return {"Retry-After": str(RETRY_AFTER_S)}
    return {}


def _present(fault: Fault) -> dict[str, str]:
    pairs = (("pointer", fault.pointer), ("parameter", fault.parameter), ("detail", fault.detail))
    return {name: value for name, value in pairs if value is not None}
