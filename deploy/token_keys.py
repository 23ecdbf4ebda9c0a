"""The keys of access tokens, read from the platform's database and opened with the root key."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from gateway.tokens import TokenKeys
from store.driver import MongoConnection
from store.errors import KeyMissing
from store.keys import TOKEN_KEY, RootKey
from store.mongo import PLATFORM_DATABASE, TOKEN_KEYS

CURRENT = "current"


async def load_token_keys(connection: MongoConnection, root: RootKey, issuer: str) -> TokenKeys:
    """Every key whose signature is believed, and the one that signs.

    Raises:
        KeyMissing: no key signs now; 'wardroom provision' makes one.
    """
    documents = await connection.database(PLATFORM_DATABASE)[TOKEN_KEYS].find({}).to_list(None)
    public = {
        document["_id"]: Ed25519PublicKey.from_public_bytes(document["public"])
        for document in documents
    }
    for document in documents:
        if document["state"] == CURRENT:
            kid: str = document["_id"]
            secret = root.unwrap(TOKEN_KEY, kid, document["sealed"])
            private = Ed25519PrivateKey.from_private_bytes(secret)
            return TokenKeys(issuer, kid, private, public)
    raise KeyMissing("no key for access tokens; run 'wardroom provision'")
