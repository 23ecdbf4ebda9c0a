"""Making and rotating the keys that sign tokens."""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pymongo.errors import DuplicateKeyError

from deploy.provision.errors import ProvisionError
from deploy.token_keys import Succession, kid_of, read_succession
from gateway.limits import JWKS_FRESH_S, KEYS_POLL_S, RETIRED_KEY_S
from store.driver import Collection, MongoConnection
from store.errors import SealBroken
from store.keys import TOKEN_KEY, RootKey
from store.mongo import PLATFORM_DATABASE, TOKEN_KEYS

NEXT_KEY_AGE_MIN_S: Final = JWKS_FRESH_S + KEYS_POLL_S
"""How long a key is shown before it may sign: until then a verifier may hold a copy of the key set
without it, or a gateway not know it yet."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did; tokens of the retired key are believed until `until_s` (Unix seconds)."""

    retired: str
    current: str
    next: str
    until_s: int


async def ensure_token_keys(connection: MongoConnection, root: RootKey, now_s: int) -> str:
    """The id of the key that signs access tokens now; it and the next are made if they are missing.

    Ids are numbered, so that two provisioners who find none agree on them.

    Raises:
        ProvisionError: there are some, and this root key does not open them.
    """
    keys = await read_succession(connection)
    for number in range(1 if keys is None else keys.newest.number + 1, 3):
        # Another provisioner may be first; what it wrote is checked like any other.
        await _make(connection, root, number, now_s)
    keys = await _readable(connection, root)
    await _take_away_signing(connection, keys)
    return keys.current.kid


async def rotate_token_keys(
    connection: MongoConnection, root: RootKey, now_s: int, *, at_once: bool = False
) -> Rotation:
    """Let the next key sign, retire the one that signs now, and make another next one.

    Args:
        connection: of the provisioner.
        root: the key that seals them.
        now_s: Unix seconds.
        at_once: though not every verifier may know the next key yet.

    Raises:
        ProvisionError: the next key is too young, somebody else has rotated just now, or the root
            key is another.
    """
    before = await _readable(connection, root)
    if before.next is None:
        raise ProvisionError(
            "no_next_key", "no next key was made yet", "run './wardroom provision' first"
        )
    young_s = before.next.made_s + NEXT_KEY_AGE_MIN_S - now_s
    if young_s > 0 and not at_once:
        raise ProvisionError(
            "next_key_too_young",
            f"{before.next.kid} was published a moment ago, and not every verifier knows it",
            f"try again in {young_s} seconds, or with --at-once if the current key must go now",
        )
    # This insertion is the rotation.
    if not await _make(connection, root, before.newest.number + 1, now_s):
        raise ProvisionError(
            "rotated_meanwhile", "somebody else has rotated the keys just now", "look at them first"
        )
    await _take_away_signing(connection, await _readable(connection, root))
    return Rotation(
        retired=before.current.kid,
        current=before.next.kid,
        next=kid_of(before.newest.number + 1),
        until_s=now_s + RETIRED_KEY_S,
    )


async def _make(connection: MongoConnection, root: RootKey, number: int, now_s: int) -> bool:
    kid, private = kid_of(number), Ed25519PrivateKey.generate()
    try:
        await _collection(connection).insert_one(
            {
                "_id": kid,
                "made_s": now_s,
                "public": private.public_key().public_bytes_raw(),
                "sealed": root.wrap(TOKEN_KEY, kid, private.private_bytes_raw()),
            }
        )
    except DuplicateKeyError:
        return False
    return True


async def _readable(connection: MongoConnection, root: RootKey) -> Succession:
    keys = await read_succession(connection)
    if keys is None or keys.current.sealed is None:
        raise ProvisionError(
            "token_key_unreadable", "no key for tokens can be read", "run './wardroom provision'"
        )
    for key in (keys.current, keys.newest):
        try:
            root.unwrap(TOKEN_KEY, key.kid, key.sealed or b"")
        except SealBroken as error:
            raise ProvisionError(
                "wrong_root_key",
                f"the root key does not open the token key {key.kid}: another root key sealed it",
                "put the root key that belongs to this database into the secrets directory",
            ) from error
    return keys


async def _take_away_signing(connection: MongoConnection, keys: Succession) -> None:
    for key in keys.retired:
        if key.sealed is not None:
            # What can't sign any more can't be stolen from a backup either.
            await _collection(connection).update_one({"_id": key.kid}, {"$unset": {"sealed": ""}})


def _collection(connection: MongoConnection) -> Collection:
    return connection.database(PLATFORM_DATABASE)[TOKEN_KEYS]
