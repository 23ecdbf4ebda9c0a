"""The commit of one tenant on real servers: order, answers, dead letters, and its memory."""

import json
from typing import Any

import pytest

from actors.protocol.commands import (
    CloseRoom,
    CreateRoom,
    Post,
    PutMember,
    RecordFinding,
    RemoveMember,
    RenameRoom,
)
from actors.protocol.errors import ErrorCode
from actors.protocol.limits import (
    BATCH_COMMANDS_MAX,
    RECENT_COMMANDS_PER_ROOM,
    SNAPSHOT_EVERY_RECORDS,
)
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.mongo import CONTENTS, tenant_database
from tests.actors.by_hand import Stream, owner
from tests.actors.people import EXTERNAL, FINDING, MEMBER, OWNER, STRANGER, Person

pytestmark = pytest.mark.servers

TWICE_WHAT_IS_REMEMBERED = 2 * RECENT_COMMANDS_PER_ROOM + 88


def creation(**fields: Any) -> CreateRoom:
    """A room of the owner's."""
    return CreateRoom(
        client_id="create", actor=OWNER.name, role=OWNER.role, **{"name": "Room", **fields}
    )


def post(number: int, body: str = "", who: Person = OWNER) -> Post:
    """A message with a client_id and a text of its own."""
    return Post(
        client_id=f"m{number}", actor=who.name, role=who.role, body=body or f"text {number}"
    )


