"""An actor process on real servers, spoken to as a gateway does."""

import asyncio
from itertools import pairwise
from typing import Any

import orjson
import pytest
from nats.js.kv import KeyValue

from actors.client import ActorClient
from actors.protocol.commands import (
    CloseRoom,
    EndSession,
    Post,
    PutMember,
    RemoveMember,
    ReopenRoom,
)
from actors.protocol.envelope import Reply, RoomEvent, encode_batch
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.limits import BATCH_BYTES_MAX, LANES_DEFAULT, STREAM_MESSAGE_BYTES_MAX
from actors.protocol.roles import Role
from actors.protocol.subjects import (
    OWNERS_BUCKET,
    OWNERS_KEY,
    lane_of,
    lane_token,
    room_stream,
    room_subject,
)
from actors.runtime.jetstream import Bus
from deploy.local.stack import LocalStack
from deploy.provision.tenants import create_tenant, open_platform
from tests.actors.people import MEMBER, OWNER, STRANGER, SYSTEM
from tests.actors.running import Place
from tests.actors.test_tenant_rules import FIRST, SECOND, new_user, opening, refreshing
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

YEAR_2096_MS = 4_000_000_000_000


async def refusal(place: Place, room: str, command: Any) -> ErrorCode:
    """The code with which a command is refused."""
    with pytest.raises(Refusal) as refused:
        await place.do(room, command)
    return refused.value.code


async def test_a_tenant_that_is_made_while_actors_run_is_served(place: Place) -> None:
    receipt = await place.create("r1")
    assert (receipt.seq, receipt.duplicate) == (1, False)
    assert [entry.kind for entry in await place.entries("r1")] == ["room_created"]


async def test_a_client_id_is_good_once_in_a_room_for_a_person(place: Place) -> None:
    for room in ("r1", "r2"):
        await place.create(room, members={MEMBER.name: "member"})
    first = await place.post("r1", 1)
    again = await place.post("r1", 1)
    assert (again.seq, again.hash, again.duplicate) == (first.seq, first.hash, True)
    with pytest.raises(Refusal) as refused:
        await place.post("r1", 1, body="something else")
    assert refused.value.code is ErrorCode.CONFLICT
    assert not (await place.post("r2", 1)).duplicate
    assert not (await place.post("r1", 1, MEMBER)).duplicate


async def test_a_client_id_is_known_after_a_restart_and_after_many_others(place: Place) -> None:
    await place.create("r1")
    receipts = await asyncio.gather(*(place.post("r1", number) for number in range(700)))
    await place.running.restart()
    again = await asyncio.gather(*(place.post("r1", number) for number in range(700)))
    assert [(one.seq, one.hash) for one in again] == [(one.seq, one.hash) for one in receipts]
    assert all(receipt.duplicate for receipt in again)
    with pytest.raises(Refusal):
        await place.post("r1", 3, body="something else")
    assert len(await place.entries("r1")) == 701


async def test_what_one_client_sends_is_committed_in_its_order(place: Place) -> None:
    for room in ("r1", "r2", "r3"):
        await place.create(room)
    asked = [(f"r{1 + number % 3}", number) for number in range(600)]
    receipts = await asyncio.gather(*(place.post(room, number) for room, number in asked))
    for room in ("r1", "r2", "r3"):
        seqs = [receipt.seq for receipt in receipts if receipt.room == room]
        assert seqs == list(range(2, 202))
    assert (await place.running.verdict(place.tenant)).verified


