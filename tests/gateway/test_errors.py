"""The table of errors, and problem documents."""

import orjson

from actors.protocol.errors import RETRYABLE, ErrorCode
from gateway.errors import OUTCOMES, Fault, problem

CLOSING = {
    ErrorCode.BAD_FRAME: 4400,
    ErrorCode.UNAUTHENTICATED: 4401,
    ErrorCode.SESSION_ENDED: 4401,
    ErrorCode.FORBIDDEN: 4403,
    ErrorCode.ENROLMENT_REQUIRED: 4403,
    ErrorCode.TOO_LARGE: 4413,
    ErrorCode.TOO_MANY: 4429,
    ErrorCode.INTERNAL: 1011,
}


def test_every_code_has_an_outcome() -> None:
    assert set(OUTCOMES) == set(ErrorCode)


def test_close_codes_are_those_of_the_contract() -> None:
    closing = {code: int(o.close) for code, o in OUTCOMES.items() if o.close is not None}

    assert closing == CLOSING


def test_codes_that_may_be_tried_again_have_a_status_that_says_so() -> None:
    assert {OUTCOMES[code].status for code in RETRYABLE} == {429, 503, 504}


def test_a_problem_names_its_code_its_type_and_its_bad_fields() -> None:
    faults = (Fault("too short", pointer="#/name"), Fault("no number", parameter="limit"))

    answer = problem(ErrorCode.INVALID, "see errors", faults).response()

    assert answer.status_code == 422
    assert answer.media_type == "application/problem+json"
    assert orjson.loads(bytes(answer.body)) == {
        "type": "urn:wardroom:problem:invalid",
        "title": "Something in it is not valid",
        "status": 422,
        "detail": "see errors",
        "code": "invalid",
        "errors": [
            {"pointer": "#/name", "detail": "too short"},
            {"parameter": "limit", "detail": "no number"},
        ],
    }
