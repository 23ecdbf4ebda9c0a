"""Keys: root -> tenant -> room per epoch. Wrapped keys are in MongoDB, the root key never is."""

import base64
import hashlib
import hmac
import os
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pymongo.errors import DuplicateKeyError

from store.driver import Collection, Document, MongoConnection
from store.errors import KeyMissing
from store.mongo import PLATFORM_DATABASE, ROOM_KEYS, TENANT_KEYS, tenant_database
from store.sealing import KEY_BYTES, Cipher

ROOM_KEY_RECORDS_MAX: Final = 2**30
"""Records under one room key; NIST SP 800-38D allows 2^32 random nonces."""
ROOM_KEY_AGE_MAX_MS: Final = 90 * 24 * 3600 * 1000
CIPHERS_IN_MEMORY_MAX: Final = 50_000


class RootKey:
    """The key that wraps the tenants' keys: 32 bytes. Prints as nothing."""

    __slots__ = ("_cipher", "_index_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyMissing("the root key must be 32 bytes, base64 encoded")
        self._cipher = Cipher(key)
        self._index_key = hmac.digest(key, b"wardroom/login-index/v1", "sha256")

    def __repr__(self) -> str:
        return "RootKey(***)"

    @classmethod
    def from_base64(cls, text: str) -> "RootKey":
        """Read the form in which the key is kept in a file or in the environment."""
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except ValueError as error:
            raise KeyMissing("the root key is not base64") from error

    @classmethod
    def from_file(cls, path: Path) -> "RootKey":
        """Read the key from a file.

        Raises:
            KeyMissing: no such file, or readable by others than its owner.
        """
        if not path.is_file():
            raise KeyMissing(f"no root key at {path}; run 'wardroom provision' or restore it")
        if path.stat().st_mode & 0o077:
            raise KeyMissing(f"{path} can be read by others; run 'chmod 600' on it")
        return cls.from_base64(path.read_text())

    def wrap(self, purpose: str, name: str, key: bytes) -> bytes:
        """Seal a key under the root key, bound to what it is for."""
        return self._cipher.seal(key, _wrapping(purpose, name))

    def unwrap(self, purpose: str, name: str, wrapped: bytes) -> bytes:
        """Open what `wrap` made.

        Raises:
            SealBroken: it was wrapped by another root key or for another use.
        """
        return self._cipher.open(wrapped, _wrapping(purpose, name))

    def login_token(self, name: str) -> str:
        """The blind index of a login name: equal for equal names, telling nothing without the key."""
        folded = name.strip().casefold().encode()
        return hmac.digest(self._index_key, folded, hashlib.sha256).hex()


def _wrapping(purpose: str, name: str) -> bytes:
    return f"wardroom/{purpose}/v1\0{name}".encode()


TENANT_KEY: Final = "tenant-key"
TOKEN_KEY: Final = "token-key"
ROOM_KEY: Final = "room-key"


@dataclass(frozen=True, slots=True)
class RoomKey:
    """The key of a room's epoch, in use from `from_seq` on."""

    epoch: int
    cipher: Cipher
    from_seq: int
    created_ms: int

    def is_spent(self, seq: int, now_ms: int) -> bool:
        """Whether the next record needs a new key."""
        return (
            seq - self.from_seq >= ROOM_KEY_RECORDS_MAX
            or now_ms - self.created_ms >= ROOM_KEY_AGE_MAX_MS
        )


def room_key_id(room: str, epoch: int) -> str:
    """The key of a room key's document; epochs of a room sort."""
    return f"{room}/{epoch:06x}"


class KeyRing:
    """Finds, opens and (for actors) makes keys, and remembers the opened ones."""

    def __init__(self, connection: MongoConnection, root: RootKey) -> None:
        self._connection = connection
        self._root = root
        self._tenants: dict[str, Cipher] = {}
        self._rooms: OrderedDict[tuple[str, str, int], RoomKey] = OrderedDict()

    @property
    def root(self) -> RootKey:
        """The root key."""
        return self._root

    async def tenant_cipher(self, tenant: str) -> Cipher:
        """The cipher of a tenant's own key.

        Raises:
            KeyMissing: the tenant has none (it was never made, or was destroyed).
        """
        cipher = self._tenants.get(tenant)
        if cipher is None:
            document = await self._connection.database(PLATFORM_DATABASE)[TENANT_KEYS].find_one(
                {"_id": tenant}
            )
            if document is None:
                raise KeyMissing(f"tenant {tenant} has no key")
            key = self._root.unwrap(TENANT_KEY, tenant, document["wrapped"])
            cipher = self._tenants[tenant] = Cipher(key)
        return cipher

    def forget(self, tenant: str) -> None:
        """Keep nothing of a tenant's keys in memory: they may be destroyed."""
        self._tenants.pop(tenant, None)
        for key in [key for key in self._rooms if key[0] == tenant]:
            del self._rooms[key]

    async def room_key(self, tenant: str, room: str, epoch: int) -> RoomKey:
        """The key of one epoch of a room.

        Raises:
            KeyMissing: it is not there, or was destroyed.
            SealBroken: what is there was wrapped for another room or altered.
        """
        known = self._rooms.get((tenant, room, epoch))
        if known is not None:
            self._rooms.move_to_end((tenant, room, epoch))
            return known
        document = await self._room_keys(tenant).find_one({"_id": room_key_id(room, epoch)})
        if document is None:
            raise KeyMissing(f"room {room} has no key of epoch {epoch}")
        return await self._opened(tenant, room, document)

    async def current_room_key(self, tenant: str, room: str, seq: int) -> RoomKey:
        """The key for a room's next record, made now if there is none or it is spent."""
        now_ms = time.time_ns() // 1_000_000
        newest = (
            await self._room_keys(tenant)
            .find({"_id": {"$gte": f"{room}/", "$lt": f"{room}0"}})
            .sort([("_id", -1)])
            .limit(1)
            .to_list(1)
        )
        epoch = 0
        if newest:
            key = await self._opened(tenant, room, newest[0])
            if not key.is_spent(seq, now_ms):
                return key
            epoch = key.epoch
        return await self._make(tenant, room, epoch + 1, seq, now_ms)

    async def _make(self, tenant: str, room: str, epoch: int, seq: int, now_ms: int) -> RoomKey:
        wrapping = await self.tenant_cipher(tenant)
        name = room_key_id(room, epoch)
        document: Document = {
            "_id": name,
            "from_seq": seq,
            "created": now_ms,
            "wrapped": wrapping.seal(os.urandom(KEY_BYTES), _wrapping(ROOM_KEY, name)),
        }
        try:
            await self._room_keys(tenant).insert_one(document)
        except DuplicateKeyError:
            # Another owner of the room was first; its key is the room's.
            return await self.room_key(tenant, room, epoch)
        return await self._opened(tenant, room, document)

    async def _opened(self, tenant: str, room: str, document: Document) -> RoomKey:
        name: str = document["_id"]
        wrapping = await self.tenant_cipher(tenant)
        try:
            epoch = int(name.rsplit("/", 1)[1], 16)
            key = RoomKey(
                epoch=epoch,
                cipher=Cipher(wrapping.open(document["wrapped"], _wrapping(ROOM_KEY, name))),
                from_seq=document["from_seq"],
                created_ms=document["created"],
            )
        except (KeyError, ValueError, TypeError) as error:
            raise KeyMissing(f"the document of room key {name} is not whole") from error
        self._rooms[(tenant, room, epoch)] = key
        while len(self._rooms) > CIPHERS_IN_MEMORY_MAX:
            self._rooms.popitem(last=False)
        return key

    def _room_keys(self, tenant: str) -> Collection:
        return self._connection.database(tenant_database(tenant))[ROOM_KEYS]