async def test_the_commands_of_a_message_are_committed_in_order(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        receipts = await one.do("r1", creation(), *(post(number) for number in range(20)))
        assert [receipt.seq for receipt in receipts] == list(range(1, 22))
        entries = await one.reader.entries("r1", after=1)
        assert [entry.content for entry in entries] == [b"text %d" % n for n in range(20)]
        assert [receipt.hash for receipt in receipts[1:]] == [entry.hash.hex() for entry in entries]


async def test_one_commit_takes_what_waits_for_all_rooms(stack: LocalStack, tenant: str) -> None:
    async with owner(stack, tenant) as one:
        for number in range(30):
            one.put(f"r{number}", creation())
        assert {(await one.reply()).code for _ in range(30)} == {None}
        await one.done()
        assert one.metric("wardroom_commit_records_count") == 1


async def test_who_was_removed_by_an_earlier_command_of_the_same_message_is_refused(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation(members={MEMBER.name: "member"}))
        answers = await one.ask(
            "r1",
            post(1, who=MEMBER),
            OWNER.asks(RemoveMember, user=MEMBER.name),
            post(2, who=MEMBER),
        )
        assert {answer.client_id: answer.code for answer in answers} == {
            "m1": None,
            "c1": None,
            "m2": ErrorCode.NOT_FOUND,
        }
        assert await one.reader.head("r1") == 3


BAD_COMMANDS: list[Any] = [
    {"type": "shout"},
    {"type": "post", "client_id": "bad", "ref": "t", "actor": "olga", "role": "analyst"},
    7,
    None,
    json.loads('{"a":' * 300 + "1" + "}" * 300),
    json.loads("[" * 900 + "]" * 900),
    {
        **EXTERNAL.asks(RecordFinding, finding=FINDING).model_dump(mode="json"),
        "finding": {
            **FINDING.model_dump(mode="json"),
            "raw": {"a": json.loads("[" * 300 + "]" * 300)},
        },
    },
]


async def test_every_bad_command_is_a_dead_letter_and_its_neighbours_are_not(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        one.put("r1", creation(), *BAD_COMMANDS, post(1))
        await one.done()
        assert await one.reader.head("r1") == 2
        letters = await one.reader.dead_letters(99)
        assert {letter["subject"] for letter in letters} == {f"room.{tenant}.r1"}
        assert len(letters) == len(BAD_COMMANDS)
        assert all(letter["reason"] and letter["body"] for letter in letters)


async def test_the_asker_of_a_bad_command_is_told_what_is_wrong(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        bad = {**post(1).model_dump(mode="json"), "ref": "t9", "thread": "the first"}
        (answer,) = await one.ask("r1", bad)
        assert (answer.ref, answer.client_id, answer.code) == ("t9", "m1", ErrorCode.INVALID)
        assert "thread" in answer.detail


async def test_a_quiet_command_is_answered_only_when_it_makes_no_new_entry(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        quiet = post(1).model_copy(update={"quiet": True})
        one.put("r1", quiet)
        await one.done()
        again = await one.ask("r1", quiet)
        assert again[0].receipt is not None
        assert again[0].receipt.duplicate
        assert (await one.ask("r1", post(2, who=STRANGER)))[0].code is ErrorCode.NOT_FOUND


async def test_the_next_owner_knows_more_commands_than_it_remembers(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    posts = [post(number) for number in range(TWICE_WHAT_IS_REMEMBERED)]
    async with owner(stack, tenant, stream) as first:
        await first.do("r1", creation())
        receipts = await first.do("r1", *posts[:BATCH_COMMANDS_MAX])
        receipts += await first.do("r1", *posts[BATCH_COMMANDS_MAX:])
    async with owner(stack, tenant, stream, epoch=2) as second:
        # Both messages are there before the first commit, so that one commit must know them all.
        second.put("r1", *posts[:BATCH_COMMANDS_MAX])
        second.put("r1", *posts[BATCH_COMMANDS_MAX:], post(9_999))
        answers = [await second.reply() for _ in range(len(posts) + 1)]
    again = {answer.client_id: answer.receipt for answer in answers}
    for receipt in receipts:
        repeated = again[receipt.client_id]
        assert repeated is not None
        assert (repeated.seq, repeated.hash, repeated.duplicate) == (
            receipt.seq,
            receipt.hash,
            True,
        )
    new = again["m9999"]
    assert new is not None
    assert new.seq == receipts[-1].seq + 1


@pytest.mark.parametrize("kept", [True, False], ids=["in-memory", "next-owner"])
async def test_a_command_that_changed_the_room_gets_its_receipt_again_though_it_would_be_refused_now(
    stack: LocalStack, tenant: str, kept: bool
) -> None:
    stream = Stream()
    done = [
        creation(members={MEMBER.name: "member"}),
        post(1, who=MEMBER),
        OWNER.asks(RemoveMember, user=MEMBER.name),
        CloseRoom(client_id="close", actor=OWNER.name, role=OWNER.role),
    ]
    async with owner(stack, tenant, stream) as first:
        receipts = await first.do("r1", *done)
        if kept:
            again = await first.do("r1", *done)
    if not kept:
        async with owner(stack, tenant, stream, epoch=2) as second:
            again = await second.do("r1", *done)
    assert {(r.client_id, r.seq, r.hash) for r in again} == {
        (r.client_id, r.seq, r.hash) for r in receipts
    }
    assert all(receipt.duplicate for receipt in again)


@pytest.mark.parametrize("refusable", [False, True], ids=["allowed-now", "refused-now"])
async def test_the_next_owner_still_sees_that_a_client_id_was_used_for_something_else(
    stack: LocalStack, tenant: str, refusable: bool
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as first:
        await first.do("r1", creation(), post(1))
        if refusable:
            await first.do("r1", OWNER.asks(CloseRoom))
    async with owner(stack, tenant, stream, epoch=2) as second:
        (answer,) = await second.ask("r1", post(1, "something else"))
    assert answer.code is ErrorCode.CONFLICT


async def test_the_same_client_id_is_free_in_another_room_and_for_another_person(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        for room in ("r1", "r2"):
            await one.do(room, creation(members={MEMBER.name: "member"}))
            mine, his = await one.do(room, post(1, "a"), post(1, "b", who=MEMBER))
            assert (mine.seq, his.seq) == (2, 3)


async def test_a_room_is_loaded_again_from_its_snapshot_and_what_came_after(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation(), post(1), OWNER.asks(PutMember, user=MEMBER.name))
        for mailbox in one.worker.mailboxes.active_since(float("-inf")):
            mailbox.used_at = float("-inf")
        await one.worker.passivate()
        assert len(one.worker.mailboxes) == 0
        (receipt,) = await one.do("r1", post(2, who=MEMBER))
        assert receipt.seq == 4
        renamed = RenameRoom(client_id="c9", actor=MEMBER.name, role=MEMBER.role, name="Mine")
        assert (await one.ask("r1", renamed))[0].code is ErrorCode.FORBIDDEN


async def test_a_long_talk_is_saved_on_the_way_so_that_reloading_reads_a_short_tail(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant) as one:
        await one.do("r1", creation())
        for start in range(0, SNAPSHOT_EVERY_RECORDS + 1, BATCH_COMMANDS_MAX):
            await one.do("r1", *(post(start + n) for n in range(BATCH_COMMANDS_MAX)))
        await one.done()
        snapshot = await one.worker.mailboxes.projections.snapshot("r1")
    assert snapshot is not None
    assert snapshot.applied > SNAPSHOT_EVERY_RECORDS


async def test_a_room_that_can_not_be_rebuilt_is_refused_and_the_others_go_on(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as first:
        await first.do("bad", creation())
        await first.do("good", creation())
        rooms = first.services.connection.database(f"wardroom_{tenant}")["rooms"]
        await rooms.delete_one({"_id": "bad"})
    await erase_contents(stack, tenant, "bad")
    async with owner(stack, tenant, stream, epoch=2) as second:
        (answer,) = await second.ask("bad", post(1))
        assert answer.code is ErrorCode.UNAVAILABLE
        await second.do("good", post(1))


async def erase_contents(stack: LocalStack, tenant: str, room: str) -> None:
    """Do what only an administrator of the database can."""
    connection = MongoConnection(stack.mongo_url)
    contents = connection.database(tenant_database(tenant))[CONTENTS]
    await contents.delete_many({"_id": {"$gte": f"{room}/", "$lt": f"{room}0"}})
    await connection.close()
