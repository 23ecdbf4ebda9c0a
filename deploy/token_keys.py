"""The keys of access tokens, read from the platform's database and opened with the root key.

Keys are numbered and made one ahead: the newest is the next one, the one before it signs, and those
before that are retired. So a rotation is one insertion, and there is no moment with two keys that
sign, or with none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from gateway.limits import RETIRED_KEY_S
from gateway.tokens import TokenKeys
from store.driver import Document, MongoConnection
from store.errors import KeyMissing
from store.keys import TOKEN_KEY, RootKey
from store.mongo import PLATFORM_DATABASE, TOKEN_KEYS

_KID_PREFIX: Final = "token-"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as it is kept. `made_s` is Unix seconds; `sealed` is None once it can sign no more."""

    number: int
    public: bytes
    sealed: bytes | None = field(repr=False)
    made_s: int

    @property
    def kid(self) -> str:
        """The name by which tokens call it."""
        return kid_of(self.number)


@dataclass(frozen=True, slots=True)
class Succession:
    """The keys in order. There is no next one only before the platform was provisioned anew."""

    retired: Sequence[StoredKey]
    current: StoredKey
    next: StoredKey | None

    @property
    def newest(self) -> StoredKey:
        """The last that was made."""
        return self.next or self.current

    def believed_until_s(self, index: int) -> int:
        """Unix seconds after which the retired key of this index is believed no more."""
        keys = [*self.retired, self.current, self.newest]
        # It was retired when the one after its successor was made.
        return keys[index + 2].made_s + RETIRED_KEY_S


def kid_of(number: int) -> str:
    """The id of the key of this number."""
    return f"{_KID_PREFIX}{number}"


async def read_succession(connection: MongoConnection) -> Succession | None:
    """All keys, as they are kept; None if there is none."""
    documents = await connection.database(PLATFORM_DATABASE)[TOKEN_KEYS].find({}).to_list(None)
    keys = sorted((_stored(document) for document in documents), key=lambda key: key.number)
    if len(keys) < 2:
        return Succession((), keys[0], None) if keys else None
    return Succession(keys[:-2], keys[-2], keys[-1])


async def load_token_keys(connection: MongoConnection, root: RootKey, issuer: str) -> TokenKeys:
    """Every key whose signature is or will be believed, and the one that signs.

    Raises:
        KeyMissing: no key signs now; 'wardroom provision' makes one.
    """
    keys = await read_succession(connection)
    if keys is None or keys.current.sealed is None:
        raise KeyMissing("no key for access tokens; run 'wardroom provision'")
    secret = root.unwrap(TOKEN_KEY, keys.current.kid, keys.current.sealed)
    everyone = dict.fromkeys([*keys.retired, keys.current, keys.newest])
    return TokenKeys(
        issuer,
        keys.current.kid,
        Ed25519PrivateKey.from_private_bytes(secret),
        {key.kid: Ed25519PublicKey.from_public_bytes(key.public) for key in everyone},
        {key.kid: keys.believed_until_s(index) for index, key in enumerate(keys.retired)},
    )


def _stored(document: Document) -> StoredKey:
    return StoredKey(
        number=int(document["_id"].removeprefix(_KID_PREFIX)),
        public=document["public"],
        sealed=document.get("sealed"),
        # Keys made before there were rotations don't say when; none of them is retired by one.
        made_s=document.get("made_s", 0),
    )
