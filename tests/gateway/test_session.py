"""The state of one socket."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.limits import COMMAND_TIMEOUT_S, MESSAGE_BYTES_MAX
from actors.protocol.roles import Role
from gateway.session import Session, SessionState, refusal_of_text
from gateway.settings import GatewaySettings
from gateway.tokens import Principal

ANA = Principal("acme", "usr_ana", Role.ANALYST, "ses_1", int(time.time()) + 36_000)


def session(**settings: Any) -> Session:
    """A new session under these settings."""
    return Session(GatewaySettings(**settings))


def test_a_session_opens_with_the_first_proof_of_who_it_is() -> None:
    it = session()
    states = [it.state]

    it.authenticate(ANA)

    assert [*states, it.state] == [SessionState.AWAITING_HELLO, SessionState.OPEN]
    assert it.principal == ANA


def test_a_fresh_proof_of_the_same_user_prolongs_the_session() -> None:
    it = session()
    it.authenticate(ANA)
    renewed = Principal("acme", "usr_ana", Role.VIEWER, "ses_2", ANA.expires + 600)

    it.authenticate(renewed)

    assert it.principal == renewed


@pytest.mark.parametrize(("tenant", "user"), [("acme", "usr_bob"), ("globex", "usr_ana")])
def test_nobody_else_can_take_a_session_over(tenant: str, user: str) -> None:
    it = session()
    it.authenticate(ANA)

    with pytest.raises(Refusal) as caught:
        it.authenticate(Principal(tenant, user, Role.ANALYST, "ses_1", ANA.expires))

    assert caught.value.code is ErrorCode.FORBIDDEN
    assert it.principal == ANA


def test_a_closed_session_is_not_opened_again() -> None:
    it = session()
    it.authenticate(ANA)
    it.state = SessionState.CLOSED

    it.authenticate(ANA)

    assert it.state is SessionState.CLOSED


def test_as_many_frames_a_second_as_allowed_are_admitted() -> None:
    it = session(frames_per_second_max=3)

    assert [it.admit_frame(10.0 + n / 10) for n in range(4)] == [True, True, True, False]
    assert it.admit_frame(11.0)


def test_a_full_session_takes_posts_again_once_half_are_settled() -> None:
    it = session(inflight_posts_max=4)
    for number in range(4):
        it.track("r", str(number), 0.0)
    assert it.is_full

    it.settle("r", "0")
    assert not it.has_room
    it.settle("r", "1")

    assert it.has_room


def test_the_same_client_id_in_two_rooms_is_two_posts() -> None:
    it = session()
    it.track("r1", "c", 0.0)
    it.track("r2", "c", 0.0)

    assert it.settle("r1", "c")
    assert it.settle("r2", "c")
    assert not it.settle("r2", "c")


def test_a_post_without_a_receipt_is_overdue_after_the_time_of_a_command() -> None:
    it = session()
    it.track("r", "early", 0.0)
    it.track("r", "late", 10.0)

    assert it.overdue(COMMAND_TIMEOUT_S) == []
    assert it.overdue(COMMAND_TIMEOUT_S + 0.1) == [("r", "early")]


def test_one_room_too_many_is_not_followed() -> None:
    it = session(subscriptions_max=1)
    assert it.refusal_to_follow("r1") is None
    it.subscriptions["r1"] = None  # type: ignore[assignment]

    refused = it.refusal_to_follow("r2")

    assert refused is not None
    assert refused.code is ErrorCode.TOO_MANY
    assert it.refusal_to_follow("r1") is None


@given(st.text(max_size=40), st.integers(-2, 2))
def test_a_text_is_measured_in_bytes_of_utf_8(letters: str, more: int) -> None:
    size = len(letters.encode())
    text = letters + "x" * (MESSAGE_BYTES_MAX - size + more)

    refused = refusal_of_text(text)

    assert (refused is not None and refused.code is ErrorCode.TOO_LARGE) == (more > 0)


def test_a_long_text_of_wide_letters_is_too_large() -> None:
    assert refusal_of_text("\U0001f600" * (MESSAGE_BYTES_MAX // 4)) is None
    assert refusal_of_text("\U0001f600" * (MESSAGE_BYTES_MAX // 4 + 1)) is not None


def test_an_empty_text_is_no_message() -> None:
    refused = refusal_of_text("")

    assert refused is not None
    assert refused.code is ErrorCode.INVALID
