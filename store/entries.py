"""Records with their contents, as they are read; and which of them are wanted."""

from dataclasses import dataclass

from store.record import Record


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A record with its opened content (None: erased)."""

    room: str
    seq: int
    kind: str
    actor: str
    at_ms: int
    client_id: str
    target: int | None
    prev: bytes
    hash: bytes
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Records from seq `first` to below `before`; of these kinds, by this actor (None: any)."""

    first: int
    before: int
    kinds: frozenset[str] | None = None
    actor: str | None = None


def stored(record: Record, content: bytes | None) -> StoredEntry:
    return StoredEntry(
        room=record.room,
        seq=record.seq,
        kind=record.kind,
        actor=record.actor,
        at_ms=record.at,
        client_id=record.client_id,
        target=record.target,
        prev=record.prev,
        hash=record.hash,
        content=content,
    )
