"""Stored entries in the form that readers see."""

from actors.protocol.codec import body_of
from actors.protocol.envelope import Entry
from store.entries import StoredEntry
from store.tenant_reader import TenantReader


def entry_of(stored: StoredEntry) -> Entry:
    """An entry of the store as an event would have brought it."""
    return Entry(
        room=stored.room,
        seq=stored.seq,
        kind=stored.kind,
        actor=stored.actor,
        at_ms=stored.at_ms,
        client_id=stored.client_id,
        target=stored.target,
        prev=stored.prev.hex(),
        hash=stored.hash.hex(),
        body=body_of(stored.kind, stored.content),
    )


class RoomHistory:
    """One room's past."""

    def __init__(self, reader: TenantReader, room: str) -> None:
        self.room = room
        self._reader = reader

    async def head(self) -> int:
        """The last seq of the room; 0 where nothing is."""
        return await self._reader.head(self.room)

    async def page(self, after: int, limit: int, kind: str | None = None) -> list[Entry]:
        """Entries after a seq, ascending."""
        stored = await self._reader.entries(self.room, after=after, limit=limit, kind=kind)
        return [entry_of(entry) for entry in stored]
