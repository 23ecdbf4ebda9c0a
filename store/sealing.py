"""Sealing: AES-256-GCM with the place bound in, so that a ciphertext opens nowhere else."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import ContentMismatch, SealBroken
from store.record import SALT_BYTES, Record, commitment

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32


class Cipher:
    """One AES-256-GCM key. Prints as nothing."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def __repr__(self) -> str:
        return "Cipher(***)"

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """Nonce and ciphertext of `plain`, to be opened with the same `bound` only."""
        nonce = os.urandom(NONCE_BYTES)
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


def seal_content(cipher: Cipher, record: Record, salt: bytes, body: bytes) -> bytes:
    """Seal a record's content. The salt is sealed too: beside the commitment in the header it would
    let a database administrator guess short texts."""
    return cipher.seal(salt + body, content_bound(record))


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
