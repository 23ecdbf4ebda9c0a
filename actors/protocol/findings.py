"""What a detection system reported, in the terms of OCSF Detection Finding (class 2004)."""

from enum import IntEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class Severity(IntEnum):
    """OCSF `severity_id`."""

    UNKNOWN = 0
    INFORMATIONAL = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5
    FATAL = 6
    OTHER = 99


class Observable(BaseModel):
    """A neutral fact: an address, a name, a network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    value: str


class Finding(BaseModel):
    """One finding; times are Unix milliseconds, `raw` is the payload exactly as it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    source_id: str
    title: str
    severity: Severity
    status: str
    time_ms: int
    first_seen_ms: int | None = None
    categories: tuple[str, ...] = ()
    observables: tuple[Observable, ...] = ()
    log_sources: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    event_count: int | None = None
    raw: dict[str, Any]
