"""Sealing: a content opens at its own place only, and is then checked against its record."""

import dataclasses
import os
from typing import Any

import pytest

from store.errors import ContentMismatch, SealBroken
from store.record import SALT_BYTES
from store.sealing import (
    FETCH_BYTES,
    KEY_BYTES,
    NONCE_BYTES,
    Cipher,
    Randomness,
    bound_to,
    open_content,
    seal_content,
)
from tests.store.frozen import FrozenEntry, frozen_chain

CHAIN = frozen_chain()
CIPHER = Cipher(CHAIN.room_key)
ENTRY = CHAIN.entries[1]
OTHER_PLACES: dict[str, Any] = {
    "tenant": "globex",
    "room": "room-2",
    "seq": 3,
    "hash": CHAIN.entries[2].hash,
}


@pytest.mark.parametrize("entry", CHAIN.entries, ids=lambda entry: f"entry {entry.header['seq']}")
def test_a_frozen_content_opens(entry: FrozenEntry) -> None:
    assert open_content(CIPHER, entry.record, entry.sealed) == entry.content


@pytest.mark.parametrize("field", OTHER_PLACES)
def test_a_content_does_not_open_at_another_place(field: str) -> None:
    elsewhere = dataclasses.replace(ENTRY.record, **{field: OTHER_PLACES[field]})
    with pytest.raises(SealBroken):
        open_content(CIPHER, elsewhere, ENTRY.sealed)


def test_a_content_does_not_open_under_another_key() -> None:
    with pytest.raises(SealBroken):
        open_content(Cipher(os.urandom(KEY_BYTES)), ENTRY.record, ENTRY.sealed)


@pytest.mark.parametrize("position", [0, 11, 12, 43, -17, -1])
def test_a_changed_byte_breaks_the_seal(position: int) -> None:
    altered = bytearray(ENTRY.sealed)
    altered[position] ^= 1
    with pytest.raises(SealBroken):
        open_content(CIPHER, ENTRY.record, bytes(altered))


@pytest.mark.parametrize("length", [0, 1, 12, 27, 28, len(ENTRY.sealed) - 1])
def test_a_shortened_content_breaks_the_seal(length: int) -> None:
    with pytest.raises(SealBroken):
        open_content(CIPHER, ENTRY.record, ENTRY.sealed[:length])


def test_what_opens_and_is_not_what_was_committed_to_is_refused() -> None:
    for salt, body in ((ENTRY.salt, b"other"), (bytes(SALT_BYTES), ENTRY.content)):
        sealed = seal_content(CIPHER, ENTRY.record, salt, body)
        with pytest.raises(ContentMismatch):
            open_content(CIPHER, ENTRY.record, sealed)


def test_sealing_the_same_twice_gives_different_bytes() -> None:
    seals = {seal_content(CIPHER, ENTRY.record, ENTRY.salt, ENTRY.content) for _ in range(8)}
    assert len(seals) == 8
    for sealed in seals:
        assert open_content(CIPHER, ENTRY.record, sealed) == ENTRY.content


def test_random_bytes_are_given_once_however_many_are_fetched_at_a_time() -> None:
    randomness = Randomness()
    sizes = [SALT_BYTES, NONCE_BYTES] * FETCH_BYTES
    taken = [randomness.take(size) for size in sizes]
    assert [len(each) for each in taken] == sizes
    # Beginnings and ends: no two overlap as a whole either.
    assert len({each[:8] for each in taken} | {each[-8:] for each in taken}) == 2 * len(taken)


def test_a_sealed_projection_is_bound_to_use_tenant_and_key() -> None:
    sealed = CIPHER.seal(b"state", bound_to("state", "acme", "war-room|7"))
    assert CIPHER.open(sealed, bound_to("state", "acme", "war-room|7")) == b"state"
    for other in (
        ("row", "acme", "war-room|7"),
        ("state", "b", "war-room|7"),
        ("state", "acme", "x"),
    ):
        with pytest.raises(SealBroken):
            CIPHER.open(sealed, bound_to(*other))


def test_a_cipher_prints_as_nothing() -> None:
    assert repr(CIPHER) == str(CIPHER) == "Cipher(***)"
    assert not hasattr(CIPHER, "__dict__")
