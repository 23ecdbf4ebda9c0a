"""Second factors in a tenant: what a code is good for, who may take one away, whom the policy holds up."""

from typing import Any, Final

import pytest
from pydantic import ValidationError

from actors.protocol.audit import audit_facts
from actors.protocol.codec import content_of
from actors.protocol.commands import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    DeleteUser,
    DisableUser,
    OpenSession,
    RefreshSession,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ResetSecondFactor,
    SecondFactorProof,
    SetSecondFactorPolicy,
    TenantCommand,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.sessions import ended_by
from actors.tenant.state import TenantState, state_from_bytes, state_to_bytes
from tests.actors.people import AT_MS, SYSTEM, Person
from tests.actors.test_tenant_accounts import (
    ANA,
    BOB,
    LATER_MS,
    STRANGER,
    TOM,
    after,
    ended,
    refusal,
    tenant,
)

FAILED: Final = ErrorCode.SECOND_FACTOR_FAILED
ONE, TWO, OTHER = "1" * 64, "2" * 64, "3" * 64
DIGEST: Final = "0" * 64


def totp(step: int, factor: str = "f1") -> SecondFactorProof:
    """A code of a time step."""
    return SecondFactorProof(factor=factor, method="totp", step=step)


def recovery(digest: str, factor: str = "f1") -> SecondFactorProof:
    """A recovery code."""
    return SecondFactorProof(factor=factor, method="recovery", recovery=digest)


def begins(who: Person = ANA, user: str = "ana", factor: str = "f1", **more: Any) -> TenantCommand:
    """The begin of an enrolment."""
    return who.asks(BeginSecondFactor, user=user, factor=factor, secret="SEALED", **more)


def confirms(who: Person = ANA, factor: str = "f1", **more: Any) -> TenantCommand:
    """Its end."""
    facts = {"user": who.name, "step": 100, "recovery": (ONE, TWO), "session": f"{who.name}-1"}
    return who.asks(ConfirmSecondFactor, factor=factor, **{**facts, **more})


def enters(who: Person = ANA, session: str = "new", **more: Any) -> TenantCommand:
    """A sign-in."""
    facts = {"session": session, "refresh": DIGEST, "expires_ms": LATER_MS}
    return who.asks(OpenSession, user=who.name, **facts, **more)


def enrolled(*people: Person) -> TenantState:
    """A tenant in which some have a second factor."""
    state = tenant()
    for who in people or (ANA,):
        state = after(state, begins(who, who.name), confirms(who))
    return state


def required(*people: Person) -> TenantState:
    """A tenant in which everybody must have one, and some have."""
    return after(enrolled(TOM, *people), TOM.asks(SetSecondFactorPolicy, required=True))


def test_what_was_only_begun_asks_nobody_for_a_code() -> None:
    state = after(tenant(), begins())
    assert refusal(state, enters()) is None
    assert refusal(state, enters(proof=totp(100))) is FAILED


def test_once_confirmed_nobody_comes_in_without_a_proof_and_sessions_without_it_have_ended() -> (
    None
):
    assert ended(after(tenant(), begins()), confirms()) == {"ana-2"}
    state = enrolled()
    assert refusal(state, enters()) is ErrorCode.SECOND_FACTOR_REQUIRED
    assert refusal(state, enters(restricted=True)) is ErrorCode.SECOND_FACTOR_REQUIRED
    assert refusal(state, enters(proof=totp(101))) is None
    assert refusal(state, enters(BOB)) is None


@pytest.mark.parametrize("step", [1, 99, 100])
def test_the_code_that_confirmed_and_all_before_it_are_used(step: int) -> None:
    assert refusal(enrolled(), enters(proof=totp(step))) is FAILED


def test_a_time_step_is_accepted_once_and_none_before_it_whatever_it_was_used_for() -> None:
    uses: list[TenantCommand] = [
        enters(proof=totp(105)),
        ANA.asks(ReplaceRecoveryCodes, user="ana", recovery=(OTHER,), proof=totp(105)),
        begins(factor="f2", proof=totp(105)),
    ]
    for use in uses:
        state = after(enrolled(), use)
        for step in (104, 105):
            assert refusal(state, enters(session="again", proof=totp(step))) is FAILED
        assert refusal(state, enters(session="again", proof=totp(106))) is None


def test_a_used_time_step_stays_used_when_the_second_factor_goes_and_another_comes() -> None:
    state = after(enrolled(), ANA.asks(RemoveSecondFactor, user="ana", proof=totp(105)))
    state = after(state, begins(factor="f2"))
    assert refusal(state, confirms(factor="f2", step=105)) is FAILED
    assert refusal(state, confirms(factor="f2", step=106)) is None


