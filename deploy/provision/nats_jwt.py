"""NATS identities in their byte form: seeds, signed tokens (NATS JWT, version 2), credential files.

Pure: nothing here reads a clock or touches a file. Field names as in nats-io/jwt v2; the server was
found to take them as written here.
"""

import base64
import hashlib
import json
from enum import IntEnum
from secrets import token_bytes
from typing import Any, Final, cast

import nkeys  # type: ignore[import-untyped]

from actors.protocol.nats_credentials import credentials_text

JWT_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
JWT_VERSION: Final = 2
SEED_BYTES: Final = 32

Claims = dict[str, Any]


class KeyRole(IntEnum):
    """What a key is for; it becomes the second letter of the seed and the first of the public key."""

    OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
    ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
    USER = nkeys.PREFIX_BYTE_USER


def new_seed(role: KeyRole) -> bytes:
    """A new private key in the text form of NATS."""
    return cast(bytes, nkeys.encode_seed(token_bytes(SEED_BYTES), int(role)))


def public_key(seed: bytes) -> str:
    """The public key of a seed: what names an operator, an account or a user."""
    return cast(bytes, nkeys.from_seed(bytearray(seed)).public_key).decode()


def sign(
    signer_seed: bytes,
    subject: str,
    name: str,
    nats: Claims,
    issued_at: int,
    *,
    expires_at: int | None = None,
) -> str:
    """A signed token that says what `subject` (a public key) is and may do.

    Args:
        signer_seed: the operator's seed for accounts, an account's for its users.
        subject: the public key the token is about.
        name: for people and logs.
        nats: the claims under `nats`, without `version`.
        issued_at: seconds since 1970.
        expires_at: seconds since 1970; None: it has no end.
    """
    claims: Claims = {
        "iat": issued_at,
        "iss": public_key(signer_seed),
        "name": name,
        "nats": {**nats, "version": JWT_VERSION},
        "sub": subject,
    }
    if expires_at is not None:
        claims["exp"] = expires_at
    claims["jti"] = base64.b32encode(hashlib.sha256(_json(claims)).digest()).rstrip(b"=").decode()
    signed = _base64url(_json(JWT_HEADER)) + b"." + _base64url(_json(claims))
    signature = nkeys.from_seed(bytearray(signer_seed)).sign(signed)
    return (signed + b"." + _base64url(signature)).decode()


def claims_of(token: str) -> Claims:
    """The claims of a token that we or our server hold; its signature is not checked.

    Raises:
        ValueError: not a token.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a token of three parts")
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    return cast(Claims, json.loads(base64.urlsafe_b64decode(padded)))


def says_the_same(one: str, other: str) -> bool:
    """Whether two tokens differ in nothing but the time of their issue."""
    return _lasting(claims_of(one)) == _lasting(claims_of(other))


def credentials(token: str, seed: bytes) -> bytes:
    """A user's token and seed in the form of a NATS credentials file."""
    return credentials_text(token, seed.decode()).encode()


def read_credentials(content: bytes) -> tuple[str, bytes]:
    """Token and seed of a credentials file.

    Raises:
        ValueError: it has another shape.
    """
    lines = [line.strip() for line in content.decode().splitlines()]
    inside = [
        lines[place + 1]
        for place, line in enumerate(lines[:-1])
        if line.startswith("-----BEGIN ") and not lines[place + 1].startswith("-")
    ]
    if len(inside) != 2:
        raise ValueError("not a credentials file of one token and one seed")
    return inside[0], inside[1].encode()


def _lasting(claims: Claims) -> Claims:
    return {name: value for name, value in claims.items() if name not in ("iat", "jti")}


def _json(value: Claims) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