async def test_the_order_is_kept_when_the_number_of_lanes_becomes_known_on_the_way(
    place: Place,
) -> None:
    known: list[int] = []
    client = await ActorClient.start(
        place.running.bus, "learner", lambda _: known[0] if known else None
    )
    await place.create("r1")

    async def post(number: int) -> int:
        command = Post(client_id=f"m{number}", actor=OWNER.name, role=OWNER.role, body="x")
        return (await client.send(place.tenant, "r1", command)).seq

    sent = [asyncio.create_task(post(0))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sent.append(asyncio.create_task(post(1)))
    await asyncio.sleep(0)
    known.append(LANES_DEFAULT)
    sent.append(asyncio.create_task(post(2)))
    assert await asyncio.gather(*sent) == [2, 3, 4]


async def test_a_room_is_listened_to_without_a_gap(place: Place) -> None:
    heard: list[RoomEvent] = []
    await place.create("r1")
    stop = await place.running.client.subscribe_events(place.tenant, "r1", heard.append)
    receipts = await asyncio.gather(*(place.post("r1", number) for number in range(200)))

    async def all_heard() -> bool | None:
        return True if heard and heard[-1].head == receipts[-1].seq else None

    await eventually(all_heard, "the last entry")
    await stop()
    entries = [entry for event in heard for entry in event.entries]
    assert [entry.seq for entry in entries] == list(range(2, 202))
    assert all(later.prev == before.hash for before, later in pairwise(entries))
    assert [entry.hash for entry in entries] == [receipt.hash for receipt in receipts]
    assert [entry.body for entry in entries] == [f"text {number}" for number in range(200)]


async def test_a_post_without_waiting_is_answered_by_its_event_or_if_there_is_none_by_a_reply(
    place: Place,
) -> None:
    client = place.running.client
    heard: list[RoomEvent] = []
    replies: list[Reply] = []
    client.on_reply("zz", replies.append)
    await place.create("r1")
    stop = await client.subscribe_events(place.tenant, "r1", heard.append)
    quiet = OWNER.asks(Post, client_id="m1", ref="zz1", quiet=True, body="quiet")
    stranger = STRANGER.asks(Post, ref="zz2", quiet=True, body="may I?")
    for command in (quiet, stranger, quiet):
        client.post_nowait(place.tenant, "r1", command.model_dump_json().encode())
    await client.drain()

    async def answered() -> bool | None:
        spoken = any(event.entries for event in heard)
        return True if len(replies) == 2 and spoken else None

    await eventually(answered, "two replies and an event")
    await stop()
    assert {(reply.ref, reply.code) for reply in replies} == {
        ("zz1", None),
        ("zz2", ErrorCode.NOT_FOUND),
    }
    again = next(reply.receipt for reply in replies if reply.ref == "zz1")
    assert again is not None
    assert again.duplicate
    assert [entry.body for event in heard for entry in event.entries] == ["quiet"]


async def test_a_ticket_is_redeemed_once_whichever_process_asks(place: Place) -> None:
    other = await ActorClient.start(place.running.bus, "another")
    key = f"{place.tenant}-ticket"
    first = await asyncio.gather(place.running.client.redeem_once(key), other.redeem_once(key))
    assert sorted(first) == [False, True]
    assert not await other.redeem_once(key)


async def test_after_a_member_is_removed_nothing_of_his_is_committed(place: Place) -> None:
    await place.create("r1", members={MEMBER.name: "member"})
    posts = [asyncio.create_task(place.post("r1", number, MEMBER)) for number in range(50)]
    removed = await place.do("r1", OWNER.asks(RemoveMember, user=MEMBER.name))
    posts += [asyncio.create_task(place.post("r1", number, MEMBER)) for number in range(50, 80)]
    outcomes = await asyncio.gather(*posts, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    assert {outcome.code for outcome in refused} == {ErrorCode.NOT_FOUND}
    assert len(refused) >= 30
    later = await place.entries("r1", after=removed.seq)
    assert [entry for entry in later if entry.actor == MEMBER.name] == []
    await place.do("r1", OWNER.asks(PutMember, client_id="c2", user=MEMBER.name))
    assert not (await place.post("r1", 99, MEMBER)).duplicate


async def test_a_closed_room_takes_no_words_until_it_is_opened_again(place: Place) -> None:
    await place.create("r1")
    await place.do("r1", OWNER.asks(CloseRoom, reason="over"))
    with pytest.raises(Refusal) as refused:
        await place.post("r1", 1)
    assert refused.value.code is ErrorCode.ROOM_CLOSED
    row = await place.running.reader(place.tenant).room("r1")
    assert row is not None
    assert row.status == "closed"
    await place.do("r1", OWNER.asks(ReopenRoom, client_id="c2"))
    assert (await place.post("r1", 1)).seq == 4


async def test_a_stranger_learns_nothing_of_a_room(place: Place) -> None:
    await place.create("r1")
    there = Post(client_id="m1", actor=STRANGER.name, role=STRANGER.role, body="hello?")
    answers = []
    for room in ("r1", "nowhere"):
        with pytest.raises(Refusal) as refused:
            await place.do(room, there)
        answers.append((refused.value.code, refused.value.detail))
    assert answers[0] == answers[1]


async def test_signing_in_out_and_a_stolen_token(place: Place) -> None:
    reader = place.running.reader(place.tenant)
    await place.do(TENANT_ROOM, new_user(SYSTEM, user="u1"))
    await place.do(TENANT_ROOM, opening(expires_ms=YEAR_2096_MS))
    assert await reader.session_active("s1")
    first = refreshing(FIRST, client_id="s2", expires_ms=YEAR_2096_MS)
    assert (await place.do(TENANT_ROOM, first)).kind == "session_refreshed"
    assert (await place.do(TENANT_ROOM, first)).kind == "session_refreshed"
    stolen = refreshing(FIRST, client_id="s3", expires_ms=YEAR_2096_MS)
    assert (await place.do(TENANT_ROOM, stolen)).kind == "session_ended"
    assert not await reader.session_active("s1")
    for command in (
        refreshing(SECOND, client_id="s4"),
        EndSession(client_id="s5", actor="u1", role=Role.ANALYST, session="s1"),
    ):
        assert await refusal(place, TENANT_ROOM, command) is ErrorCode.SESSION_ENDED
    again = new_user(SYSTEM, user="u2", client_id="again")
    assert await refusal(place, TENANT_ROOM, again) is ErrorCode.CONFLICT


UNREADABLE = {
    b"not json": "r1",
    b"[" * 3_000: "r1",
    b'{"v":99}': "r1",
    encode_batch("reply.x\r\nPUB y 0", ["r1"], [b"{}"]): "r1",
    encode_batch("", ["a|b"], [b"{}"]): "a|b",
    encode_batch("", ["_lane"], [b"{}"]): "_lane",
    b"": "r1",
}


async def test_every_message_that_can_not_be_read_is_kept_and_the_lanes_go_on(place: Place) -> None:
    await place.create("r1")
    for body, token in UNREADABLE.items():
        subject = room_subject(place.tenant, token, "message")
        await place.running.bus.publish_acked(subject, body, timeout_s=5)
    await place.post("r1", 1)

    async def all_kept() -> list[dict[str, Any]] | None:
        found = await place.letters()
        return found if len(found) == len(UNREADABLE) else None

    for letter in await eventually(all_kept, "the dead letters"):
        token = UNREADABLE[letter["body"]]
        assert letter["subject"].endswith(f".{place.tenant}.{token}.message")
        assert letter["reason"]


async def test_a_room_that_comes_by_another_rooms_lane_is_not_committed_there(place: Place) -> None:
    await place.create("r1")
    other = next(
        f"other{number}"
        for number in range(99)
        if lane_of(f"other{number}", LANES_DEFAULT) != lane_of("r1", LANES_DEFAULT)
    )
    smuggled = {
        "type": "create_room",
        "client_id": "c1",
        "actor": OWNER.name,
        "role": OWNER.role,
        "name": "smuggled",
    }
    await place.running.bus.publish_acked(
        room_subject(place.tenant, "r1", "command"),
        encode_batch("", [other], [orjson.dumps(smuggled)]),
        timeout_s=5,
    )
    await place.post("r1", 1)
    assert await place.entries(other) == []
    assert (await place.create(other)).seq == 1


async def test_a_command_that_is_too_large_is_refused_at_once_and_holds_nobody_up(
    place: Place,
) -> None:
    await place.create("r1")
    with pytest.raises(Refusal) as refused:
        await place.post("r1", 1, body="x" * STREAM_MESSAGE_BYTES_MAX)
    assert refused.value.code is ErrorCode.TOO_LARGE
    with pytest.raises(Refusal) as refused:
        await place.post("r1", 1, body="x" * (BATCH_BYTES_MAX - 1_000))
    assert refused.value.code is ErrorCode.TOO_LARGE
    assert (await place.post("r1", 1)).seq == 2


async def test_a_name_that_no_room_can_have_is_refused_before_it_travels_with_others(
    place: Place,
) -> None:
    await place.create("r1")
    impossible = ["", "a.b", "a b", "_x", "r" * 65, "a>", "é"]
    outcomes = await asyncio.gather(
        place.post("r1", 1),
        *(place.post(room, 1) for room in impossible),
        place.post("r1", 2),
        return_exceptions=True,
    )
    refused = [isinstance(outcome, Refusal) for outcome in outcomes]
    assert refused == [False, *(True for _ in impossible), False]
    assert await place.letters() == []


async def test_a_process_that_comes_back_under_its_name_is_not_taken_for_its_predecessor(
    place: Place,
) -> None:
    await place.create("r1")
    command = Post(client_id="m1", actor=OWNER.name, role=OWNER.role, body="first life")
    receipts = []
    for life in ("first", "second"):
        client = await ActorClient.start(place.running.bus, "same-name")
        said = command.model_copy(update={"client_id": f"m-{life}", "body": f"{life} life"})
        receipts.append(await client.send(place.tenant, "r1", said))
    assert [receipt.seq for receipt in receipts] == [2, 3]
    assert [receipt.client_id for receipt in receipts] == ["m-first", "m-second"]


async def test_the_lane_of_a_room_is_what_the_server_makes_of_it(
    stack: LocalStack, tenant: str
) -> None:
    rooms = [f"room-{number:x}" for number in range(0, 2_000_000_000, 17_000_000)]
    rooms += ["a", "Z" * 64, "-", TENANT_ROOM, *(lane_token(lane, 4) for lane in range(4))]
    async with open_platform(stack.secrets, stack.nats_url, stack.mongo_url) as platform:
        js = platform.core.jetstream()
        bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("gateway"), "lanes")
        for room in rooms:
            await bus.publish_acked(
                room_subject(tenant, room, "message"), encode_batch("", [], []), timeout_s=5
            )
        await bus.close()
        stream = room_stream(tenant)
        for number, room in enumerate(rooms, start=1):
            stored = await js.get_msg(stream, number)
            lane = lane_of(room, LANES_DEFAULT)
            assert stored.subject == f"room.{lane}.{tenant}.{room}.message"


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 16, 63, 64])
def test_every_lane_has_a_token_that_leads_into_it_and_names_no_room(lanes: int) -> None:
    tokens = [lane_token(lane, lanes) for lane in range(lanes)]
    assert [lane_of(token, lanes) for token in tokens] == list(range(lanes))
    assert all(token.startswith("_") for token in tokens)


