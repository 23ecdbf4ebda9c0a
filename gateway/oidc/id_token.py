"""Whether an ID token is what it says (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725).

What a token says about its own verification is not believed: algorithms are asymmetric ones from a list,
and the key is one of the provider's for just that algorithm.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import jwt
from jwt.exceptions import PyJWTError
from jwt.types import Options

from gateway.oidc.errors import SignInRefused
from gateway.oidc.keys import SUITS, Key

ID_TOKEN_CHARS_MAX: Final = 32 * 1024
"""Characters of an ID token; one with hundreds of groups has some thousands."""
SKEW_S: Final = 60
"""How far the provider's clock may be off."""
LIFE_S_MAX: Final = 24 * 3600
"""An `exp` later than this is no sensible one, nor one that a clock can hold."""
SUBJECT_CHARS_MAX: Final = 255
RSA_BYTES_MIN: Final = 256
"""RFC 7518, section 3.3: 2048 bits or more."""
HASH_OF_EDDSA: Final = "sha512"
"""What Ed25519 itself uses; OpenID Connect Core 1.0 says no more than "the hash of the algorithm"."""


SIGNATURE_ONLY: Final[Options] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


@dataclass(frozen=True, slots=True)
class Header:
    """By what a token says that it is signed."""

    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say; times are Unix seconds."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    started_s: float
    now_s: float


def header_of(token: str) -> Header:
    """The header of a token, not verified.

    Raises:
        SignInRefused: it is none that is looked at.
    """
    if len(token) > ID_TOKEN_CHARS_MAX:
        _refuse("too_large")
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError):
        _refuse("not_a_token")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in SUITS:
        _refuse("algorithm")
    # Access tokens and others are tokens of the same provider, with the same signature.
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() != "JWT" or header.keys() & {"crit", "b64"}:
        _refuse("type")
    if kid is not None and not isinstance(kid, str):
        _refuse("key")
    return Header(algorithm, kid)


def claims_of(
    token: str, header: Header, key: Key, expected: Expected, access_token: str
) -> dict[str, Any]:
    """The claims of a token by the key that is the header's.

    Raises:
        SignInRefused: it is not signed by it, or is not for this sign-in.
    """
    try:
        public = jwt.PyJWK(dict(key), header.algorithm)
        if header.algorithm[:2] in ("RS", "PS") and _size_of(key) < RSA_BYTES_MIN:
            _refuse("key")
        # Claims are judged below, so that one place says all of it.
        claims: dict[str, Any] = jwt.decode(
            token,
            public,
            algorithms=[header.algorithm],
            options=SIGNATURE_ONLY,
        )
    except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        _refuse("signature")
    _judge_parties(claims, expected)
    _judge_times(claims, expected)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not _same(nonce, expected.nonce):
        _refuse("nonce")
    _judge_access_token(claims, header.algorithm, access_token)
    return claims


def _judge_parties(claims: Mapping[str, Any], expected: Expected) -> None:
    audience, subject = claims.get("aud"), claims.get("sub")
    if claims.get("iss") != expected.issuer:
        _refuse("issuer")
    # Nobody else is trusted with tokens that let somebody in here, so nobody else is named.
    if audience not in (expected.client_id, [expected.client_id]):
        _refuse("audience")
    if claims.get("azp", expected.client_id) != expected.client_id:
        _refuse("authorized_party")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX:
        _refuse("subject")
    if not subject.isascii() or not subject.isprintable():
        _refuse("subject")


def _judge_times(claims: Mapping[str, Any], expected: Expected) -> None:
    now = expected.now_s
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    if not now - SKEW_S < expires < now + LIFE_S_MAX + SKEW_S:
        _refuse("expired")
    if not expected.started_s - SKEW_S <= issued <= now + SKEW_S:
        _refuse("issued_at")
    if "nbf" in claims and _time(claims, "nbf") > now + SKEW_S:
        _refuse("not_yet")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        _refuse(name)
    return value


def _judge_access_token(claims: Mapping[str, Any], algorithm: str, access_token: str) -> None:
    said = claims.get("at_hash")
    if said is None:
        return
    name = f"sha{algorithm[2:]}" if algorithm != "EdDSA" else HASH_OF_EDDSA
    digest = hashlib.new(name, access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    if not isinstance(said, str) or not _same(said, half):
        _refuse("access_token_hash")


def _size_of(key: Key) -> int:
    modulus = key.get("n")
    return len(modulus) * 3 // 4 if isinstance(modulus, str) else 0


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _refuse(reason: str) -> NoReturn:
    raise SignInRefused(f"id_token_{reason}") from None
