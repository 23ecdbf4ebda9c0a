"""The codes of every refusal: one stable word, what happened, and whether trying again can help.

Refusal
  a command that was understood and will not be applied; nothing was changed
OutcomeUnknown
  no answer came in time; the same client_id may be sent again without harm
"""

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable for clients; the text beside it may change."""

    BAD_FRAME = "bad_frame"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    NOT_FOUND = "not_found"
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    CONFLICT = "conflict"
    ROOM_CLOSED = "room_closed"
    ROOM_EXISTS = "room_exists"
    NOT_A_MEMBER = "not_a_member"
    LOGIN_FAILED = "login_failed"
    SESSION_ENDED = "session_ended"
    REFRESH_REUSED = "refresh_reused"
    SECOND_FACTOR_REQUIRED = "second_factor_required"
    SECOND_FACTOR_FAILED = "second_factor_failed"
    ENROLMENT_REQUIRED = "second_factor_enrolment_required"
    TENANT_SUSPENDED = "tenant_suspended"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERNAL = "internal"


RETRYABLE = frozenset({ErrorCode.UNAVAILABLE, ErrorCode.OUTCOME_UNKNOWN, ErrorCode.TOO_MANY})
"""Codes after which the same command, with the same client_id, may be sent again."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """The actor's answer to a command that it will not apply."""

    code: ErrorCode
    detail: str


class Refusal(Exception):
    """A command was refused; nothing changed."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class OutcomeUnknown(Exception):
    """No receipt came in time. The command may have been committed: repeat it with the same client_id."""
