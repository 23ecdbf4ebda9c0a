"""The frozen vectors: made once with hashlib, rfc8785 and AES-GCM alone. They never change: what was
written under version 1 of the format must be read and verified for ever."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.driver import Document
from store.record import Record

VECTORS = Path(__file__).parent / "vectors"


@dataclass(frozen=True)
class FrozenEntry:
    """A record with what it was made of and what was written."""

    content: bytes
    salt: bytes
    header: dict[str, str | int | None]
    canonical: bytes
    hash: bytes
    sealed: bytes

    @property
    def record(self) -> Record:
        """The record of the header, with the frozen hash."""
        return record_of_header(self.header, self.hash)


@dataclass(frozen=True)
class FrozenChain:
    """A chain of version 1, its keys, and their wrappings."""

    root_key: bytes
    tenant_key: bytes
    room_key: bytes
    wrapped_tenant_key: bytes
    room_key_id: str
    wrapped_room_key: bytes
    entries: tuple[FrozenEntry, ...]
    block: Document

    @property
    def tenant(self) -> str:
        """The tenant of the chain."""
        return self.entries[0].record.tenant


def frozen_chain() -> FrozenChain:
    """The vector of version 1."""
    stored: dict[str, Any] = json.loads((VECTORS / "chain_v1.json").read_text())
    entries = tuple(
        FrozenEntry(
            content=entry["content"].encode(),
            salt=bytes.fromhex(entry["salt"]),
            header=entry["header"],
            canonical=entry["canonical"].encode(),
            hash=bytes.fromhex(entry["hash"]),
            sealed=bytes.fromhex(entry["sealed"]),
        )
        for entry in stored["entries"]
    )
    block = {**stored["block"], "tag": bytes.fromhex(stored["block"]["tag"])}
    return FrozenChain(
        root_key=bytes.fromhex(stored["root_key"]),
        tenant_key=bytes.fromhex(stored["tenant_key"]),
        room_key=bytes.fromhex(stored["room_key"]),
        wrapped_tenant_key=bytes.fromhex(stored["wrapped_tenant_key"]),
        room_key_id=stored["room_key_id"],
        wrapped_room_key=bytes.fromhex(stored["wrapped_room_key"]),
        entries=entries,
        block={**block, "items": [entry.sealed for entry in entries]},
    )


def record_of_header(header: dict[str, Any], stored_hash: bytes) -> Record:
    """The record that a published header describes."""
    fields = {name: value for name, value in header.items() if name != "v"}
    for name in ("prev", "commit"):
        fields[name] = bytes.fromhex(fields[name])
    return Record(**fields, hash=stored_hash)
