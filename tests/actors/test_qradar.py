"""A QRadar offense becomes a finding: our own payloads, and the vendor's published samples."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.ingest.incidents import event_key, incident_commands, incident_id, incident_room
from actors.ingest.qradar import finding_of, severity_of
from actors.protocol.commands import CreateRoom, RecordFinding
from actors.protocol.findings import Observable, Severity
from actors.protocol.ids import is_room_id, is_token
from actors.protocol.limits import NAME_CHARS_MAX
from tests.actors.offenses import offense

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "qradar" / "offenses_list.json"


def samples() -> list[dict[str, Any]]:
    """The published offenses; none where the samples are not at hand."""
    found: list[dict[str, Any]] = json.loads(SAMPLES.read_text()) if SAMPLES.is_file() else []
    return found


def test_every_published_sample_is_understood_or_none_is_at_hand() -> None:
    for raw in samples():
        finding = finding_of("qradar", raw)
        assert finding.source_id == str(raw["id"])
        assert finding.title
        assert "\n" not in finding.title
        assert finding.status == raw["status"]
        assert finding.time_ms == raw["last_updated_time"]
        assert set(finding.log_sources) == {item["name"] for item in raw["log_sources"]}
        assert finding.raw == raw
        assert all(is_token(command.client_id) for command in incident_commands(finding))


def test_an_offense_becomes_a_finding_with_its_facts() -> None:
    finding = finding_of("siem-1", offense(7, severity=8, description="  Many \n logins\n "))
    assert finding.model_dump(exclude={"raw"}) == {
        "source": "siem-1",
        "source_id": "7",
        "title": "Many logins",
        "severity": Severity.HIGH,
        "status": "OPEN",
        "time_ms": 1_795_000_000_500,
        "first_seen_ms": 1_795_000_000_000,
        "categories": ("Firewall Deny",),
        "observables": (
            {"type": "IP Address", "value": "192.0.2.1"},
            {"type": "Network", "value": "Net-10.network"},
            {"type": "Network", "value": "other"},
        ),
        "log_sources": ("fw-1",),
        "rules": ("CRE_RULE 166",),
        "event_count": 3,
    }


@pytest.mark.parametrize(
    ("value", "severity"),
    [
        (0, Severity.INFORMATIONAL),
        (1, Severity.LOW),
        (3, Severity.LOW),
        (4, Severity.MEDIUM),
        (6, Severity.MEDIUM),
        (7, Severity.HIGH),
        (8, Severity.HIGH),
        (9, Severity.CRITICAL),
        (10, Severity.CRITICAL),
    ],
)
def test_severities_fall_into_bands(value: int, severity: Severity) -> None:
    assert severity_of(value) is severity


@pytest.mark.parametrize(
    ("kind", "observable"),
    [
        (0, Observable(type="IP Address", value="x")),
        (1, Observable(type="IP Address", value="x")),
        (3, Observable(type="User Name", value="x")),
        (2, Observable(type="Other", value="x")),
    ],
)
def test_what_an_offense_is_about_depends_on_its_type(kind: int, observable: Observable) -> None:
    raw = offense(1, offense_type=kind, offense_source="x")
    assert finding_of("s", raw).observables[0] == observable


def test_the_least_that_an_offense_can_be_is_enough() -> None:
    least = {
        "id": 3,
        "description": " \n",
        "severity": 0,
        "status": "OPEN",
        "start_time": 1,
        "last_updated_time": 2,
    }
    finding = finding_of("s", least)
    assert finding.title == "Offense 3"
    assert finding.observables == ()


@pytest.mark.parametrize(
    "change",
    [
        {"id": "7"},
        {"id": None},
        {"severity": 11},
        {"severity": "8"},
        {"description": None},
        {"start_time": 1.5},
        {"log_sources": [{}]},
        {"categories": "one"},
    ],
    ids=json.dumps,
)
def test_what_is_no_offense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        finding_of("s", offense(7, **change))


@given(st.text(min_size=1, max_size=20), st.integers(0, 2**53))
def test_the_same_offense_makes_the_same_ids_and_another_makes_others(
    source: str, number: int
) -> None:
    one = finding_of(source, offense(number))
    later = finding_of(source, offense(number, status="CLOSED"))
    other = finding_of(source, offense(number + 1))
    assert incident_id(one) == incident_id(later) != incident_id(other)
    assert incident_room(one) == incident_room(later) != incident_room(other)
    assert event_key(one) == event_key(finding_of(source, offense(number))) != event_key(later)
    assert is_room_id(incident_room(one))


def test_the_commands_of_an_incident_open_its_room_and_record_the_finding() -> None:
    finding = finding_of("qradar", offense(7, severity=8, description="x" * 500))
    create, record = incident_commands(finding)
    assert isinstance(create, CreateRoom)
    assert isinstance(record, RecordFinding)
    assert create.kind == "incident"
    assert create.name == "x" * NAME_CHARS_MAX
    assert create.incident is not None
    assert (create.incident.source, create.incident.source_id) == ("qradar", "7")
    assert create.incident.severity == "high"
    assert record.finding == finding


def test_the_order_of_the_fields_does_not_make_another_report() -> None:
    raw = offense(7)
    turned = dict(reversed(list(raw.items())))
    assert orjson.dumps(raw) != orjson.dumps(turned)
    assert event_key(finding_of("s", raw)) == event_key(finding_of("s", turned))
