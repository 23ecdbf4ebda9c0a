"""Blocks: how contents are put into documents, and how a genuine one is told from another."""

from typing import Any

import pytest

from store.contents import (
    BLOCK_BYTES_MAX,
    BLOCK_ITEMS_MAX,
    Block,
    BlockIndex,
    block_id,
    block_of,
    blocks,
    is_genuine,
)
from store.driver import Document
from store.errors import SealBroken
from store.opening import spans_of
from store.sealing import Cipher
from tests.store.frozen import frozen_chain
from tests.support.chains import Chain, fresh_key

FROZEN = frozen_chain()


def block_in(document: Document) -> Block:
    """The block in a document that is one."""
    block = block_of(document)
    assert block is not None
    return block


def test_the_frozen_block_is_genuine_and_opens() -> None:
    block, cipher = block_in(FROZEN.block), Cipher(FROZEN.room_key)
    assert is_genuine(block, cipher)
    assert list(block.seqs) == [1, 2, 3]
    index = BlockIndex([block], {1: cipher})
    for entry in FROZEN.entries:
        opened = index.open(entry.record)
        assert opened is not None
        assert opened.content == entry.content


def test_a_block_is_named_for_its_first_record() -> None:
    commit = Chain("acme", "war-room").commit("a", "b")
    assert [document["_id"] for document in commit.contents] == [
        f"war-room/00000000000001/{commit.records[0].hash[:8].hex()}"
    ]
    assert commit.contents[0]["_id"] == block_id(commit.records[0])


def test_a_commit_is_split_at_the_item_limit() -> None:
    commit = Chain("acme", "war-room").commit(*("x" for _ in range(2 * BLOCK_ITEMS_MAX + 1)))
    found = [block_in(document) for document in commit.contents]
    assert [block.first for block in found] == [1, BLOCK_ITEMS_MAX + 1, 2 * BLOCK_ITEMS_MAX + 1]
    assert [len(block.items) for block in found] == [BLOCK_ITEMS_MAX, BLOCK_ITEMS_MAX, 1]


def test_a_commit_of_exactly_the_item_limit_is_one_block() -> None:
    commit = Chain("acme", "war-room").commit(*("x" for _ in range(BLOCK_ITEMS_MAX)))
    assert len(commit.contents) == 1


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ([BLOCK_BYTES_MAX], [1]),
        ([BLOCK_BYTES_MAX + 1], [1]),
        ([BLOCK_BYTES_MAX, 1], [1, 1]),
        ([BLOCK_BYTES_MAX - 1, 1, 1], [2, 1]),
        ([1, BLOCK_BYTES_MAX, 1], [1, 1, 1]),
    ],
    ids=["full", "over by itself", "full and one", "just fits", "each alone"],
)
def test_a_commit_is_split_at_the_byte_limit(sizes: list[int], counts: list[int]) -> None:
    records = Chain("acme", "war-room").commit(*("x" for _ in sizes)).records
    documents = blocks(records, [bytes(size) for size in sizes], fresh_key())
    assert [len(document["items"]) for document in documents] == counts
    assert [block_in(document).first for document in documents] == [
        1 + sum(counts[:position]) for position in range(len(counts))
    ]


def altered(document: Document, **change: Any) -> Document:
    """A document with other fields."""
    return {**document, **change}


def test_a_block_is_genuine_as_it_was_written_only() -> None:
    chain = Chain("acme", "war-room")
    document = chain.commit("one", "two", "three").contents[0]
    items, cipher = document["items"], chain.key.cipher
    assert is_genuine(block_in(document), cipher)
    for other in (
        altered(document, _id=f"war-room/00000000000002/{document['_id'][-16:]}"),
        altered(document, _id=f"room-2/{document['_id'][9:]}"),
        altered(document, items=[items[1], items[0], items[2]]),
        altered(document, items=items[:2]),
        altered(document, items=[*items, b""]),
        altered(document, items=[items[0] + items[1], items[2]]),
        altered(document, items=[items[0][:-1], items[0][-1:] + items[1], items[2]]),
        altered(document, tag=bytes(28)),
        altered(document, tag=b""),
    ):
        assert not is_genuine(block_in(other), cipher)
    assert not is_genuine(block_in(document), fresh_key().cipher)


@pytest.mark.parametrize(
    "change",
    [
        {"_id": 5},
        {"_id": "war-room/1/0011223344556677"},
        {"_id": "war-room/00000000000001"},
        {"_id": "war-room/00000000000001/0011223344556677\n"},
        {"key": "1"},
        {"key": 0},
        {"key": True},
        {"key": 2**24},
        {"tag": None},
        {"items": b"bytes"},
        {"items": ["text"]},
        {"more": 1},
    ],
    ids=repr,
)
def test_a_document_of_another_form_is_no_block(change: dict[str, Any]) -> None:
    document = Chain("acme", "war-room").commit("one").contents[0]
    assert block_of(document) is not None
    assert block_of({**document, **change}) is None
    for name in document:
        assert block_of({field: document[field] for field in document if field != name}) is None


def test_the_content_is_found_beside_that_of_an_interrupted_commit() -> None:
    chain = Chain("acme", "war-room")
    left_over = Chain("acme", "war-room", key=chain.key).commit("never", "committed").contents
    commit = chain.commit("said")
    found = [block_in(document) for document in [*left_over, *commit.contents]]
    opened = BlockIndex(found, {1: chain.key.cipher}).open(commit.records[0])
    assert opened is not None
    assert (opened.content, opened.block.name) == (b"said", commit.contents[0]["_id"])


def test_a_content_that_is_nowhere_is_none_and_one_without_its_key_is_broken() -> None:
    commit = Chain("acme", "war-room").commit("said")
    assert BlockIndex([], {}).open(commit.records[0]) is None
    with pytest.raises(SealBroken, match="epoch 1"):
        BlockIndex([block_in(commit.contents[0])], {}).open(commit.records[0])


def test_spans_bridge_what_one_block_may_hold_and_no_more() -> None:
    near, far = BLOCK_ITEMS_MAX, BLOCK_ITEMS_MAX + 1
    assert spans_of([]) == []
    assert spans_of([5]) == [(5, 5)]
    assert spans_of([5, 6, 6 + near]) == [(5, 6 + near)]
    assert spans_of([5, 5 + far, 6 + far]) == [(5, 5), (5 + far, 6 + far)]
