"""What may become of the credentials of external systems, and who may ask for it."""

import base64
import hashlib
from dataclasses import replace
from typing import Any, Final

import pytest
from pydantic import ValidationError

from actors.protocol.codec import content_of
from actors.protocol.commands import ManageNatsCredential
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.limits import NATS_CREDENTIALS_LIVING_MAX, NATS_CREDENTIALS_MAX
from actors.protocol.nats_credential_events import NatsCredentialMade
from actors.protocol.nats_credentials import NatsCredential, publish_subjects
from actors.protocol.roles import Role
from actors.tenant.decide import decide
from actors.tenant.evolve import evolve
from actors.tenant.state import TenantState, User, state_from_bytes, state_to_bytes
from tests.actors.people import AT_MS, SYSTEM, Person

TOM: Final = Person("tom", Role.TENANT_ADMIN)
ANA: Final = Person("ana", Role.ANALYST)
PEOPLE: Final = TenantState(
    users={each.name: User(each.name, None, each.name, each.role, "hash") for each in (TOM, ANA)}
)
HOUR_MS: Final = 3_600_000


def key(number: int) -> str:
    """A text that could be a public key."""
    digest = hashlib.sha256(str(number).encode()).digest() + b"\0\0\0"
    return "U" + base64.b32encode(digest).decode().rstrip("=")[:55]


ASKED: Final[dict[str, dict[str, Any]]] = {
    "make": {"do": "make", "name": "QRadar", "public_key": key(1)},
    "adopt": {"do": "adopt", "name": "File", "public_key": key(1)},
    "rotate": {"do": "rotate", "successor": "nat_2", "public_key": key(2), "overlap_s": 60},
    "revoke": {"do": "revoke"},
    "sign": {"do": "sign", "token": "a.b.c"},
    "retire": {"do": "retire"},
    "cut": {"do": "confirm_cut"},
}
ALLOWED: Final[dict[str, dict[str, str]]] = {
    "": {"make": "pending", "adopt": "active"},
    "pending": {"sign": "active", "revoke": "revoking", "rotate": "pending"},
    "active": {"revoke": "revoking", "rotate": "active"},
    "revoking": {"cut": "revoked"},
    "revoked": {},
}
"""What each status allows, and the status after it; all else is refused."""
BY_THE_PROVISIONER: Final = {"adopt", "sign", "retire", "cut"}


def ask(
    state: TenantState, what: str, who: Person = SYSTEM, now_ms: int = AT_MS, **more: Any
) -> TenantState | ErrorCode:
    """The tenant after it, or why not."""
    action = {**ASKED[what], **more}
    command = who.asks(ManageNatsCredential, credential="nat_1", action=action)
    decided = decide(state, command, now_ms)
    if isinstance(decided, Rejection):
        return decided.code
    return evolve(state, decided, who.name, now_ms)


def after(*steps: str, who: Person = SYSTEM) -> TenantState:
    """The tenant after steps that are all allowed."""
    state = PEOPLE
    for step in steps:
        done = ask(state, step, who if step not in BY_THE_PROVISIONER else SYSTEM)
        assert isinstance(done, TenantState), (step, done)
        state = done
    return state


WAYS: Final = {
    "": after(),
    "pending": after("make"),
    "active": after("make", "sign"),
    "revoking": after("make", "sign", "revoke"),
    "revoked": after("make", "sign", "revoke", "cut"),
}


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("status", ALLOWED)
def test_a_status_allows_what_it_allows(status: str, what: str) -> None:
    done = ask(WAYS[status], what)
    wanted = ALLOWED[status].get(what)
    if wanted is None:
        assert done in (ErrorCode.CONFLICT, ErrorCode.NOT_FOUND)
    else:
        assert isinstance(done, TenantState)
        assert done.nats_credentials["nat_1"].status == wanted


@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("status", ALLOWED)
def test_only_administrators_ask_and_only_the_provisioner_says_what_is_done(
    status: str, what: str
) -> None:
    stranger = Person("nobody", Role.TENANT_ADMIN)
    for who in (ANA, stranger, Person("ana", Role.TENANT_ADMIN)):
        assert ask(WAYS[status], what, who) is ErrorCode.FORBIDDEN
    if what in BY_THE_PROVISIONER:
        assert isinstance(ask(WAYS[status], what, TOM), ErrorCode)


