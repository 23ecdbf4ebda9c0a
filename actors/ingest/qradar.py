"""A QRadar offense as a finding.

Fields: IBM, QRadar API 26.0, GET /siem/offenses. Times are Unix milliseconds; severity and magnitude
are 0 to 10.
"""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from actors.protocol.findings import Finding, Observable, Severity

SEVERITY_BANDS: Final = (
    (9, Severity.CRITICAL),
    (7, Severity.HIGH),
    (4, Severity.MEDIUM),
    (1, Severity.LOW),
    (0, Severity.INFORMATIONAL),
)
"""Lowest QRadar value of each OCSF severity. Our choice; the vendor gives no mapping."""

ADDRESS_OFFENSE_TYPES: Final = {0: "Source IP", 1: "Destination IP"}
USERNAME_OFFENSE_TYPE: Final = 3


class _LogSource(BaseModel):
    name: str


class _Rule(BaseModel):
    id: int
    type: str


class Offense(BaseModel):
    """The fields we read; others are kept in the raw payload."""

    model_config = ConfigDict(strict=True)

    id: int
    description: str
    severity: int = Field(ge=0, le=10)
    magnitude: int = Field(default=0, ge=0, le=10)
    status: str
    start_time: int
    last_updated_time: int
    offense_type: int | None = None
    offense_source: str | None = None
    event_count: int | None = None
    categories: list[str] = Field(default_factory=list)
    destination_networks: list[str] = Field(default_factory=list)
    source_network: str | None = None
    log_sources: list[_LogSource] = Field(default_factory=list)
    rules: list[_Rule] = Field(default_factory=list)


def severity_of(value: int) -> Severity:
    """The OCSF severity of a QRadar severity."""
    return next(severity for lowest, severity in SEVERITY_BANDS if value >= lowest)


def finding_of(source: str, raw: dict[str, Any]) -> Finding:
    """The finding in an offense.

    Args:
        source: the name under which the tenant's QRadar publishes.
        raw: the offense as it came.

    Raises:
        pydantic.ValidationError: it is no offense.
    """
    offense = Offense.model_validate(raw)
    return Finding(
        source=source,
        source_id=str(offense.id),
        title=" ".join(offense.description.split()) or f"Offense {offense.id}",
        severity=severity_of(offense.severity),
        status=offense.status,
        time_ms=offense.last_updated_time,
        first_seen_ms=offense.start_time,
        categories=tuple(offense.categories),
        observables=tuple(_observables(offense)),
        log_sources=tuple(item.name for item in offense.log_sources),
        rules=tuple(f"{rule.type} {rule.id}" for rule in offense.rules),
        event_count=offense.event_count,
        raw=raw,
    )


def _observables(offense: Offense) -> list[Observable]:
    found: list[Observable] = []
    if offense.offense_source and offense.offense_type is not None:
        if offense.offense_type in ADDRESS_OFFENSE_TYPES:
            found.append(Observable(type="IP Address", value=offense.offense_source))
        elif offense.offense_type == USERNAME_OFFENSE_TYPE:
            found.append(Observable(type="User Name", value=offense.offense_source))
        else:
            found.append(Observable(type="Other", value=offense.offense_source))
    networks = [offense.source_network, *offense.destination_networks]
    found.extend(Observable(type="Network", value=name) for name in networks if name)
    return found
