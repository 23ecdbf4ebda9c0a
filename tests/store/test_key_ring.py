"""Keys in a real MongoDB: made once, opened by whoever has the root key, renewed when spent."""

import asyncio
import os
from typing import Any

import pytest

from store.driver import Database, MongoConnection
from store.errors import KeyMissing, SealBroken
from store.keys import ROOM_KEY_AGE_MAX_MS, KeyRing, RootKey
from store.mongo import PLATFORM_DATABASE, ROOM_KEYS, TENANT_KEYS, tenant_database
from store.sealing import KEY_BYTES
from tests.store.frozen import frozen_chain

FROZEN = frozen_chain()


async def test_the_first_key_of_a_room_is_made_when_it_is_needed(
    keys: KeyRing, tenant: str, database: Database
) -> None:
    key = await keys.current_room_key(tenant, "war-room", 1)
    assert (key.epoch, key.from_seq) == (1, 1)
    stored = await database[ROOM_KEYS].find({}).to_list(None)
    assert [document["_id"] for document in stored] == ["war-room/000001"]


async def test_another_process_opens_the_same_key(
    connection: MongoConnection, root: RootKey, keys: KeyRing, tenant: str
) -> None:
    sealed = (await keys.current_room_key(tenant, "war-room", 1)).cipher.seal(b"x", b"")
    other = KeyRing(connection, root)
    assert (await other.room_key(tenant, "war-room", 1)).cipher.open(sealed, b"") == b"x"
    assert (await other.current_room_key(tenant, "war-room", 7)).cipher.open(sealed, b"") == b"x"


async def test_makers_at_the_same_time_agree_on_one_key(
    connection: MongoConnection, root: RootKey, tenant: str, database: Database
) -> None:
    rings = [KeyRing(connection, root) for _ in range(8)]
    made = await asyncio.gather(*(ring.current_room_key(tenant, "war-room", 1) for ring in rings))
    sealed = made[0].cipher.seal(b"x", b"")
    assert [key.cipher.open(sealed, b"") for key in made] == [b"x"] * len(made)
    assert await database[ROOM_KEYS].count_documents({}) == 1


@pytest.mark.parametrize(
    ("change", "seq"),
    [({"from_seq": -(2**30)}, 1), ({"created": -ROOM_KEY_AGE_MAX_MS}, 1)],
    ids=["by records", "by age"],
)
async def test_a_spent_key_is_followed_by_the_next_epoch(
    change: dict[str, int], seq: int, keys: KeyRing, tenant: str, database: Database
) -> None:
    old = await keys.current_room_key(tenant, "war-room", seq)
    await database[ROOM_KEYS].update_one({"_id": "war-room/000001"}, {"$inc": change})
    new = await keys.current_room_key(tenant, "war-room", seq + 41)
    assert (new.epoch, new.from_seq) == (2, seq + 41)
    assert (await keys.current_room_key(tenant, "war-room", seq + 42)).epoch == 2
    with pytest.raises(SealBroken):
        new.cipher.open(old.cipher.seal(b"x", b""), b"")
    assert (await keys.room_key(tenant, "war-room", 1)).epoch == 1


async def test_rooms_with_like_names_have_keys_of_their_own(keys: KeyRing, tenant: str) -> None:
    made = [await keys.current_room_key(tenant, room, 1) for room in ("a", "a-b", "a0", "ab")]
    sealed = made[0].cipher.seal(b"x", b"")
    for other in made[1:]:
        with pytest.raises(SealBroken):
            other.cipher.open(sealed, b"")


async def test_a_key_that_is_not_there_is_missing(keys: KeyRing, tenant: str) -> None:
    with pytest.raises(KeyMissing, match="epoch 3"):
        await keys.room_key(tenant, "war-room", 3)
    with pytest.raises(KeyMissing, match="nobody"):
        await keys.tenant_cipher("nobody")


async def test_the_key_of_another_room_does_not_open(
    keys: KeyRing, tenant: str, database: Database
) -> None:
    await keys.current_room_key(tenant, "war-room", 1)
    stored = await database[ROOM_KEYS].find_one({"_id": "war-room/000001"})
    assert stored is not None
    await database[ROOM_KEYS].insert_one({**stored, "_id": "room-2/000001"})
    with pytest.raises(SealBroken):
        await keys.room_key(tenant, "room-2", 1)


@pytest.mark.parametrize("change", [{"wrapped": "text"}, {"created": None}, {"wrapped": None}])
async def test_a_key_document_that_is_not_whole_counts_as_missing(
    change: dict[str, Any], keys: KeyRing, tenant: str, database: Database
) -> None:
    document: dict[str, Any] = {"_id": "war-room/000001", **change}
    await database[ROOM_KEYS].insert_one(document)
    with pytest.raises(KeyMissing, match="not whole"):
        await keys.room_key(tenant, "war-room", 1)


async def test_another_root_key_opens_nothing(connection: MongoConnection, tenant: str) -> None:
    with pytest.raises(SealBroken):
        await KeyRing(connection, RootKey(os.urandom(KEY_BYTES))).tenant_cipher(tenant)


async def test_the_frozen_key_documents_open(
    connection: MongoConnection, admin: MongoConnection
) -> None:
    key = {"_id": FROZEN.tenant, "wrapped": FROZEN.wrapped_tenant_key}
    await admin.database(PLATFORM_DATABASE)[TENANT_KEYS].replace_one(
        {"_id": FROZEN.tenant}, key, upsert=True
    )
    room_key = {
        "_id": FROZEN.room_key_id,
        "wrapped": FROZEN.wrapped_room_key,
        "from_seq": 1,
        "created": 0,
    }
    await admin.database(tenant_database(FROZEN.tenant))[ROOM_KEYS].replace_one(
        {"_id": FROZEN.room_key_id}, room_key, upsert=True
    )
    opened = await KeyRing(connection, RootKey(FROZEN.root_key)).room_key(
        FROZEN.tenant, "war-room", 1
    )
    entry = FROZEN.entries[0]
    bound = f"1|{FROZEN.tenant}|war-room|1|".encode() + entry.hash
    assert opened.cipher.open(entry.sealed, bound) == entry.salt + entry.content