def test_a_recovery_code_is_good_once_and_the_others_stay() -> None:
    state = after(enrolled(), enters(proof=recovery(ONE)))
    assert refusal(state, enters(session="again", proof=recovery(ONE))) is FAILED
    assert refusal(state, enters(session="again", proof=recovery(OTHER))) is FAILED
    assert refusal(state, enters(session="again", proof=recovery(TWO))) is None
    assert refusal(state, enters(session="again", proof=totp(101))) is None


def test_new_recovery_codes_void_the_old_ones() -> None:
    replaces = ANA.asks(ReplaceRecoveryCodes, user="ana", recovery=(OTHER,), proof=recovery(ONE))
    state = after(enrolled(), replaces)
    for digest in (ONE, TWO):
        assert refusal(state, enters(proof=recovery(digest))) is FAILED
    assert refusal(state, enters(proof=recovery(OTHER))) is None


def test_a_proof_of_another_second_factor_is_none() -> None:
    assert refusal(enrolled(), enters(proof=totp(101, factor="f2"))) is FAILED
    assert refusal(enrolled(), enters(proof=recovery(ONE, factor="f2"))) is FAILED


def test_what_is_active_is_replaced_only_with_a_proof_and_only_when_the_new_one_is_confirmed() -> (
    None
):
    assert refusal(enrolled(), begins(factor="f2")) is ErrorCode.SECOND_FACTOR_REQUIRED
    state = after(enrolled(), begins(factor="f2", proof=totp(101)))
    assert refusal(state, enters(proof=totp(102))) is None
    state = after(state, confirms(factor="f2", step=102, recovery=(OTHER,)))
    assert refusal(state, enters(proof=totp(103))) is FAILED
    assert refusal(state, enters(proof=recovery(ONE, factor="f2"))) is FAILED
    assert refusal(state, enters(proof=totp(103, factor="f2"))) is None


def test_an_enrolment_that_was_begun_anew_is_not_confirmed_with_the_first_secret() -> None:
    state = after(tenant(), begins(), begins(factor="f2"))
    assert refusal(state, confirms()) is ErrorCode.CONFLICT
    assert refusal(tenant(), confirms()) is ErrorCode.CONFLICT
    assert refusal(state, confirms(factor="f2", session="tom-1")) is ErrorCode.SESSION_ENDED
    assert refusal(state, confirms(factor="f2", session="gone")) is ErrorCode.SESSION_ENDED


def test_nobody_sees_to_the_second_factor_of_another_but_an_administrator_who_resets_it() -> None:
    state = enrolled(ANA, TOM)
    for who in (TOM, BOB, STRANGER, SYSTEM):
        for command in (
            begins(who, "ana", proof=totp(105)),
            confirms(who, user="ana"),
            who.asks(RemoveSecondFactor, user="ana", proof=totp(105)),
            who.asks(ReplaceRecoveryCodes, user="ana", recovery=(OTHER,), proof=totp(105)),
        ):
            assert refusal(state, command) is ErrorCode.FORBIDDEN, who
    for who in (ANA, BOB, STRANGER):
        assert refusal(state, who.asks(ResetSecondFactor, user="ana")) is ErrorCode.FORBIDDEN
        policy = who.asks(SetSecondFactorPolicy, required=True)
        assert refusal(state, policy) is ErrorCode.FORBIDDEN
    assert refusal(state, TOM.asks(ResetSecondFactor, user="tom")) is ErrorCode.FORBIDDEN
    assert refusal(state, TOM.asks(ResetSecondFactor, user="bob")) is ErrorCode.CONFLICT
    assert refusal(state, TOM.asks(ResetSecondFactor, user="nobody")) is ErrorCode.NOT_FOUND
    for who in (TOM, SYSTEM):
        reset = who.asks(ResetSecondFactor, user="ana")
        assert ended(state, reset) == {"ana-1"}
        assert refusal(after(state, reset), enters()) is None


def test_a_disabled_user_can_not_enrol() -> None:
    state = after(tenant(), TOM.asks(DisableUser, user="ana"))
    assert refusal(state, begins()) is ErrorCode.FORBIDDEN


def test_a_deleted_user_leaves_no_secret_in_the_state() -> None:
    state = after(enrolled(), TOM.asks(DeleteUser, user="ana"))
    assert b"SEALED" not in state_to_bytes(state)


def test_removing_takes_a_proof_and_is_refused_where_the_tenant_requires_one() -> None:
    def removes(**proof: Any) -> TenantCommand:
        return ANA.asks(RemoveSecondFactor, user="ana", **proof)

    assert refusal(enrolled(), removes()) is ErrorCode.SECOND_FACTOR_REQUIRED
    assert refusal(enrolled(), removes(proof=totp(100))) is FAILED
    assert refusal(tenant(), removes(proof=totp(100))) is ErrorCode.CONFLICT
    assert refusal(required(ANA), removes(proof=totp(101))) is ErrorCode.FORBIDDEN
    state = after(enrolled(), removes(proof=totp(101)))
    assert refusal(state, enters()) is None


