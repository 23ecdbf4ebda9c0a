"""The record: what is hashed, what is stored, and what may never change about either."""

import dataclasses
import hashlib
from typing import Any

import pytest
from bson.int64 import Int64

from store.canonical import canonical
from store.record import (
    FIELDS,
    Record,
    commitment,
    place,
    record_of,
    seq_of,
    shape_fault,
)
from tests.store.frozen import FrozenEntry, frozen_chain

ENTRIES = frozen_chain().entries
A_RECORD = ENTRIES[2].record

OTHER_VALUES: dict[str, Any] = {
    "tenant": "globex",
    "room": "room-2",
    "seq": 4,
    "epoch": 8,
    "prev": bytes(32),
    "kind": "note",
    "actor": "u_eve",
    "at": 1_795_359_295_134,
    "client_id": "m_3",
    "target": None,
    "commit": bytes(32),
    "content_length": 2,
    "lane": 3,
    "src": 1,
    "index": 0,
}
MISSHAPEN: dict[str, Any] = {
    "_id": b"war-room/00000000000003",
    "v": 2,
    "tenant": 7,
    "room": None,
    "seq": 3.0,
    "epoch": True,
    "prev": "00" * 32,
    "kind": b"message",
    "actor": ["u_bob"],
    "at": "1795359295133",
    "client_id": None,
    "target": "2",
    "commit": bytes(31),
    "content_length": -1,
    "lane": None,
    "src": 2**53,
    "index": {},
    "hash": None,
}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"entry {entry.header['seq']}")
def test_a_frozen_record_is_committed_and_hashed_as_it_was(entry: FrozenEntry) -> None:
    assert commitment(entry.salt, entry.content).hex() == entry.header["commit"]
    assert entry.record.header() == entry.header
    assert canonical(entry.record.header()) == entry.canonical
    assert entry.record.computed_hash() == entry.hash


def test_the_commitment_is_over_domain_salt_and_body() -> None:
    salt, body = bytes(range(32)), b"body"
    expected = hashlib.sha256(b"wardroom/content/v1\0" + salt + body).digest()
    assert commitment(salt, body) == expected
    assert commitment(salt, body + b"\0") != expected
    assert commitment(bytes(32), body) != expected


def test_a_record_comes_back_from_its_document() -> None:
    assert record_of(A_RECORD.document()) == A_RECORD
    assert record_of(A_RECORD.document()).document() == A_RECORD.document()


def test_the_document_holds_every_field_and_its_place() -> None:
    document = A_RECORD.document()
    assert document.keys() == FIELDS
    assert document["_id"] == place(A_RECORD.room, A_RECORD.seq)
    assert document.keys() - {"_id", "hash"} == A_RECORD.header().keys()


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_the_hash_covers_a_field(field: str) -> None:
    assert OTHER_VALUES[field] != getattr(A_RECORD, field)
    changed = dataclasses.replace(A_RECORD, **{field: OTHER_VALUES[field]})
    assert changed.computed_hash() != A_RECORD.computed_hash()


def test_no_field_of_the_header_was_forgotten_above() -> None:
    fields = {field.name for field in dataclasses.fields(Record)}
    assert OTHER_VALUES.keys() == fields - {"hash"}
    assert A_RECORD.header().keys() == OTHER_VALUES.keys() | {"v"}


def test_a_stored_record_has_no_fault_of_shape() -> None:
    document = A_RECORD.document()
    assert shape_fault(document) is None
    assert shape_fault({**document, "at": Int64(document["at"])}) is None


@pytest.mark.parametrize("field", MISSHAPEN)
def test_a_field_of_another_type_is_a_fault_of_shape(field: str) -> None:
    assert shape_fault({**A_RECORD.document(), field: MISSHAPEN[field]}) is not None


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_missing_field_is_a_fault_of_shape(field: str) -> None:
    document = A_RECORD.document()
    del document[field]
    assert field in str(shape_fault(document))


def test_a_field_too_many_is_a_fault_of_shape() -> None:
    assert "note" in str(shape_fault({**A_RECORD.document(), "note": "x"}))


def test_places_of_a_room_sort_by_seq_up_to_the_largest_integer() -> None:
    seqs = [0, 1, 9, 10, 255, 256, 2**32, 2**53 - 1]
    keys = [place("room", seq) for seq in seqs]
    assert keys == sorted(keys)
    assert [seq_of(key) for key in keys] == seqs
    assert [seq_of(f"{key}/0011223344556677") for key in keys] == seqs


def test_rooms_do_not_mix_in_the_order_of_places() -> None:
    keys = [place(room, seq) for room in ("a", "a-b", "a0", "ab") for seq in (1, 2**53 - 1)]
    for room in ("a", "a-b", "a0", "ab"):
        inside = [key for key in keys if f"{room}/" <= key < f"{room}0"]
        assert inside == [place(room, 1), place(room, 2**53 - 1)]
