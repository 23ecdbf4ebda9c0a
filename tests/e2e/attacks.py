"""What an administrator of MongoDB, who knows the format and has no key, does to a tenant; and where
verification must say that the harm shows first."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from bson import ObjectId

from actors.protocol.ids import TENANT_ROOM
from store.driver import Document
from store.mongo import CONTENTS, RECORDS, ROOM_KEYS
from store.record import place, record_of
from store.verdict import NOWHERE, Harm
from tests.e2e.tampered import HEADS, LATER, QUIET, SIDE, TOGETHER, WAR, Scene

Deed = Callable[[Scene], Awaitable[object]]
END: Final = HEADS[WAR] + 1


@dataclass(frozen=True)
class Attack:
    """A deed and the first problem that verification must name."""

    name: str
    deed: Deed
    room: str
    seq: int
    harm: Harm


OTHER_VALUES: Final[dict[str, Any]] = {
    "tenant": "globex",
    "room": SIDE,
    "seq": 99,
    "epoch": 99,
    "prev": bytes(32),
    "kind": "note",
    "actor": "u_eve",
    "at": 1,
    "client_id": "other",
    "target": 1,
    "commit": bytes(32),
    "content_length": 1,
    "lane": 63,
    "src": 1,
    "index": 9,
    "hash": bytes(32),
}
OTHER_TYPES: Final[dict[str, Any]] = {
    "v": 1.0,
    "seq": 5.0,
    "at": datetime(2026, 11, 22, tzinfo=UTC),
    "epoch": "1",
    "target": True,
    "hash": "00" * 32,
}


def edits() -> dict[str, tuple[Document, Harm]]:
    """What is set in one record, and the harm that it is, by a name that may name a room."""
    return {
        **{f"value-of-{name}": ({name: value}, Harm.HASH) for name, value in OTHER_VALUES.items()},
        **{
            f"type-of-{name}": ({name: value}, Harm.MALFORMED)
            for name, value in OTHER_TYPES.items()
        },
        "version": ({"v": 2}, Harm.MALFORMED),
        "field-too-many": ({"note": "x"}, Harm.MALFORMED),
    }


async def take_away_a_field(scene: Scene) -> None:
    """A record loses a field."""
    change = {"$unset": {"epoch": ""}}
    await scene.database[RECORDS].update_one({"_id": place(WAR, 5)}, change)


async def edit_and_rehash(scene: Scene, seq: int) -> None:
    """Edit one record and give it the hash that it then should have."""
    record = replace(record_of(await scene.document(WAR, seq)), actor="u_eve")
    await scene.edit(WAR, seq, {"actor": record.actor, "hash": record.computed_hash()})


async def rewrite_from(scene: Scene, seq: int) -> None:
    """Edit one record and relink all that follow."""
    records = await scene.records(WAR, seq)
    await scene.relink([replace(records[0], actor="u_eve"), *records[1:]])


async def delete(scene: Scene, room: str, *seqs: int) -> None:
    """Delete records."""
    keys = [place(room, seq) for seq in seqs]
    await scene.database[RECORDS].delete_many({"_id": {"$in": keys}})


async def delete_and_close_up(scene: Scene) -> None:
    """Delete a record, move all that follow down by one, and relink them."""
    records = await scene.records(WAR, 7)
    await delete(scene, WAR, HEADS[WAR])
    await scene.relink([replace(record, seq=record.seq - 1) for record in records[1:]])


async def swap_documents(scene: Scene) -> None:
    """Two documents exchange their keys."""
    three, six = await scene.document(WAR, 3), await scene.document(WAR, 6)
    await scene.put({**three, "_id": six["_id"]}, {**six, "_id": three["_id"]})


async def exchange_seqs(scene: Scene) -> None:
    """Two records exchange their seqs and keys."""
    three, six = await scene.document(WAR, 3), await scene.document(WAR, 6)
    await scene.put({**three, "_id": six["_id"], "seq": 6}, {**six, "_id": three["_id"], "seq": 3})


async def reorder_and_relink(scene: Scene) -> None:
    """Two records exchange their places, and all from there on are relinked."""
    records = await scene.records(WAR, 3)
    order = [records[3], *records[1:3], records[0], *records[4:]]
    await scene.relink([replace(record, seq=3 + n) for n, record in enumerate(order)])


def rewrites() -> list[Attack]:
    """Records are edited, rewritten, deleted or moved."""
    return [
        Attack("edit the first", lambda s: s.edit(WAR, 1, {"actor": "x"}), WAR, 1, Harm.HASH),
        Attack("edit the last", lambda s: s.edit(WAR, 16, {"actor": "x"}), WAR, 16, Harm.HASH),
        Attack(
            "edit the audit trail",
            lambda s: s.edit(TENANT_ROOM, 2, {"actor": "x"}),
            TENANT_ROOM,
            2,
            Harm.HASH,
        ),
        Attack("take away a field", take_away_a_field, WAR, 5, Harm.MALFORMED),
        Attack("edit and rehash", lambda s: edit_and_rehash(s, 5), WAR, 5, Harm.CONTENT_BROKEN),
        Attack(
            "edit and rehash the last",
            lambda s: edit_and_rehash(s, 16),
            WAR,
            16,
            Harm.CONTENT_BROKEN,
        ),
        Attack("edit and relink", lambda s: rewrite_from(s, 5), WAR, 5, Harm.CONTENT_BROKEN),
        Attack("delete the first", lambda s: delete(s, WAR, 1), WAR, 1, Harm.GAP),
        Attack("delete in the middle", lambda s: delete(s, WAR, 7), WAR, 7, Harm.GAP),
        Attack("delete several", lambda s: delete(s, WAR, 7, 8, 9, 11), WAR, 7, Harm.GAP),
        Attack("delete and close up", delete_and_close_up, WAR, 7, Harm.CONTENT_BROKEN),
        Attack("delete the last", lambda s: delete(s, SIDE, HEADS[SIDE]), SIDE, 7, Harm.CUT),
        Attack("delete all of a room", lambda s: delete(s, QUIET, 1, 2, 3, 4), QUIET, 1, Harm.CUT),
        Attack("swap two documents", swap_documents, WAR, 3, Harm.MISPLACED),
        Attack("exchange two seqs", exchange_seqs, WAR, 3, Harm.HASH),
        Attack("reorder and relink", reorder_and_relink, WAR, 3, Harm.CONTENT_BROKEN),
    ]


async def insert_at_the_end(scene: Scene) -> None:
    """A forged record follows the last one."""
    await scene.put((await scene.forge(WAR, END)).document())


async def insert_at_the_end_with_content(scene: Scene) -> None:
    """A forged record comes with a forged content."""
    forged = await scene.forge(WAR, END)
    await scene.put(forged.document())
    name = f"{place(WAR, END)}/{forged.hash[:8].hex()}"
    await scene.put_block({**await scene.block(WAR, 2), "_id": name})


async def insert_in_the_middle(scene: Scene) -> None:
    """A forged record pushes all that follow up by one, and they are relinked."""
    following = await scene.records(WAR, 5)
    forged = await scene.forge(WAR, 5)
    await scene.relink([forged, *(replace(record, seq=record.seq + 1) for record in following)])


async def insert_between(scene: Scene) -> None:
    """A forged record stands under a key that sorts between two others."""
    forged = await scene.forge(WAR, 6)
    await scene.put({**forged.document(), "_id": f"{place(WAR, 5)}+"})


async def insert_outside(scene: Scene) -> None:
    """A forged record stands under a key that no chain reaches."""
    await scene.put({**(await scene.forge(WAR, 6)).document(), "_id": ObjectId()})


async def copy_from_a_room(scene: Scene) -> None:
    """A record of another room is put behind the last one as it is."""
    await scene.drop_index("command_once")
    await scene.put({**await scene.document(SIDE, 3), "_id": place(WAR, END)})


async def copy_from_a_room_adapted(scene: Scene) -> None:
    """A record of another room is fitted to its new place."""
    copied = {**await scene.document(SIDE, 3), "_id": place(WAR, END), "room": WAR, "seq": END}
    await scene.put(copied)


def forgeries() -> list[Attack]:
    """Records are added."""
    return [
        Attack("insert at the end", insert_at_the_end, WAR, END, Harm.CONTENT_MISSING),
        Attack(
            "insert at the end with content",
            insert_at_the_end_with_content,
            WAR,
            END,
            Harm.CONTENT_BROKEN,
        ),
        Attack("insert in the middle", insert_in_the_middle, WAR, 5, Harm.CONTENT_BROKEN),
        Attack("insert between two keys", insert_between, WAR, 6, Harm.MISPLACED),
        Attack("insert outside the chains", insert_outside, NOWHERE, 0, Harm.MISPLACED),
        Attack("copy from another room", copy_from_a_room, WAR, END, Harm.MISPLACED),
        Attack("copy and adapt", copy_from_a_room_adapted, WAR, END, Harm.HASH),
    ]


def on_block(seq: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Deed:
    """Change fields of the block of `war` that holds an entry."""

    async def deed(scene: Scene) -> None:
        block = await scene.block(WAR, seq)
        await scene.put_block({**block, **change(block)})

    return deed


def flipped(item: bytes) -> bytes:
    """An item with one bit changed."""
    return item[:20] + bytes([item[20] ^ 1]) + item[21:]


def exchanged(items: list[bytes], one: int, other: int) -> list[bytes]:
    """Items of which two have changed places."""
    order = list(items)
    order[one], order[other] = items[other], items[one]
    return order


async def delete_block(scene: Scene) -> None:
    """Delete one document of contents."""
    block = await scene.block(WAR, TOGETHER[0])
    await scene.database[CONTENTS].delete_one({"_id": block["_id"]})


async def swap_blocks(scene: Scene) -> None:
    """Two documents of contents exchange all but their keys."""
    one, other = await scene.block(WAR, TOGETHER[0]), await scene.block(WAR, LATER[0])
    await scene.put_block({**one, "_id": other["_id"]})
    await scene.put_block({**other, "_id": one["_id"]})


def copied_to(name: str, source: tuple[str, int] = (WAR, 2), **fields: Any) -> Deed:
    """A genuine block is copied to another key."""

    async def deed(scene: Scene) -> None:
        await scene.put_block({**await scene.block(*source), **fields, "_id": name})

    return deed


def blocks() -> list[Attack]:
    """Contents are altered, taken away, moved, or added."""
    first, last = TOGETHER
    foreign, broken, missing = Harm.CONTENT_FOREIGN, Harm.CONTENT_BROKEN, Harm.CONTENT_MISSING

    def items(change: Callable[[list[bytes]], Any]) -> Deed:
        return on_block(first, lambda block: {"items": change(block["items"])})

    def beside(seq: int) -> str:
        return f"{place(WAR, seq)}/0011223344556677"

    return [
        Attack(
            "edit a byte of an item",
            items(lambda old: [*old[:3], flipped(old[3]), *old[4:]]),
            WAR,
            first + 3,
            broken,
        ),
        Attack("empty an item", items(lambda old: [*old[:3], b"", *old[4:]]), WAR, 5, missing),
        Attack("take out an item", items(lambda old: old[:3] + old[4:]), WAR, 5, broken),
        Attack("take away the last item", items(lambda old: old[:-1]), WAR, last, missing),
        Attack("add an item", items(lambda old: [*old, old[0]]), WAR, first, foreign),
        Attack("swap items in a block", items(lambda old: exchanged(old, 2, 5)), WAR, 4, broken),
        Attack("items of another type", items(lambda _: "text"), WAR, first, foreign),
        Attack("edit the tag", on_block(2, lambda b: {"tag": flipped(b["tag"])}), WAR, 2, foreign),
        Attack("edit the key epoch", on_block(2, lambda _: {"key": 7}), WAR, first, broken),
        Attack("add a field to a block", on_block(2, lambda _: {"x": 1}), WAR, first, foreign),
        Attack("delete a block", delete_block, WAR, first, missing),
        Attack("swap two blocks", swap_blocks, WAR, first, broken),
        Attack("forge a block", copied_to(beside(7), items=[b"x" * 40]), WAR, 7, foreign),
        Attack("forge a block beyond the head", copied_to(beside(END)), WAR, END, foreign),
        Attack("forge a block before the chain", copied_to(beside(0)), WAR, 0, foreign),
        Attack("forge a block without a key", copied_to(beside(7), key=9), WAR, 7, foreign),
        Attack("forge a block out of shape", copied_to(f"{WAR}/x/y"), WAR, 0, foreign),
        Attack(
            "forge a block of an unknown room",
            copied_to("ghost/00000000000001/0011223344556677"),
            "ghost",
            1,
            foreign,
        ),
        Attack("copy a block to another key", copied_to(beside(10)), WAR, 10, foreign),
        Attack(
            "copy a block to another room",
            copied_to(f"{SIDE}/00000000000002/0011223344556677"),
            SIDE,
            2,
            foreign,
        ),
    ]


async def delete_room_key(scene: Scene) -> None:
    """Delete the wrapped key of a room."""
    await scene.database[ROOM_KEYS].delete_one({"_id": f"{WAR}/000001"})


async def swap_room_keys(scene: Scene) -> None:
    """Put the wrapped key of another room in the place of this room's."""
    keys = scene.database[ROOM_KEYS]
    other = await keys.find_one({"_id": f"{SIDE}/000001"})
    assert other is not None
    await keys.update_one({"_id": f"{WAR}/000001"}, {"$set": {"wrapped": other["wrapped"]}})


async def garble_room_key(scene: Scene) -> None:
    """Overwrite the wrapped key of a room with what is none."""
    change = {"$set": {"wrapped": 7}}
    await scene.database[ROOM_KEYS].update_one({"_id": f"{WAR}/000001"}, change)


def keys() -> list[Attack]:
    """Keys are destroyed or exchanged: no content of the room can be read."""
    return [
        Attack("delete a room key", delete_room_key, WAR, 1, Harm.CONTENT_BROKEN),
        Attack("exchange room keys", swap_room_keys, WAR, 1, Harm.CONTENT_BROKEN),
        Attack("garble a room key", garble_room_key, WAR, 1, Harm.CONTENT_BROKEN),
    ]


ATTACKS: Final = (*rewrites(), *forgeries(), *blocks(), *keys())
