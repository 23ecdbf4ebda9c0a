"""QRadar offenses of our own making, in the shape of `GET /siem/offenses` (IBM, QRadar API 26.0)."""

from typing import Any


def offense(number: int, **changes: Any) -> dict[str, Any]:
    """An offense; severity 8 unless told otherwise."""
    return {
        "id": number,
        "description": "Excessive firewall denies\n",
        "severity": 8,
        "magnitude": 5,
        "credibility": 3,
        "relevance": 4,
        "status": "OPEN",
        "start_time": 1_795_000_000_000,
        "last_updated_time": 1_795_000_000_500,
        "offense_type": 0,
        "offense_source": "192.0.2.1",
        "event_count": 3,
        "categories": ["Firewall Deny"],
        "source_network": "Net-10.network",
        "destination_networks": ["other"],
        "log_sources": [{"id": 1, "name": "fw-1", "type_id": 18, "type_name": "EventCRE"}],
        "rules": [{"id": 166, "type": "CRE_RULE"}],
        "closing_user": None,
        **changes,
    }
