"""What stands where something visible leads to a room that its reader has no clearance for."""

from dataclasses import replace
from typing import Any, Final

from actors.protocol.audit import AuditFacts
from store.tenant_reader import TenantReader

INACCESSIBLE: Final = "inaccessible"
_ROOM: Final = "room"
_ASKED_FOR: Final = frozenset({"object_id", "q"})
"""Filters of an export in which a room may be named."""


class Veil:
    """Keeps the rooms of one tenant that take more than a clearance out of what is said."""

    def __init__(self, reader: TenantReader, clearance: int) -> None:
        self._reader = reader
        self._clearance = clearance
        self._hidden: dict[str, bool] = {}

    async def over(self, facts: AuditFacts) -> AuditFacts:
        """Facts without the name of a hidden room, be it what was read or what was asked for."""
        if facts.object_type == _ROOM and await self._is_hidden(facts.object_id):
            facts = replace(facts, object_id=INACCESSIBLE)
        details = facts.after.get("details")
        if isinstance(details, dict):
            asked = {n: await self._shown(details[n]) for n in _ASKED_FOR & details.keys()}
            facts = replace(facts, after={**facts.after, "details": {**details, **asked}})
        return facts

    async def _shown(self, value: Any) -> Any:
        is_hidden = isinstance(value, str) and await self._is_hidden(value)
        return INACCESSIBLE if is_hidden else value

    async def _is_hidden(self, room: str) -> bool:
        if room not in self._hidden:
            row = await self._reader.room(room)
            self._hidden[room] = row is not None and row.clearance > self._clearance
        return self._hidden[room]
