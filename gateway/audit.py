"""The audit log: the tenant's own chain as entries, newest first, filtered, a bounded piece at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from actors.protocol.audit import DONE, EVIDENCE_READ, AuditFacts, audit_facts, kinds_of
from actors.protocol.envelope import entry_id
from actors.protocol.events import MESSAGE
from actors.protocol.ids import TENANT_ROOM
from gateway.frames import rfc3339
from gateway.inaccessible import Veil
from store.entries import Selection, StoredEntry
from store.tenant_reader import TenantReader

CHUNK_RECORDS: Final = 200
"""Records whose contents are opened at a time when a filter looks into them."""
OPENED_MAX: Final = 2_000
"""Records whose contents one page opens; a page that looks at more ends early, with a cursor."""
WINDOW_RECORDS: Final = 5_000
"""Records that MongoDB looks through at a time for those of one actor, which no index orders."""
LOOKED_AT_MAX: Final = 20_000
"""Records that one page looks at in all."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What entries must be; None: anything. Times are Unix milliseconds, `since` included, `until` not.

    `text` is looked for in all that is shown of an entry, whatever its case.
    """

    actor: str | None = None
    operation: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    outcome: str | None = None
    address: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    text: str | None = None

    @property
    def kinds(self) -> frozenset[str] | None:
        """The kinds among which all that is wanted is; None if it may be any."""
        outcome = None if self.outcome == DONE else self.outcome
        if self.operation is None and self.object_type is None and outcome is None:
            return None
        # A tenant's own chain has no messages, and no index would find that out.
        return frozenset(kinds_of(self.operation, self.object_type, outcome)) - {MESSAGE}

    @property
    def opens(self) -> bool:
        """Whether many records have to be opened to find the few that are wanted."""
        inside = (self.object_id, self.address, self.text)
        return any(asked is not None for asked in inside) or EVIDENCE_READ in (self.kinds or ())

    def wants(self, entry: "AuditEntry") -> bool:
        """Whether an entry is wanted, as far as it does not follow from how it was read."""
        facts = entry.facts
        pairs = (
            (self.operation, facts.operation),
            (self.object_type, facts.object_type),
            (self.object_id, facts.object_id),
            (self.outcome, facts.outcome),
            (self.address, facts.address),
        )
        if any(asked is not None and asked != found for asked, found in pairs):
            return False
        return self.text is None or self.text.casefold() in entry.searchable()


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A record of the tenant's chain as an auditor sees it."""

    seq: int
    kind: str
    actor: str
    at_ms: int
    prev: str
    hash: str
    facts: AuditFacts

    def view(self) -> dict[str, Any]:
        """The entry as it is shown."""
        facts = self.facts
        return {
            "seq": self.seq,
            "id": entry_id(TENANT_ROOM, self.seq),
            "at": rfc3339(self.at_ms),
            "actor": self.actor,
            "operation": facts.operation,
            "object": {"type": facts.object_type, "id": facts.object_id},
            "outcome": facts.outcome,
            "method": facts.method,
            "address": facts.address,
            "before": facts.before,
            "after": facts.after,
            "kind": self.kind,
            "prev": self.prev,
            "hash": self.hash,
        }

    def searchable(self) -> str:
        """All that is shown, as one text without case."""
        return "\n".join(_texts(self.view())).casefold()


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value if isinstance(value, str) else orjson.dumps(value).decode()]


def entry_of(stored: StoredEntry) -> AuditEntry:
    """A record as an entry."""
    return AuditEntry(
        seq=stored.seq,
        kind=stored.kind,
        actor=stored.actor,
        at_ms=stored.at_ms,
        prev=stored.prev.hex(),
        hash=stored.hash.hex(),
        facts=audit_facts(stored.kind, stored.content),
    )


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first. `following` is the `before` that goes on from here (None: that was all), and
    `looked_at` is how many records were looked at."""

    entries: list[AuditEntry]
    following: int | None
    looked_at: int


@dataclass(slots=True)
class _Search:
    """A search as it goes on."""

    wanted: AuditFilter
    selection: Selection
    """What is still to be looked at."""
    limit: int
    found: list[AuditEntry]
    opened: int = 0
    looked_at: int = 0

    @property
    def is_over(self) -> bool:
        return (
            len(self.found) >= self.limit
            or self.selection.before <= self.selection.first
            or self.opened >= OPENED_MAX
            or self.looked_at >= LOOKED_AT_MAX
        )

    def part(self) -> tuple[Selection, int]:
        """What to read next, and how many of it at most."""
        part = self.selection
        if part.actor is not None:
            part = replace(part, first=max(part.first, part.before - WINDOW_RECORDS))
        return part, CHUNK_RECORDS if self.wanted.opens else self.limit - len(self.found)

    def take(self, part: Selection, asked: int, read: list[AuditEntry]) -> None:
        """Note what was read of a part."""
        reached = part.first if len(read) < asked else read[-1].seq
        self.opened += len(read)
        self.looked_at += part.before - reached if part.actor is not None else len(read)
        for entry in read:
            if self.wanted.wants(entry):
                self.found.append(entry)
                if len(self.found) == self.limit:
                    reached = entry.seq
                    break
        self.selection = replace(self.selection, before=reached)


class AuditLog:
    """One tenant's audit log, for somebody of a clearance."""

    def __init__(self, reader: TenantReader, clearance: int) -> None:
        self.tenant = reader.tenant
        self._reader = reader
        self._veil = Veil(reader, clearance)

    async def head(self) -> int:
        """The last seq of the tenant's chain."""
        return await self._reader.head(TENANT_ROOM)

    async def page(self, wanted: AuditFilter, *, before: int | None, limit: int) -> AuditPage:
        """The newest entries of a kind, at most `limit`; fewer also where looking on would take long.

        `before` is the `following` of the page before: what was added since changes nothing there.
        """
        head = await self.head()
        first, beyond = 1, head + 1 if before is None else min(before, head + 1)
        if wanted.since_ms is not None:
            first = await self._reader.seq_since(TENANT_ROOM, wanted.since_ms)
        if wanted.until_ms is not None:
            beyond = min(beyond, await self._reader.seq_since(TENANT_ROOM, wanted.until_ms))
        selection = Selection(first, beyond, wanted.kinds, wanted.actor)
        search = _Search(wanted, selection, limit, [])
        while not search.is_over:
            part, asked = search.part()
            read = await self._reader.newest(TENANT_ROOM, part, asked)
            search.take(part, asked, [await self._veiled(entry_of(stored)) for stored in read])
        left = search.selection
        following = left.before if left.before > left.first else None
        return AuditPage(search.found, following, search.looked_at)

    async def _veiled(self, entry: AuditEntry) -> AuditEntry:
        # Before it is searched: what is found must not tell either what is not shown.
        return replace(entry, facts=await self._veil.over(entry.facts))

    async def pages(self, wanted: AuditFilter, head: int) -> AsyncIterator[list[AuditEntry]]:
        """All entries up to a head, page by page."""
        before: int | None = head + 1
        while before is not None:
            page = await self.page(wanted, before=before, limit=CHUNK_RECORDS)
            yield page.entries
            before = page.following
