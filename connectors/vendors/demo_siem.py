"""The SIEM of the demonstration: reports one brute-force offense and how it grows, so that a room
moves. It speaks QRadar's shape, by the same subject as a real one."""

import asyncio
import time
from typing import Any, Final

import orjson

from actors.client import ActorClient

SOURCE: Final = "demo-siem"
OFFENSE_ID: Final = 4711
REPORTS: Final = 40
"""Reports before it falls silent."""
REPORT_EVERY_S: Final = 5.0


class DemoSiem:
    """Publishes for one tenant."""

    def __init__(self, client: ActorClient, tenant: str) -> None:
        self._client = client
        self._tenant = tenant

    async def run(self) -> None:
        """Report the offense, then each of its updates."""
        started_ms = time.time_ns() // 1_000_000
        for number in range(REPORTS):
            report = offense(number, started_ms)
            await self._client.publish_event(
                self._tenant,
                SOURCE,
                "offense",
                orjson.dumps(report),
                f"{SOURCE}.{OFFENSE_ID}.{report['last_updated_time']}",
            )
            await asyncio.sleep(REPORT_EVERY_S)


def offense(number: int, started_ms: int) -> dict[str, Any]:
    """The offense as it stands at its report `number`."""
    return {
        "id": OFFENSE_ID,
        "description": "Multiple login failures for one account, then a success\n",
        "severity": 8,
        "magnitude": min(10, 6 + number // 5),
        "credibility": 4,
        "relevance": 7,
        "status": "OPEN",
        "start_time": started_ms - 600_000,
        "last_updated_time": started_ms + int(number * REPORT_EVERY_S * 1000),
        "offense_type": 3,
        "offense_source": "j.doe",
        "event_count": 120 + 17 * number,
        "categories": ["User Login Failure", "Authentication Successful"],
        "source_network": "remote",
        "destination_networks": ["office-lan"],
        "log_sources": [
            {"id": 7, "name": "dc01 Windows Security", "type_id": 12, "type_name": "AD"}
        ],
        "rules": [{"id": 100_056, "type": "CRE_RULE"}],
        "domain_id": 0,
    }