def test_a_successor_has_the_name_and_the_sources_and_the_old_one_its_time() -> None:
    made = ask(PEOPLE, "make", TOM, sources=("b", "a", "b"), life_s=7_200)
    assert isinstance(made, TenantState)
    signed = ask(made, "sign")
    assert isinstance(signed, TenantState)
    later_ms = AT_MS + HOUR_MS
    rotated = ask(signed, "rotate", TOM, later_ms)
    assert isinstance(rotated, TenantState)
    old, new = rotated.nats_credentials["nat_1"], rotated.nats_credentials["nat_2"]
    assert (new.name, new.sources, new.status) == (old.name, ("a", "b"), "pending")
    assert (old.replaced_by, new.replaces) == ("nat_2", "nat_1")
    assert (old.until_ms, new.expires_ms) == (later_ms + 60_000, later_ms + 2 * HOUR_MS)
    assert ask(rotated, "retire", SYSTEM, later_ms + 59_999) is ErrorCode.CONFLICT
    retired = ask(rotated, "retire", SYSTEM, later_ms + 60_000)
    assert isinstance(retired, TenantState)
    assert retired.nats_credentials["nat_1"].status == "revoking"
    assert ask(rotated, "rotate", TOM, later_ms) is ErrorCode.CONFLICT


def test_one_that_is_over_is_not_replaced() -> None:
    made = ask(PEOPLE, "make", TOM, life_s=1)
    assert isinstance(made, TenantState)
    assert ask(made, "rotate", TOM, AT_MS + 1_000) is ErrorCode.CONFLICT


def test_a_key_is_never_used_again() -> None:
    revoked = WAYS["revoked"]
    command = TOM.asks(ManageNatsCredential, credential="nat_9", action=ASKED["make"])
    decided = decide(revoked, command, AT_MS)
    assert isinstance(decided, Rejection)
    assert decided.code is ErrorCode.CONFLICT


def test_there_are_so_many_in_use_and_so_many_in_all() -> None:
    living = _credential("active")
    crowded = replace(
        PEOPLE,
        nats_credentials={f"nat_x{n}": living for n in range(NATS_CREDENTIALS_LIVING_MAX)},
    )
    assert ask(crowded, "make", TOM) is ErrorCode.TOO_MANY
    assert isinstance(ask(crowded, "revoke"), ErrorCode)
    revoked = {f"nat_x{n}": _credential("revoked") for n in range(NATS_CREDENTIALS_MAX)}
    assert ask(replace(PEOPLE, nats_credentials=revoked), "make", TOM) is ErrorCode.TOO_MANY
    # Those whose time is over anyway need not be remembered by any server.
    over = {name: _credential("revoked", expires_ms=AT_MS - 1) for name in revoked}
    done = ask(replace(PEOPLE, nats_credentials=over), "make", TOM)
    assert isinstance(done, TenantState)
    assert list(done.nats_credentials) == ["nat_1"]


def _credential(status: str, **more: Any) -> NatsCredential:
    facts = {"name": "x", "public_key": key(0), "created_ms": AT_MS, "created_by": "tom"}
    return NatsCredential.model_validate({**facts, "status": status, **more})


def test_a_state_survives_its_bytes() -> None:
    for state in WAYS.values():
        assert state_from_bytes(state_to_bytes(state)) == state


def test_a_token_is_in_no_repr_and_gone_with_the_revocation() -> None:
    assert "a.b.c" not in repr(WAYS["active"])
    assert WAYS["active"].nats_credentials["nat_1"].token == "a.b.c"
    assert WAYS["revoking"].nats_credentials["nat_1"].token is None


@pytest.mark.parametrize(
    "bad",
    [
        {"public_key": "S" + key(1)[1:]},
        {"public_key": key(1).lower()},
        {"sources": ["a.b"]},
        {"sources": ["*"]},
        {"sources": [">"]},
        {"sources": [""]},
        {"sources": [f"s{n}" for n in range(17)]},
        {"life_s": 0},
        {"name": ""},
        {"seed": "SU" + "A" * 56},
    ],
    ids=str,
)
def test_what_can_not_be_asked_is_not_understood(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TOM.asks(ManageNatsCredential, credential="nat_1", action={**ASKED["make"], **bad})


def test_a_name_shows_what_it_is() -> None:
    assert ask(PEOPLE, "make", TOM, name="safe\u202eelif") is ErrorCode.INVALID


def test_sources_are_subjects_of_the_tenants_own_account() -> None:
    assert publish_subjects(()) == ("ingest.>",)
    assert publish_subjects(("b", "a")) == ("ingest.a.>", "ingest.b.>")


def test_an_event_says_what_was_made() -> None:
    command = TOM.asks(ManageNatsCredential, credential="nat_1", action=ASKED["make"])
    made = decide(PEOPLE, command, AT_MS)
    assert isinstance(made, NatsCredentialMade)
    assert key(1).encode() in content_of(made, "mark", None)
