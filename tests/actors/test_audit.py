"""What a record of the tenant's chain shows to an auditor: what is listed, and never a secret."""

from typing import Any, Final, get_args

import orjson
import pytest

from actors.protocol.audit import AUDIT_KINDS, EVIDENCE_READ, audit_facts, kinds_of
from actors.protocol.codec import body_of, content_of, fingerprint
from actors.protocol.commands import EndSession, Origin
from actors.protocol.events import STRUCTURED, SessionEnded, TenantEventType
from actors.protocol.roles import Role

CANARY: Final = "canary-that-nobody-may-see"
SECRETS: Final = (
    *(
        "password",
        "password_hash",
        "refresh",
        "presented",
        "token",
        "totp",
        "totp_secret",
        "secret",
    ),
    *("recovery_codes", "bind_password", "client_secret", "request", "command", "private_key"),
)
"""Fields that hold a secret, or may."""


def record(**fields: Any) -> bytes:
    return orjson.dumps(fields)


@pytest.mark.parametrize("kind", [*AUDIT_KINDS, "a_kind_of_tomorrow"])
def test_no_kind_shows_a_secret_wherever_in_it_a_secret_stands(kind: str) -> None:
    planted: dict[str, Any] = dict.fromkeys(SECRETS, CANARY)
    nested = {"before": planted, "after": planted, "details": {"of": {"it": planted}}}
    values: dict[str, Any] = {
        name: planted for known in AUDIT_KINDS.values() for name in known.values
    }
    for content in (
        record(**planted),
        record(**planted, **nested),
        record(**{**values, **planted, "origin": planted, "user": planted, "address": planted}),
        record(**planted, origin={"method": {"a": CANARY}, "address": [CANARY]}),
        record(**planted, after={"details": [planted], "reason": [[CANARY]]}),
    ):
        assert CANARY not in repr(audit_facts(kind, content))


def test_an_auditor_sees_more_than_the_name_of_whatever_happens_to_a_tenant() -> None:
    kinds = {event.kind for event in get_args(TenantEventType)}
    assert kinds - AUDIT_KINDS.keys() == set()


def test_every_field_that_the_models_keep_out_of_a_repr_is_kept_out_here() -> None:
    for kind, model in STRUCTURED.items():
        hidden = {name for name, field in model.model_fields.items() if not field.repr}
        facts = audit_facts(kind, record(**dict.fromkeys(model.model_fields, CANARY)))
        assert not hidden & (facts.before.keys() | facts.after.keys()), kind
        assert hidden.isdisjoint(AUDIT_KINDS[kind].values if kind in AUDIT_KINDS else ())


def test_a_change_shows_what_was_and_what_is() -> None:
    facts = audit_facts(
        "user_changed",
        record(
            user="usr_ana",
            before={"display_name": "Ana", "role": "viewer", "password_hash": CANARY},
            after={"display_name": "Ana", "role": "analyst", "password_hash": CANARY},
        ),
    )
    assert (facts.operation, facts.object_type, facts.object_id) == (
        "user.change",
        "user",
        "usr_ana",
    )
    assert facts.before == {"display_name": "Ana", "role": "viewer"}
    assert facts.after == {"display_name": "Ana", "role": "analyst"}


def test_the_door_and_the_address_are_shown_where_they_were_recorded() -> None:
    origin = {"method": "cli", "address": "10.0.0.9"}
    facts = audit_facts("user_created", record(user="usr_a", username="a", origin=origin))
    assert (facts.method, facts.address) == ("cli", "10.0.0.9")
    facts = audit_facts("user_created", record(user="usr_a", username="a"))
    assert (facts.method, facts.address) == ("", "")
    facts = audit_facts("session_opened", record(session="ses_1", address="10.0.0.7"))
    assert (facts.method, facts.address) == ("rest", "10.0.0.7")


def test_where_a_command_came_from_is_recorded_but_is_no_part_of_what_is_asked() -> None:
    asked = EndSession(client_id="c-1", actor="usr_ana", role=Role.VIEWER, session="ses_1")
    origin = Origin(method="rest", address="2001:db8::7")
    there = asked.model_copy(update={"origin": origin})
    assert fingerprint(there) == fingerprint(asked)
    assert "origin" not in asked.model_dump_json()
    event = SessionEnded(session="ses_1", reason="signed out")
    content = content_of(event, fingerprint(there), there.origin)
    facts = audit_facts(event.kind, content)
    assert (facts.method, facts.address) == ("rest", "2001:db8::7")
    # Who only reads along is not told.
    assert body_of(event.kind, content) == {"session": "ses_1", "reason": "signed out"}


def test_a_refused_command_is_shown_as_refused_without_what_it_said() -> None:
    facts = audit_facts("rejected", record(code="forbidden", detail="no", command={"a": CANARY}))
    assert (facts.operation, facts.outcome) == ("command.refuse", "refused")
    assert facts.after == {"code": "forbidden", "detail": "no"}


def test_what_is_unknown_or_erased_shows_that_it_happened() -> None:
    facts = audit_facts("moon_landed", record(user="usr_neil"))
    assert (facts.operation, facts.object_id, facts.after) == ("moon_landed", "", {})
    facts = audit_facts("user_created", None)
    assert (facts.operation, facts.object_id, facts.after) == ("user.create", "", {})


def test_the_kinds_of_a_filter_are_all_that_can_match_it() -> None:
    assert set(kinds_of("user.create", None, None)) == {"user_created"}
    assert set(kinds_of("evidence.read", None, None)) == {EVIDENCE_READ}
    assert set(kinds_of(None, None, "refused")) >= {"rejected"}
    assert set(kinds_of("moon_landed", None, None)) == {"moon_landed"}
    assert set(kinds_of("user.create", "session", None)) == set()
    for kind, known in AUDIT_KINDS.items():
        said = record(operation="read", object_type="room", object_id="room_1")
        facts = audit_facts(kind, said)
        assert kind in kinds_of(facts.operation, None, None)
        assert kind in kinds_of(None, facts.object_type, None)
        assert kind in kinds_of(None, None, known.outcome)