def test_who_lacks_what_is_required_gets_a_restricted_session_and_no_other() -> None:
    state = required(ANA)
    assert refusal(state, enters(BOB)) is ErrorCode.ENROLMENT_REQUIRED
    assert refusal(state, enters(BOB, restricted=True)) is None
    assert refusal(state, enters(proof=totp(101))) is None
    state = after(state, begins(BOB, "bob"), confirms(BOB))
    assert refusal(state, enters(BOB, proof=totp(101))) is None


def test_a_session_of_before_goes_on_restricted_only_and_keeps_its_refresh_token_meanwhile() -> (
    None
):
    def refreshes(**more: Any) -> TenantCommand:
        facts = {"session": "bob-1", "presented": DIGEST, "refresh": ONE, "expires_ms": LATER_MS}
        return BOB.asks(RefreshSession, **facts, **more)

    state = required()
    assert refusal(state, refreshes()) is ErrorCode.ENROLMENT_REQUIRED
    state = after(state, refreshes(restricted=True))
    assert state.sessions["bob-1"].refresh == ONE
    # A stolen token ends the session all the same.
    again = decide(state, refreshes(), AT_MS)
    assert not isinstance(again, Rejection)
    assert ended_by(again) == ("bob-1",)
    freed = after(required(), TOM.asks(SetSecondFactorPolicy, required=False))
    assert refusal(freed, refreshes()) is None


def test_who_requires_a_second_factor_has_one_himself() -> None:
    policy = TOM.asks(SetSecondFactorPolicy, required=True)
    assert refusal(tenant(), policy) is ErrorCode.CONFLICT
    assert refusal(after(tenant(), begins(TOM, "tom")), policy) is ErrorCode.CONFLICT
    assert refusal(tenant(), SYSTEM.asks(SetSecondFactorPolicy, required=True)) is None
    state = after(enrolled(TOM), policy)
    assert state.second_factor_required


def test_second_factors_and_the_policy_survive_a_snapshot() -> None:
    state = after(required(ANA), begins(BOB, "bob"))
    assert state_from_bytes(state_to_bytes(state)) == state


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "totp"},
        {"method": "recovery", "step": 1},
        {"method": "totp", "step": 1, "recovery": ONE},
        {"method": "totp", "step": 0},
    ],
)
def test_a_proof_is_a_time_step_or_a_recovery_code(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SecondFactorProof(factor="f1", **fields)


def test_no_repr_and_no_audit_entry_shows_a_secret_or_a_digest() -> None:
    state, shown = tenant(), []
    for command in (
        begins(),
        confirms(),
        enters(proof=recovery(ONE)),
        ANA.asks(ReplaceRecoveryCodes, user="ana", recovery=(OTHER,), proof=totp(105)),
        begins(factor="f2", proof=recovery(OTHER)),
        TOM.asks(ResetSecondFactor, user="ana"),
    ):
        event = decide(state, command, AT_MS)
        assert not isinstance(event, Rejection), event
        state = evolve(state, event, command.actor, AT_MS)
        facts = audit_facts(event.kind, content_of(event, "0" * 8, None))
        assert facts.object_id in ("ana", "new"), event.kind
        shown += [repr(each) for each in (command, event, state, facts)]
    assert not [text for text in shown if any(x in text for x in ("SEALED", ONE, TWO, OTHER))]


def test_the_audit_log_says_what_became_of_the_policy_and_by_which_means_somebody_came_in() -> None:
    event = decide(enrolled(TOM), TOM.asks(SetSecondFactorPolicy, required=True), AT_MS)
    assert not isinstance(event, Rejection)
    facts = audit_facts(event.kind, content_of(event, "", None))
    assert (facts.operation, facts.object_id) == ("policy.set_second_factor", "second_factor")
    assert (facts.before, facts.after) == ({"required": False}, {"required": True})
    entered = decide(enrolled(), enters(proof=recovery(ONE)), AT_MS)
    assert not isinstance(entered, Rejection)
    facts = audit_facts(entered.kind, content_of(entered, "", None))
    assert facts.after["proof"] == {"method": "recovery"}


def test_a_role_that_was_never_there_makes_no_policy() -> None:
    nobody = Person("nobody", Role.TENANT_ADMIN)
    command = nobody.asks(SetSecondFactorPolicy, required=False)
    assert refusal(required(), command) is ErrorCode.FORBIDDEN
