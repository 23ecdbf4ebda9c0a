"""From a finding to an incident and its room, pure: the same finding makes the same ids for ever."""

import hashlib
from typing import Final

import orjson

from actors.protocol.commands import Command, CreateRoom, IncidentLink, RecordFinding
from actors.protocol.findings import Finding
from actors.protocol.ids import derived_id
from actors.protocol.limits import NAME_CHARS_MAX
from actors.protocol.roles import Role

INGEST_ACTOR: Final = "ingest"
OPEN_TO: Final = frozenset({Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER})
"""Who may enter an incident's room without being listed."""


def incident_id(finding: Finding) -> str:
    """The incident that a finding is part of, by its source and its id there."""
    return derived_id("inc", finding.source, finding.source_id)


def incident_room(finding: Finding) -> str:
    """The room of that incident."""
    return derived_id("room", "incident", finding.source, finding.source_id)


def event_key(finding: Finding) -> str:
    """What makes two reports the same report: source, id there, and every byte of meaning."""
    said = orjson.dumps(finding.raw, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(
        b"\0".join((finding.source.encode(), finding.source_id.encode(), said))
    ).hexdigest()


def incident_commands(finding: Finding) -> list[Command]:
    """What opens the incident's room and puts the finding into it; repeating it changes nothing."""
    incident = incident_id(finding)
    create = CreateRoom(
        client_id=incident,
        actor=INGEST_ACTOR,
        role=Role.EXTERNAL,
        name=finding.title[:NAME_CHARS_MAX],
        kind="incident",
        incident=IncidentLink(
            incident=incident,
            alert=derived_id("alr", finding.source, finding.source_id),
            source=finding.source,
            source_id=finding.source_id,
            severity=finding.severity.name.lower(),
        ),
        open_to=OPEN_TO,
    )
    record = RecordFinding(
        client_id=event_key(finding), actor=INGEST_ACTOR, role=Role.EXTERNAL, finding=finding
    )
    return [create, record]
