"""Contents: what the records commit to, sealed. One document holds what one commit put in one room.

A document's key names its first seq and the first eight bytes of that record's hash; its tag, made
with the room's key, binds key and items. A commit that was cut off before its records leaves a
document that no record claims: the tag tells it from one that somebody put there.
"""

import hashlib
import struct
from typing import Any, Final

from store.driver import Document
from store.errors import ContentMismatch, SealBroken
from store.keys import RoomKey
from store.record import Record, place, seq_of
from store.sealing import Cipher, open_content

BLOCK_ITEMS_MAX: Final = 256
"""Items of one document, so that a page is found by looking at most this far back."""
BLOCK_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of one document's items; MongoDB's own limit is 16 MiB."""


def block_id(first: Record) -> str:
    """The key of the document that starts with a record's content."""
    return f"{place(first.room, first.seq)}/{first.hash[:8].hex()}"


def blocks(room_records: list[Record], sealed: list[bytes], key: RoomKey) -> list[Document]:
    """The documents for consecutive records of one room."""
    documents: list[Document] = []
    start, size = 0, 0
    for position, item in enumerate(sealed):
        if position > start and (
            position - start >= BLOCK_ITEMS_MAX or size + len(item) > BLOCK_BYTES_MAX
        ):
            documents.append(_block(room_records[start], sealed[start:position], key))
            start, size = position, 0
        size += len(item)
    documents.append(_block(room_records[start], sealed[start:], key))
    return documents


def _block(first: Record, items: list[bytes], key: RoomKey) -> Document:
    name = block_id(first)
    tag = key.cipher.seal(b"", _tagged(name, items))
    return {"_id": name, "key": key.epoch, "tag": tag, "items": items}


def _tagged(name: str, items: list[bytes]) -> bytes:
    lengths = struct.pack(f">{len(items)}I", *map(len, items))
    return b"block|" + name.encode() + b"|" + hashlib.sha256(lengths + b"".join(items)).digest()


def is_genuine(document: Document, cipher: Cipher) -> bool:
    """Whether a document was made, as it stands, by somebody with the room's key."""
    try:
        cipher.open(document["tag"], _tagged(document["_id"], document["items"]))
    except SealBroken:
        return False
    return True


class BlockIndex:
    """Finds the content of a record in fetched documents."""

    def __init__(self, documents: list[Document], ciphers: dict[int, Cipher]) -> None:
        self._ciphers = ciphers
        self._by_seq: dict[int, list[tuple[int, bytes]]] = {}
        for document in documents:
            self.add(document)

    def add(self, document: Document) -> None:
        """Take another document."""
        first = seq_of(document["_id"])
        for offset, item in enumerate(document["items"]):
            self._by_seq.setdefault(first + offset, []).append((document["key"], item))

    def covers(self, seq: int) -> bool:
        """Whether any fetched document claims this seq."""
        return seq in self._by_seq

    def open(self, record: Record) -> bytes | None:
        """The content of a record; None if no document holds it.

        Raises:
            SealBroken, ContentMismatch: one is there for it, and it is not the right one.
        """
        broken: SealBroken | ContentMismatch | None = None
        for key_epoch, item in self._by_seq.get(record.seq, ()):
            if not item:
                continue
            cipher = self._ciphers.get(key_epoch)
            if cipher is None:
                broken = SealBroken(f"no key of epoch {key_epoch}")
                continue
            try:
                return open_content(cipher, record, item)
            except (SealBroken, ContentMismatch) as error:
                broken = error
        if broken is not None:
            raise broken
        return None


def key_epochs(documents: list[Document]) -> set[int]:
    """The key epochs needed to open the documents."""
    return {document["key"] for document in documents}


def content_range(room: str, first: int, last: int) -> dict[str, Any]:
    """A filter for the documents that start at seq `first` to `last`."""
    return {"_id": {"$gte": place(room, first), "$lt": place(room, last + 1)}}
