"""Opening the contents of records: finds their documents, opens what is whole."""

from store.contents import BLOCK_ITEMS_MAX, BlockIndex, content_range, key_epochs
from store.driver import Database, Document
from store.errors import ContentMismatch, KeyMissing, SealBroken
from store.keys import KeyRing
from store.mongo import CONTENTS
from store.record import Record
from store.sealing import Cipher


async def open_contents(
    database: Database, keys: KeyRing, tenant: str, records: list[Record]
) -> dict[int, bytes]:
    """The contents of records of one room, by seq; what is erased, missing or broken is left out."""
    if not records:
        return {}
    room, first, last = records[0].room, records[0].seq, records[-1].seq
    contents = database[CONTENTS]
    documents = await contents.find(content_range(room, first, last)).to_list(None)
    index = await _block_index(keys, tenant, room, documents)
    opened = _open_all(index, records)
    if first not in opened and first > 1:
        # The first entries may stand in a document that starts earlier.
        earlier = content_range(room, max(1, first - BLOCK_ITEMS_MAX + 1), first - 1)
        documents = await contents.find(earlier).to_list(None)
        index = await _block_index(keys, tenant, room, documents)
        opened |= _open_all(index, [record for record in records if record.seq not in opened])
    return opened


def _open_all(index: BlockIndex, records: list[Record]) -> dict[int, bytes]:
    opened: dict[int, bytes] = {}
    for record in records:
        try:
            content = index.open(record)
        except (SealBroken, ContentMismatch):
            # A reader shows what is whole; naming what is broken is the verifier's work.
            continue
        if content is not None:
            opened[record.seq] = content
    return opened


async def _block_index(
    keys: KeyRing, tenant: str, room: str, documents: list[Document]
) -> BlockIndex:
    ciphers: dict[int, Cipher] = {}
    for epoch in key_epochs(documents):
        try:
            ciphers[epoch] = (await keys.room_key(tenant, room, epoch)).cipher
        except KeyMissing:
            continue
    return BlockIndex(documents, ciphers)
