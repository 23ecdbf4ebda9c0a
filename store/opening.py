"""Opening the contents of records: finds their blocks, opens what is whole."""

from collections.abc import Iterable

from store.contents import BLOCK_ITEMS_MAX, Block, BlockIndex, block_of, content_range
from store.driver import Database, Document
from store.errors import ContentMismatch, KeyMissing, SealBroken
from store.keys import KeyRing
from store.mongo import CONTENTS
from store.record import Record
from store.sealing import Cipher

Span = tuple[int, int]
"""First and last seq."""


async def open_contents(
    database: Database, keys: KeyRing, tenant: str, records: list[Record]
) -> dict[int, bytes]:
    """The contents of records of one room, ascending, by seq; what is erased, missing or broken is
    left out."""
    if not records:
        return {}
    room = records[0].room
    spans = spans_of(record.seq for record in records)
    found = await _blocks(database, room, spans)
    opened = _open_all(found, await open_ciphers(keys, tenant, room, found), records)
    # The first entries of a span may stand in a block that starts earlier.
    earlier = [
        (max(1, first - BLOCK_ITEMS_MAX + 1), first - 1)
        for first, _ in spans
        if first not in opened and first > 1
    ]
    if earlier:
        left = [record for record in records if record.seq not in opened]
        found = await _blocks(database, room, earlier)
        opened |= _open_all(found, await open_ciphers(keys, tenant, room, found), left)
    return opened


def spans_of(seqs: Iterable[int]) -> list[Span]:
    """Ascending seqs as spans without large holes, so that what is rare is found without reading all
    that stands between."""
    spans: list[Span] = []
    for seq in seqs:
        if spans and seq - spans[-1][1] <= BLOCK_ITEMS_MAX:
            spans[-1] = (spans[-1][0], seq)
        else:
            spans.append((seq, seq))
    return spans


async def open_ciphers(
    keys: KeyRing, tenant: str, room: str, found: Iterable[Block]
) -> dict[int, Cipher]:
    """The ciphers for blocks of a room, by epoch, as far as their keys are there and open.

    Raises:
        KeyMissing, SealBroken: of the tenant's own key, without which nothing can be said.
    """
    await keys.tenant_cipher(tenant)
    ciphers: dict[int, Cipher] = {}
    for epoch in sorted({block.key_epoch for block in found}):
        try:
            ciphers[epoch] = (await keys.room_key(tenant, room, epoch)).cipher
        except (KeyMissing, SealBroken):
            continue
    return ciphers


async def _blocks(database: Database, room: str, spans: list[Span]) -> list[Block]:
    condition: Document = {"$or": [content_range(room, first, last) for first, last in spans]}
    documents = await database[CONTENTS].find(condition).to_list(None)
    return [block for document in documents if (block := block_of(document))]


def _open_all(
    found: list[Block], ciphers: dict[int, Cipher], records: list[Record]
) -> dict[int, bytes]:
    index = BlockIndex(found, ciphers)
    contents: dict[int, bytes] = {}
    for record in records:
        try:
            opened = index.open(record)
        except (SealBroken, ContentMismatch):
            # A reader shows what is whole; naming what is broken is the verifier's work.
            continue
        if opened is not None:
            contents[record.seq] = opened.content
    return contents
