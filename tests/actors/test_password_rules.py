"""Failed sign-ins and renewed hashes in a tenant: who may say so, and what never comes back."""

import hashlib
from typing import Any

import pytest

from actors.protocol.audit import audit_facts
from actors.protocol.codec import content_of
from actors.protocol.commands import RecordFailedSignIns, RehashPassword
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import SignInFailed, UserPasswordRehashed
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import STATE_KINDS, evolve
from actors.tenant.state import TenantState, User
from tests.actors.people import ADMIN, AT_MS, OWNER, SYSTEM, Person

ANA = Person("u1", Role.ANALYST)
OLD, NEW = "argon2-of-old", "argon2-of-new"


def tenant(**more: Any) -> TenantState:
    """A tenant with the user u1."""
    return TenantState(users={"u1": User("ana", None, "Ana", Role.ANALYST, OLD, **more)})


def failing(who: Person = SYSTEM, user: str = "u1") -> RecordFailedSignIns:
    """Three failures."""
    facts = {"address": "192.0.2.1", "reason": "locked", "count": 3}
    return who.asks(RecordFailedSignIns, user=user, **facts)


def rehashing(who: Person = ANA, replaces: str = OLD) -> RehashPassword:
    """Another hash of what u1 has shown."""
    digest = hashlib.sha256(replaces.encode()).hexdigest()
    return who.asks(RehashPassword, user="u1", replaces=digest, password_hash=NEW)


def test_failed_sign_ins_are_recorded_and_change_nothing() -> None:
    event = decide(tenant(), failing(), AT_MS)

    assert isinstance(event, SignInFailed)
    assert (event.user, event.address, event.reason, event.count) == (
        "u1",
        "192.0.2.1",
        "locked",
        3,
    )
    assert evolve(tenant(), event, "gateway", AT_MS) == tenant()
    assert event.kind not in STATE_KINDS


@pytest.mark.parametrize("who", [ADMIN, OWNER])
def test_nobody_but_the_gateway_says_who_failed(who: Person) -> None:
    refused = decide(tenant(), failing(who), AT_MS)

    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.FORBIDDEN


def test_failures_of_nobody_are_not_recorded() -> None:
    refused = decide(tenant(), failing(user="u9"), AT_MS)

    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.NOT_FOUND


def test_an_auditor_sees_how_often_and_from_where_and_no_hash() -> None:
    event = decide(tenant(), failing(), AT_MS)
    assert isinstance(event, SignInFailed)
    facts = audit_facts(event.kind, content_of(event, "0"))

    assert (facts.operation, facts.object_id, facts.outcome) == ("user.sign_in", "u1", "refused")
    assert (facts.address, facts.after) == ("192.0.2.1", {"reason": "locked", "count": 3})
    renewed = decide(tenant(), rehashing(), AT_MS)
    assert isinstance(renewed, UserPasswordRehashed)
    assert NEW not in str(audit_facts(renewed.kind, content_of(renewed, "0")))
    assert NEW not in repr(renewed)


def test_a_renewed_hash_takes_the_place_of_the_old_one_and_ends_no_session() -> None:
    event = decide(tenant(), rehashing(), AT_MS)

    assert isinstance(event, UserPasswordRehashed)
    assert event.kind in STATE_KINDS
    assert evolve(tenant(), event, "u1", AT_MS).users["u1"].password_hash == NEW


def test_a_password_that_was_changed_meanwhile_is_not_brought_back() -> None:
    refused = decide(tenant(), rehashing(replaces="argon2-of-older"), AT_MS)

    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.CONFLICT


@pytest.mark.parametrize("who", [ADMIN, SYSTEM])
def test_a_hash_is_renewed_for_whoever_has_shown_the_password_only(who: Person) -> None:
    refused = decide(tenant(), rehashing(who), AT_MS)

    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.FORBIDDEN


@pytest.mark.parametrize("state", ["disabled", "deleted"])
def test_a_user_who_is_out_gets_no_new_hash(state: str) -> None:
    refused = decide(tenant(**{state: True}), rehashing(), AT_MS)

    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.NOT_FOUND


def test_tries_of_nobody_who_is_known_are_recorded_without_a_name() -> None:
    event = decide(tenant(), failing(user=""), AT_MS)

    assert isinstance(event, SignInFailed)
    assert (event.user, event.count) == ("", 3)
    refused = decide(tenant(), failing(user="u9"), AT_MS)
    assert isinstance(refused, Rejection)
