"""Contents: what the records commit to, sealed. One document holds what one commit put in one room.

A document's key names its first seq and the first eight bytes of that record's hash; its tag, made
with the room's key, binds key and items. A commit that was cut off before its records leaves a
document that no record claims: the tag tells it from one that somebody put there.
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from store.driver import Document
from store.errors import ContentMismatch, SealBroken
from store.keys import RoomKey
from store.record import Record, place, seq_of
from store.sealing import Cipher, open_content

BLOCK_ITEMS_MAX: Final = 256
"""Items of one document, so that a page is found by looking at most this far back."""
BLOCK_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of one document's items; MongoDB's own limit is 16 MiB."""
BLOCK_KEY: Final = re.compile(r"[^/]+/[0-9a-f]{14}/[0-9a-f]{16}")
KEY_EPOCH_LIMIT: Final = 2**24
"""Six hex digits in the key of a room key's document."""


@dataclass(frozen=True, slots=True)
class Block:
    """A content document, read: `first` is the seq of its first item."""

    name: str
    first: int
    key_epoch: int
    tag: bytes
    items: tuple[bytes, ...]

    @property
    def seqs(self) -> range:
        """The seqs whose contents it holds."""
        return range(self.first, self.first + len(self.items))


class Opened(NamedTuple):
    """A content and the block that held it."""

    content: bytes
    block: Block


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
            documents.append(_document(room_records[start], sealed[start:position], key))
            start, size = position, 0
        size += len(item)
    documents.append(_document(room_records[start], sealed[start:], key))
    return documents


def _document(first: Record, items: list[bytes], key: RoomKey) -> Document:
    name = block_id(first)
    tag = key.cipher.seal(b"", _tagged(name, items))
    return {"_id": name, "key": key.epoch, "tag": tag, "items": items}


def _tagged(name: str, items: Iterable[bytes]) -> bytes:
    pieces = tuple(items)
    lengths = struct.pack(f">{len(pieces)}I", *map(len, pieces))
    return b"block|" + name.encode() + b"|" + hashlib.sha256(lengths + b"".join(pieces)).digest()


def block_of(document: Document) -> Block | None:
    """The block in a document; None if it has not the form of one."""
    name, epoch = document.get("_id"), document.get("key")
    tag, items = document.get("tag"), document.get("items")
    if document.keys() != {"_id", "key", "tag", "items"} or not isinstance(name, str):
        return None
    if BLOCK_KEY.fullmatch(name) is None or not isinstance(epoch, int) or isinstance(epoch, bool):
        return None
    if not 0 < epoch < KEY_EPOCH_LIMIT or not isinstance(tag, bytes):
        return None
    if not isinstance(items, list) or not all(isinstance(item, bytes) for item in items):
        return None
    return Block(name, seq_of(name), epoch, tag, tuple(items))


def is_genuine(block: Block, cipher: Cipher) -> bool:
    """Whether a block was made, as it stands, by somebody with the room's key."""
    try:
        cipher.open(block.tag, _tagged(block.name, block.items))
    except SealBroken:
        return False
    return True


class BlockIndex:
    """Finds the content of a record in blocks of its room."""

    def __init__(self, found: Iterable[Block], ciphers: Mapping[int, Cipher]) -> None:
        self._ciphers = ciphers
        self._by_seq: dict[int, list[Block]] = {}
        for block in found:
            for seq in block.seqs:
                self._by_seq.setdefault(seq, []).append(block)

    def open(self, record: Record) -> Opened | None:
        """The content of a record; None if no block holds it.

        Raises:
            SealBroken, ContentMismatch: one is there for it, and it is not the right one.
        """
        broken: SealBroken | ContentMismatch | None = None
        for block in self._by_seq.get(record.seq, ()):
            item = block.items[record.seq - block.first]
            if not item:
                continue
            cipher = self._ciphers.get(block.key_epoch)
            if cipher is None:
                broken = SealBroken(f"the room's key of epoch {block.key_epoch} can't be opened")
                continue
            try:
                return Opened(open_content(cipher, record, item), block)
            except (SealBroken, ContentMismatch) as error:
                broken = error
        if broken is not None:
            raise broken
        return None


def content_range(room: str, first: int, last: int) -> dict[str, Any]:
    """A filter for the documents that start at seq `first` to `last`."""
    return {"_id": {"$gte": place(room, first), "$lt": place(room, last + 1)}}
