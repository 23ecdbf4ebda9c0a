"""Sealing: AES-256-GCM with the place bound in, so that a ciphertext opens nowhere else."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import ContentMismatch, SealBroken
from store.record import SALT_BYTES, Record, commitment

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
FETCH_BYTES: Final = 1024
"""Random bytes that are fetched at once."""


class Randomness:
    """Random bytes of the operating system, fetched many at a time: each fetch is a call of the kernel."""

    __slots__ = ("_at", "_bytes")

    def __init__(self) -> None:
        self._bytes = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """Random bytes that nobody was given before."""
        at = self._at
        end = self._at = at + count
        if end > len(self._bytes):
            self._bytes = os.urandom(FETCH_BYTES)
            at, end = 0, count
            self._at = count
        return self._bytes[at:end]


class Cipher:
    """One AES-256-GCM key. Prints as nothing."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def __repr__(self) -> str:
        return "Cipher(***)"

    def seal(self, plain: bytes, bound: bytes, nonce: bytes | None = None) -> bytes:
        """Nonce and ciphertext of `plain`, to be opened with the same `bound` only. A `nonce` that is given
        must be random, and is never given twice: two ciphertexts of one would open each other."""
        nonce = os.urandom(NONCE_BYTES) if nonce is None else nonce
        return nonce + self._aead.encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """The plaintext.

        Raises:
            SealBroken: another key, another place, or altered bytes.
        """
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the seal does not open at this place") from error


def content_bound(record: Record) -> bytes:
    """What a content's seal is bound to: version, tenant, room, seq and record hash."""
    return f"1|{record.tenant}|{record.room}|{record.seq}|".encode() + record.hash


def seal_content(
    cipher: Cipher, record: Record, salt: bytes, body: bytes, nonce: bytes | None = None
) -> bytes:
    """Seal a record's content; `nonce` as for `Cipher.seal`. The salt is sealed too: beside the commitment
    in the header it would let a database administrator guess short texts."""
    return cipher.seal(salt + body, content_bound(record), nonce)


def open_content(cipher: Cipher, record: Record, sealed: bytes) -> bytes:
    """Open a record's content and check it against the header.

    Raises:
        SealBroken: it does not open here.
        ContentMismatch: it opens, and is not what the record committed to (GCM alone does not commit
            to one plaintext).
    """
    plain = cipher.open(sealed, content_bound(record))
    salt, body = plain[:SALT_BYTES], plain[SALT_BYTES:]
    if len(body) != record.content_length or commitment(salt, body) != record.commit:
        raise ContentMismatch("the content is not what the record committed to")
    return body


def bound_to(what: str, tenant: str, key: str) -> bytes:
    """What a sealed projection is bound to."""
    return f"{what}|{tenant}|{key}".encode()
