"""The keys by which a provider signs (RFC 7517). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.oidc.errors import ProviderError, Trouble

Key = Mapping[str, Any]

KEYS_MAX: Final = 64
"""Keys of one set that are looked at."""
SUITS: Final[dict[str, tuple[str, str | None]]] = {
    **{f"{family}{size}": ("RSA", None) for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithms whose signature is believed, and the type and curve of their keys. None with a shared secret:
the public key would be one that everybody has (RFC 8725, section 2.1)."""
SECRET_PARTS: Final = frozenset({"d", "k"})


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public keys of a provider."""

    keys: tuple[Key, ...] = ()

    def key_for(self, kid: str | None, algorithm: str) -> Key | None:
        """The one key that a signature is by; None if there is none, or without a `kid` more than one."""
        found = [
            key
            for key in self.keys
            if (kid is None or key.get("kid") == kid) and _suits(key, algorithm)
        ]
        return found[0] if len(found) == 1 else None


def keys_of(document: Mapping[str, Any]) -> KeySet:
    """The keys of a JWK set; those of kinds that are not known are left out (RFC 7517, section 5).

    Raises:
        ProviderError: it is none.
    """
    keys = document.get("keys")
    if not isinstance(keys, list):
        raise ProviderError(Trouble.BAD_ANSWER, "the key set has no keys")
    return KeySet(tuple(key for key in keys[:KEYS_MAX] if _is_public(key)))


def _is_public(key: Any) -> bool:
    if not isinstance(key, dict) or SECRET_PARTS & key.keys():
        return False
    operations = key.get("key_ops", ["verify"])
    return (
        key.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _suits(key: Key, algorithm: str) -> bool:
    kind, curve = SUITS[algorithm]
    return (
        key.get("kty") == kind
        and (curve is None or key.get("crv") == curve)
        and key.get("alg", algorithm) == algorithm
    )
