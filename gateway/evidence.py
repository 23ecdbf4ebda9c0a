"""Reading evidence leaves a trace: once for each reader, object and hour, in the tenant's own chain."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

import structlog

from actors.client import ActorClient
from actors.protocol.commands import Origin, RecordEvidenceRead
from actors.protocol.errors import ErrorCode, OutcomeUnknown, Refusal
from actors.protocol.ids import TENANT_ROOM, derived_id
from gateway.tokens import Principal

log = structlog.get_logger(__name__)

HOUR_S: Final = 3_600
RECORD_TIMEOUT_S: Final = 3.0
"""Wait for the record of a reading before it counts as not made."""
READINGS_KEPT_MAX: Final = 20_000
"""Readings of this hour that are known to be recorded; of others the tenant's actor is asked again, and
makes no second record."""
EXPORTS_AT_ONCE: Final = 2
"""Exports under way at one gateway; each reads a whole chain."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read. `details` is how: the format and the filters of an export."""

    operation: Literal["read", "verify", "export"]
    object_type: Literal["room", "audit_log", "room_list", "user_list"]
    object_id: str
    details: dict[str, str] = field(default_factory=dict)


class EvidenceReads:
    """Records who reads evidence, and how many take it away at once."""

    def __init__(self, actors: ActorClient) -> None:
        self._actors = actors
        self._hour = 0
        self._recorded: set[tuple[str, str, str]] = set()
        self._exports = 0

    async def require(self, principal: Principal, origin: Origin, reading: Reading) -> None:
        """Have a reading recorded; an export each time, everything else once in an hour.

        Raises:
            Refusal: `UNAVAILABLE`: there is no record, so there must be no reading.
        """
        hour = int(time.time()) // HOUR_S
        mark = _mark(principal, reading, hour)
        if hour != self._hour or len(self._recorded) >= READINGS_KEPT_MAX:
            self._hour, self._recorded = hour, set()
        key = (principal.tenant, principal.user, mark)
        if key in self._recorded:
            return
        command = RecordEvidenceRead(
            client_id=mark,
            actor=principal.user,
            role=principal.role,
            origin=origin,
            operation=reading.operation,
            object_type=reading.object_type,
            object_id=reading.object_id,
            details=reading.details,
        )
        try:
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                await self._actors.send(principal.tenant, TENANT_ROOM, command)
        except (Refusal, OutcomeUnknown, TimeoutError) as error:
            log.warning("evidence.not_recorded", tenant=principal.tenant, error=repr(error))
            detail = "that this was read can't be recorded now, so it is not shown; try again"
            raise Refusal(ErrorCode.UNAVAILABLE, detail) from None
        self._recorded.add(key)

    async def note(self, principal: Principal, origin: Origin, reading: Reading) -> None:
        """The same for what is shown all the same: that there is no record is in the log only."""
        try:
            await self.require(principal, origin, reading)
        except Refusal:
            return

    @contextmanager
    def exporting(self) -> Iterator[None]:
        """Hold one of the places for exports.

        Raises:
            Refusal: `TOO_MANY`: all are taken.
        """
        if self._exports >= EXPORTS_AT_ONCE:
            raise Refusal(ErrorCode.TOO_MANY, "others are exporting; try again in a moment")
        self._exports += 1
        try:
            yield
        finally:
            self._exports -= 1


def _mark(principal: Principal, reading: Reading, hour: int) -> str:
    """The id under which a reading is recorded once: by all gateways the same within an hour."""
    if reading.operation == "export":
        return f"evr_{secrets.token_urlsafe(16)}"
    named = (reading.operation, reading.object_type, reading.object_id)
    return derived_id("evr", principal.user, *named, str(hour))