async def test_stopping_in_the_middle_of_work_loses_nothing_and_frees_the_shards_at_once(
    place: Place,
) -> None:
    await place.create("r1")
    posts = [asyncio.create_task(place.post("r1", number)) for number in range(3_000)]
    await posts[0]
    status = await place.running.child.stop()
    assert status == 0
    assert await shard_owners(place.running.stack) == {""}
    await place.running.start()
    receipts = await asyncio.gather(*posts)
    entries = {entry.seq: entry for entry in await place.entries("r1")}
    assert len(entries) == 3_001
    for number, receipt in enumerate(receipts):
        assert entries[receipt.seq].hash.hex() == receipt.hash
        assert entries[receipt.seq].content == f"text {number}".encode()
    assert [receipt.seq for receipt in receipts] == list(range(2, 3_002))
    assert (await place.running.verdict(place.tenant)).verified


async def shard_owners(stack: LocalStack) -> set[str]:
    """Who owns shards by the table."""
    bus = await Bus.connect(stack.nats_url, stack.secrets.credentials_file("actors"), "owners")
    bucket: KeyValue = await bus.client.jetstream().key_value(OWNERS_BUCKET)
    table = await bucket.get(OWNERS_KEY)
    await bus.close()
    return {owner for owner, _ in orjson.loads(table.value or b"")["shards"].values()}


async def test_a_stream_that_was_lost_and_born_again_takes_commands_and_nothing_is_doubled(
    place: Place,
) -> None:
    await place.create("r1")
    before = await asyncio.gather(*(place.post("r1", number) for number in range(50)))
    stack = place.running.stack
    async with open_platform(stack.secrets, stack.nats_url, stack.mongo_url) as platform:
        await platform.core.jetstream().delete_stream(room_stream(place.tenant))
        born = await create_tenant(platform, place.tenant, "again")
    assert born.generation == 2
    again = await asyncio.gather(*(place.post("r1", number) for number in range(60)))
    assert [one.hash for one in again[:50]] == [one.hash for one in before]
    assert [one.duplicate for one in again] == [True] * 50 + [False] * 10
    assert [one.seq for one in again] == list(range(2, 62))
    assert (await place.running.verdict(place.tenant)).verified
