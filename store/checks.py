"""The checks of verification, pure: documents in, problems out."""

import re
from collections.abc import Mapping
from typing import Final

from store.chain import Head
from store.contents import BLOCK_KEY, Block, BlockIndex, block_of, is_genuine
from store.driver import Document
from store.errors import StoreError
from store.record import Record, place, record_of, seq_of, shape_fault
from store.sealing import Cipher
from store.verdict import Harm, RoomVerdict

RECORD_KEY: Final = re.compile(r"[^/]+/[0-9a-f]{14}")


class ChainCheck:
    """Takes the records of a room in the order of their keys."""

    def __init__(self, tenant: str, verdict: RoomVerdict) -> None:
        self._tenant = tenant
        self._verdict = verdict

    def take(self, document: Document) -> Record | None:
        """Check one record against the one before; None if it can't be read or stands elsewhere, so
        that no content can be its."""
        verdict = self._verdict
        expected = verdict.head.seq + 1
        key: str = document["_id"]
        if RECORD_KEY.fullmatch(key) is None:
            verdict.add(expected, Harm.MISPLACED, f"{key!r} is no place in a chain")
            return None
        at = seq_of(key)
        verdict.records += 1
        if at > expected:
            verdict.add(expected, Harm.GAP, f"entries {expected} to {at - 1} are missing")
        fault = shape_fault(document)
        if fault is not None:
            verdict.add(at, Harm.MALFORMED, fault)
            verdict.head = _head_in_spite(at, document, verdict.head)
            return None
        record = record_of(document)
        self._check_hash(at, record)
        in_place = key == place(record.room, record.seq) and record.tenant == self._tenant
        if not in_place:
            detail = f"{record.tenant}/{record.room}/{record.seq} stands at {key}"
            verdict.add(at, Harm.MISPLACED, detail)
        self._check_link(at, record)
        verdict.head = Head(at, record.hash, record.epoch, record.at)
        return record if in_place else None

    def _check_hash(self, at: int, record: Record) -> None:
        try:
            computed = record.computed_hash()
        except StoreError as error:
            self._verdict.add(at, Harm.MALFORMED, f"can't be hashed: {error}")
            return
        if computed != record.hash:
            detail = f"computed {computed.hex()}, stored {record.hash.hex()}"
            self._verdict.add(at, Harm.HASH, detail)

    def _check_link(self, at: int, record: Record) -> None:
        verdict, before = self._verdict, self._verdict.head
        if record.prev != before.hash:
            detail = f"prev is {record.prev.hex()}, the entry before has {before.hash.hex()}"
            verdict.add(at, Harm.LINK, detail)
        if record.epoch < before.epoch:
            verdict.add(at, Harm.EPOCH, f"epoch {record.epoch} after {before.epoch}")
        if record.at < before.at:
            verdict.add(at, Harm.TIME, f"time {record.at} after {before.at}")


def _head_in_spite(at: int, document: Document, before: Head) -> Head:
    """Where the chain goes on after a record that can't be read, so that it alone is named."""
    stored = document.get("hash")
    return Head(at, stored if isinstance(stored, bytes) else b"", before.epoch, before.at)


class ContentCheck:
    """Takes content documents of a room together with the records that they may belong to."""

    def __init__(self, verdict: RoomVerdict) -> None:
        self._verdict = verdict
        self._suspects: list[tuple[str, range]] = []

    @property
    def room(self) -> str:
        """The room whose contents are checked."""
        return self._verdict.room

    def read(self, documents: list[Document], low: str) -> list[Block]:
        """The blocks in documents; names those from the key `low` on that are none."""
        found: list[Block] = []
        for document in documents:
            block = block_of(document)
            if block is not None:
                found.append(block)
            elif document["_id"] >= low:
                self._add_foreign(_seq_in(document["_id"]), document["_id"])
        return found

    def take(
        self, records: list[Record], found: list[Block], ciphers: Mapping[int, Cipher], low: str
    ) -> None:
        """Open the content of every record; judge every block from the key `low` on.

        A block that was altered is named by the first record whose content is not whole in
        consequence; where all are whole, by its own first seq. No records: none will follow.
        """
        index = BlockIndex(found, ciphers)
        blocks = {record.seq: self._open(index, record) for record in records}
        used = {block.name for block in blocks.values() if block}
        for block in found:
            if block.name < low:
                continue
            cipher = ciphers.get(block.key_epoch)
            if cipher is not None and is_genuine(block, cipher):
                self._verdict.unclaimed += block.name not in used
            else:
                self._suspects.append((block.name, block.seqs))
        self._accuse({seq for seq, block in blocks.items() if block is None}, records)

    def _accuse(self, harmed: set[int], records: list[Record]) -> None:
        """Name the altered blocks that no record names, but for one that the next records may."""
        suspects, self._suspects = self._suspects, []
        for name, seqs in suspects:
            # One more than it holds: what was taken away at its end is missing there.
            if not harmed.isdisjoint(range(seqs.start, seqs.stop + 1)):
                continue
            if records and seqs.stop > records[-1].seq:
                self._suspects.append((name, seqs))
            else:
                self._add_foreign(seqs.start, name)

    def _open(self, index: BlockIndex, record: Record) -> Block | None:
        try:
            opened = index.open(record)
        except StoreError as error:
            self._verdict.add(record.seq, Harm.CONTENT_BROKEN, str(error))
            return None
        if opened is None:
            detail = "no content, and no record of its erasure"
            self._verdict.add(record.seq, Harm.CONTENT_MISSING, detail)
            return None
        self._verdict.contents += 1
        return opened.block

    def _add_foreign(self, seq: int, name: str) -> None:
        detail = f"content {name} was not written by Wardroom as it stands"
        self._verdict.add(seq, Harm.CONTENT_FOREIGN, detail)


def _seq_in(key: str) -> int:
    """The seq in a content's key; 0 if it names none."""
    return seq_of(key) if BLOCK_KEY.fullmatch(key) else 0
