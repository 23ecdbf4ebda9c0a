"""An administrator of MongoDB against the evidence: what verification names, and what it can't see."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

import pytest
from pymongo.errors import OperationFailure

from actors.client import ActorClient
from actors.protocol.commands import CreateRoom
from actors.protocol.ids import TENANT_ROOM
from deploy.local.stack import LocalStack
from store.chain import Head
from store.driver import Database, MongoConnection
from store.errors import WrongPlace
from store.keys import KeyRing, RootKey
from store.log import TenantLog
from store.mongo import CONTENTS, RECORDS, ROOM_KEYS, ROOMS, tenant_database
from store.projections import Projections
from store.record import FIELDS, place
from store.tenant_reader import TenantReader
from store.verdict import Harm, TenantVerdict
from store.verify import verify_tenant
from tests.e2e.attacks import (
    ATTACKS,
    END,
    Attack,
    delete,
    edits,
    insert_at_the_end,
    rewrite_from,
)
from tests.e2e.system import System
from tests.e2e.tampered import (
    ANA,
    HEADS,
    LATER,
    QUIET,
    SIDE,
    TOGETHER,
    WAR,
    Scene,
    live,
    posts,
    send,
)
from tests.support.chains import Chain

UNAUTHORIZED = 13
MakeScene = Callable[[], Awaitable[Scene]]
Verify = Callable[[Scene], Awaitable[TenantVerdict]]


@pytest.fixture
def client(system: System) -> ActorClient:
    """A client of real actors."""
    return system.operator


@pytest.fixture(scope="module")
async def auditor(stack: LocalStack) -> AsyncIterator[MongoConnection]:
    """The connection that verification uses."""
    opened = MongoConnection(stack.mongo_url_for("auditor"))
    yield opened
    await opened.close()


@pytest.fixture
def make_scene(stack: LocalStack, client: ActorClient, admin: MongoConnection) -> MakeScene:
    """Makes fresh tenants that have lived a little."""

    async def make() -> Scene:
        tenant = f"t{uuid4().hex[:12]}"
        await stack.create_tenant(tenant, "Tampered with")
        await live(client, tenant)
        return Scene(tenant, admin.database(tenant_database(tenant)))

    return make


@pytest.fixture
async def scene(make_scene: MakeScene) -> Scene:
    """One such tenant."""
    return await make_scene()


@pytest.fixture
def verify(auditor: MongoConnection, root: RootKey) -> Verify:
    """Verifies a tenant with keys read anew."""

    async def run(scene: Scene) -> TenantVerdict:
        return await verify_tenant(auditor, KeyRing(auditor, root), scene.tenant)

    return run


async def test_an_untouched_tenant_verifies(scene: Scene, verify: Verify) -> None:
    verdict = await verify(scene)
    assert verdict.verified
    assert {room.room: room.head.seq for room in verdict.rooms} == HEADS
    assert all(room.records == room.contents == room.head.seq for room in verdict.rooms)
    assert sum(room.unclaimed for room in verdict.rooms) == 0
    for first, last in (TOGETHER, LATER):
        assert len((await scene.block(WAR, first))["items"]) == last - first + 1


async def test_every_edit_of_a_field_is_named(
    scene: Scene, client: ActorClient, verify: Verify
) -> None:
    wanted = edits()
    assert {name for fields, _ in wanted.values() for name in fields} == FIELDS - {"_id"} | {"note"}
    for room in wanted:
        await send(client, scene.tenant, room, CreateRoom(client_id="c", name=room, **ANA))
    await asyncio.gather(*(send(client, scene.tenant, room, *posts(room, 6)) for room in wanted))
    for room, (fields, _) in wanted.items():
        await scene.edit(room, 5, fields)
    problems = (await verify(scene)).problems
    found = {problem.room: (problem.seq, problem.harm) for problem in problems}
    assert found == {room: (5, harm) for room, (_, harm) in wanted.items()}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
async def test_tampering_is_named_where_it_shows_first(
    attack: Attack, scene: Scene, verify: Verify
) -> None:
    await attack.deed(scene)
    problems = (await verify(scene)).problems
    assert [(problem.room, problem.seq, problem.harm) for problem in problems] == [
        (attack.room, attack.seq, attack.harm)
    ]


async def test_what_comes_from_another_tenant_is_named(
    make_scene: MakeScene, verify: Verify
) -> None:
    scene, other = await make_scene(), await make_scene()
    copied = {**await other.document(WAR, 16), "_id": place(QUIET, 5)}
    await scene.drop_index("command_once")
    await scene.put(copied)
    await scene.put_block(await other.block(SIDE, 1))
    found = [
        (problem.room, problem.seq, problem.harm) for problem in (await verify(scene)).problems
    ]
    assert found == [(QUIET, 5, Harm.MISPLACED), (SIDE, 1, Harm.CONTENT_FOREIGN)]


async def test_a_cut_of_messages_is_named_once_the_head_was_noted(
    scene: Scene, verify: Verify
) -> None:
    await scene.heads_noted(WAR, TENANT_ROOM)
    await delete(scene, WAR, 16)
    await delete(scene, TENANT_ROOM, 3)
    found = [
        (problem.room, problem.seq, problem.harm) for problem in (await verify(scene)).problems
    ]
    assert found == [(TENANT_ROOM, 3, Harm.CUT), (WAR, 16, Harm.CUT)]


async def test_a_rewritten_chain_with_its_note_is_named_by_its_contents(
    scene: Scene, verify: Verify
) -> None:
    await scene.heads_noted(WAR)
    await rewrite_from(scene, 5)
    last = (await scene.records(WAR, 16))[0]
    await scene.database[ROOMS].update_one({"_id": WAR}, {"$set": {"head_hash": last.hash}})
    problem = (await verify(scene)).problems[0]
    assert (problem.room, problem.seq, problem.harm) == (WAR, 5, Harm.CONTENT_BROKEN)


async def test_a_forged_record_is_not_made_good_by_a_note_of_it(
    scene: Scene, verify: Verify
) -> None:
    await insert_at_the_end(scene)
    forged = (await scene.records(WAR, END))[0]
    note = {"$set": {"head": END, "head_hash": forged.hash}}
    await scene.database[ROOMS].update_one({"_id": WAR}, note)
    problem = (await verify(scene)).problems[0]
    assert (problem.room, problem.seq, problem.harm) == (WAR, END, Harm.CONTENT_MISSING)


async def roll_back(scene: Scene, room: str, head: int) -> None:
    """Cut a chain and set back the notes of its head."""
    await delete(scene, room, *range(head + 1, HEADS[room] + 1))
    last = (await scene.records(room, head))[0]
    note = {"head": head, "head_hash": last.hash, "applied": head}
    await scene.database[ROOMS].update_one({"_id": room}, {"$set": note})


async def test_not_caught_a_cut_with_its_notes_shows_as_unclaimed_contents_only(
    scene: Scene, verify: Verify
) -> None:
    await scene.heads_noted(SIDE)
    await roll_back(scene, SIDE, 1)
    verdict = await verify(scene)
    assert verdict.verified
    assert {room.room: room.unclaimed for room in verdict.rooms}[SIDE] == 2


async def test_not_caught_a_cut_with_its_notes_and_contents_shows_nowhere(
    scene: Scene, verify: Verify
) -> None:
    await scene.heads_noted(SIDE)
    await roll_back(scene, SIDE, 1)
    later = {"_id": {"$gte": place(SIDE, 2), "$lt": f"{SIDE}0"}}
    await scene.database[CONTENTS].delete_many(later)
    verdict = await verify(scene)
    assert verdict.verified
    assert sum(room.unclaimed for room in verdict.rooms) == 0


async def test_not_caught_a_room_that_was_removed_without_a_trace(
    scene: Scene, verify: Verify
) -> None:
    await scene.heads_noted(QUIET)
    for name in (RECORDS, CONTENTS, ROOM_KEYS, ROOMS):
        keys = {"$regex": f"^{QUIET}(/|$)"}
        await scene.database[name].delete_many({"_id": keys})
    verdict = await verify(scene)
    assert verdict.verified
    assert QUIET not in {room.room for room in verdict.rooms}


async def test_not_caught_a_chain_that_was_rewritten_with_the_root_key(
    scene: Scene, verify: Verify, admin: MongoConnection, root: RootKey
) -> None:
    await scene.heads_noted(QUIET)
    before = (await scene.records(QUIET, 1))[0]
    await roll_back(scene, QUIET, 1)
    later = {"_id": {"$gte": place(QUIET, 2), "$lt": f"{QUIET}0"}}
    await scene.database[CONTENTS].delete_many(later)
    key = await KeyRing(admin, root).room_key(scene.tenant, QUIET, 1)
    head = Head(before.seq, before.hash, before.epoch, before.at)
    chain = Chain(scene.tenant, QUIET, key=key, head=head, epoch=before.epoch, src=before.src)
    forged = chain.commit("nobody", "said", "this")
    await scene.put(*forged.documents)
    await scene.database[CONTENTS].insert_many(forged.contents)
    await Projections(admin, KeyRing(admin, root), scene.tenant).save_heads({QUIET: chain.head})
    verdict = await verify(scene)
    assert verdict.verified
    assert {room.room: room.head for room in verdict.rooms}[QUIET] == chain.head


async def test_altered_clear_fields_of_a_projection_let_nobody_in(
    scene: Scene, admin: MongoConnection, root: RootKey
) -> None:
    clear = {"members": ["u_eve"], "open_to": ["viewer"], "status": "open"}
    await scene.database[ROOMS].update_one({"_id": WAR}, {"$set": clear})
    reader = TenantReader(admin, KeyRing(admin, root), scene.tenant)
    row = await reader.room(WAR)
    assert row is not None
    assert "u_eve" not in row.members
    assert await reader.rooms_for("u_eve", "viewer", after="", limit=10) == []


ALTERATIONS: dict[str, Callable[[Database, str], Awaitable[object]]] = {
    "update": lambda db, key: db[RECORDS].update_one({"_id": key}, {"$set": {"actor": "x"}}),
    "upsert": lambda db, _: db[RECORDS].update_one({"_id": "new"}, {"$set": {"a": 1}}, upsert=True),
    "replace": lambda db, key: db[RECORDS].replace_one({"_id": key}, {"actor": "x"}),
    "delete": lambda db, key: db[RECORDS].delete_one({"_id": key}),
    "delete many": lambda db, _: db[RECORDS].delete_many({}),
    "findAndModify": lambda db, key: db.command(
        "findAndModify", RECORDS, query={"_id": key}, update={"$set": {"actor": "x"}}
    ),
    "findAndModify remove": lambda db, key: db.command(
        "findAndModify", RECORDS, query={"_id": key}, remove=True
    ),
    "drop": lambda db, _: db.command("drop", RECORDS),
    "drop the database": lambda db, _: db.command("dropDatabase"),
    "drop the indexes": lambda db, _: db.command("dropIndexes", RECORDS, index="*"),
    "aggregate into": lambda db, _: db.command(
        "aggregate", RECORDS, pipeline=[{"$out": RECORDS}], cursor={}
    ),
    "delete contents": lambda db, _: db[CONTENTS].delete_many({}),
    "update contents": lambda db, _: db[CONTENTS].update_one({}, {"$set": {"key": 2}}),
    "delete keys": lambda db, _: db[ROOM_KEYS].delete_many({}),
}


async def test_mongod_lets_no_actor_alter_the_evidence(
    stack: LocalStack, scene: Scene, verify: Verify
) -> None:
    opened = MongoConnection(stack.mongo_url_for("actors"))
    database = opened.database(tenant_database(scene.tenant))
    for name, alteration in ALTERATIONS.items():
        with pytest.raises(OperationFailure) as refused:
            await alteration(database, place(WAR, 5))
        assert refused.value.code == UNAUTHORIZED, name
    await opened.close()
    assert (await verify(scene)).verified


async def test_the_content_of_a_commit_that_came_too_late_accuses_nobody(
    stack: LocalStack, scene: Scene, root: RootKey, verify: Verify
) -> None:
    # Of two that both believe to own the room, the later one writes contents that no record claims.
    before = _counts(await verify(scene))
    opened = MongoConnection(stack.mongo_url_for("actors"))
    keys = KeyRing(opened, root)
    late = Chain(
        scene.tenant, WAR, key=await keys.current_room_key(scene.tenant, WAR, 1), src=10**6
    )
    commit = late.commit("too late")
    with pytest.raises(WrongPlace):
        await TenantLog(opened, keys, scene.tenant).append(commit.documents, commit.contents)
    await opened.close()
    after = await verify(scene)
    records, contents, unclaimed = before
    assert after.verified
    assert _counts(after) == (records, contents, unclaimed + 1)


def _counts(verdict: TenantVerdict) -> tuple[int, int, int]:
    room = next(room for room in verdict.rooms if room.room == WAR)
    return room.records, room.contents, room.unclaimed


def test_every_attack_has_a_name_of_its_own() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert replace(ATTACKS[0], name="x") != ATTACKS[0]
