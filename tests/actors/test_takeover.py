"""What happens when a commit is cut off, fenced or met by another writer: nothing is lost, doubled or
wrongly refused. Each test plays one order of events on purpose; the fault tests play many by chance."""

import asyncio
from collections.abc import Callable

import pytest
from pymongo.errors import AutoReconnect

from actors.protocol.commands import CreateRoom, EndSession, Post, PutMember
from actors.protocol.errors import ErrorCode
from actors.protocol.events import SessionOpened
from actors.protocol.ids import TENANT_ROOM
from actors.runtime import mailboxes
from actors.runtime.lane import source_number
from actors.runtime.projector import project
from deploy.local.stack import LocalStack
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.mongo import SESSIONS, tenant_database
from store.verify import verify_tenant
from tests.actors.by_hand import GENERATION, LANE, Owner, Stream, owner
from tests.actors.people import MEMBER, OWNER, STRANGER, SYSTEM, Person
from tests.actors.test_tenant_rules import FIRST, new_user, opening

pytestmark = pytest.mark.servers

POINTS = ["planned", "records_written", "projected", "published"]


class CutOff:
    """Loses the answer of MongoDB at one point of the commit, once, when it is armed."""

    def __init__(self) -> None:
        self.point = ""
        self.at_once: Callable[[], None] = lambda: None

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.point = ""
            self.at_once()
            raise AutoReconnect("cut off by a test")


def creation(name: str = "Room") -> CreateRoom:
    """A room with an owner and a member."""
    return CreateRoom(
        client_id="create",
        actor=OWNER.name,
        role=OWNER.role,
        name=name,
        members={MEMBER.name: "member"},  # type: ignore[dict-item]  # as it comes from outside
    )


def post(number: int, who: Person = OWNER) -> Post:
    """A message with a client_id and a text of its own."""
    return Post(client_id=f"m{number}", actor=who.name, role=who.role, body=f"text {number}")


async def bodies(one: Owner, room: str) -> list[bytes | None]:
    """What was said in a room."""
    return [entry.content for entry in await one.reader.entries(room, kind="message", limit=999)]


async def seen(one: Owner) -> int:
    """The source up to which the lane is noted as seen through."""
    return (await one.worker.mailboxes.projections.lane(LANE)).src


async def assert_verified(stack: LocalStack, tenant: str) -> None:
    """Every chain of the tenant is whole."""
    connection = MongoConnection(stack.mongo_url_for("auditor"))
    keys = KeyRing(connection, RootKey.from_file(stack.secrets.root_key_file))
    verdict = await verify_tenant(connection, keys, tenant)
    await connection.close()
    assert verdict.verified, verdict.problems


@pytest.mark.parametrize("point", POINTS)
async def test_a_commit_whose_answer_is_lost_is_answered_once_and_done_once(
    stack: LocalStack, tenant: str, point: str
) -> None:
    cut = CutOff()
    async with owner(stack, tenant, reach=cut) as one:
        await one.do("r1", creation())
        cut.point = point
        receipts = await one.do("r1", post(1), post(2), OWNER.asks(PutMember, user="nina"))
        assert {receipt.client_id: receipt.seq for receipt in receipts} == {
            "m1": 2,
            "m2": 3,
            "c1": 4,
        }
        row = await one.reader.room("r1")
        assert row is not None
        assert "nina" in row.members
        await one.do("r1", post(3))
        assert await bodies(one, "r1") == [b"text 1", b"text 2", b"text 3"]
    assert cut.point == ""
    await assert_verified(stack, tenant)


@pytest.mark.parametrize("point", POINTS)
async def test_a_lane_that_ends_in_the_middle_of_a_commit_leaves_the_rest_to_the_next_owner(
    stack: LocalStack, tenant: str, point: str
) -> None:
    stream, cut = Stream(), CutOff()
    async with owner(stack, tenant, stream, reach=cut) as first:
        await first.do("r1", creation())
        cut.point, cut.at_once = point, lambda: setattr(first.lane, "live", False)
        first.put("r1", post(1), post(2))
        await first.done()
        await first.worker.drop_lane(first.lane)
        committed = await bodies(first, "r1")
        if not committed:
            assert await seen(first) < source_number(GENERATION, 2)
    async with owner(stack, tenant, stream, epoch=2) as second:
        await second.done()
        assert await bodies(second, "r1") == [b"text 1", b"text 2"]
    await assert_verified(stack, tenant)


async def test_who_is_fenced_commits_nothing_more_of_the_lane_and_loses_nothing_of_it(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as late:
        await late.do("r1", creation())
        await late.do("r2", creation())
        async with owner(stack, tenant, stream, epoch=7) as rightful:
            await rightful.do("r1", post(1))
        # It was somewhere else while the other came and went, and does not know of it.
        late.lane.cursor = late.lane.seen
        late.put("r1", post(2))
        late.put("r2", post(3))
        await late.done()
        assert late.fenced == [7]
        assert await bodies(late, "r2") == []
        await late.worker.drop_lane(late.lane)
        assert await seen(late) < source_number(GENERATION, 4)
    async with owner(stack, tenant, stream, epoch=8) as third:
        await third.done()
        assert await bodies(third, "r1") == [b"text 1", b"text 2"]
        assert await bodies(third, "r2") == [b"text 3"]
    await assert_verified(stack, tenant)


async def test_one_message_of_a_fenced_lane_is_not_committed_past_the_room_that_fences(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as late:
        await late.do("r1", creation())
        await late.do("r2", creation())
        async with owner(stack, tenant, stream, epoch=7) as rightful:
            await rightful.do("r1", post(1))
        late.put_mixed(("r2", post(2)), ("r1", post(3)), ("r2", post(4)))
        await late.done()
        assert await bodies(late, "r2") in ([], [b"text 2"])
    async with owner(stack, tenant, stream, epoch=8) as third:
        await third.done()
        assert await bodies(third, "r1") == [b"text 1", b"text 3"]
        assert await bodies(third, "r2") == [b"text 2", b"text 4"]


async def test_who_does_not_know_of_a_newer_write_refuses_nobody(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as stale:
        await stale.do("r1", creation())
        async with owner(stack, tenant, stream) as other:
            await other.do("r1", OWNER.asks(PutMember, user=STRANGER.name))
        (receipt,) = await stale.do("r1", post(1, who=STRANGER))
        assert receipt.seq == 3
        # And the other way: what stands is what the chain says, not what one remembers.
        async with owner(stack, tenant, stream) as third:
            await third.do("r1", post(2))
        outsider = Person("nobody", OWNER.role)
        (answer,) = await stale.ask("r1", post(3, who=outsider))
        assert answer.code is ErrorCode.NOT_FOUND
        assert stale.metric("wardroom_commit_conflicts_total") == 2


@pytest.mark.parametrize("epochs", [(1, 1), (1, 2)], ids=["equal-epochs", "later-epoch"])
async def test_two_owners_at_once_make_one_line(
    stack: LocalStack, tenant: str, epochs: tuple[int, int]
) -> None:
    stream = Stream()
    async with (
        owner(stack, tenant, stream, epoch=epochs[0]) as one,
        owner(stack, tenant, stream, epoch=epochs[1]) as two,
    ):
        await one.do("r1", creation())
        sent = 0
        for _ in range(12):
            # Both read the same stream, each at its own pace.
            start = len(stream.messages)
            one.put_mixed(*(("r1", post(sent + n)) for n in range(5)))
            sent += 5
            if one.lane.live:
                await asyncio.sleep(0)
            two.take_over(start + 1)
        await asyncio.gather(one.done(), two.done())
        assert await bodies(two, "r1") == [b"text %d" % number for number in range(sent)]
        conflicts = "wardroom_commit_conflicts_total"
        assert one.metric(conflicts) + two.metric(conflicts) > 0
    await assert_verified(stack, tenant)


async def test_what_was_not_committed_is_never_in_a_snapshot(
    stack: LocalStack, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, cut = Stream(), CutOff()
    async with owner(stack, tenant, stream, reach=cut) as one:
        await one.do("r1", creation())
        monkeypatch.setattr(mailboxes, "ROOMS_IN_MEMORY_MAX", 0)
        passivation: list[asyncio.Task[None]] = []

        def passivate_now(point: str) -> None:
            if point == "planned":
                passivation.append(asyncio.create_task(one.worker.passivate()))
            cut(point)

        object.__setattr__(one.services, "reach", passivate_now)
        cut.point, cut.at_once = "planned", lambda: setattr(one.lane, "live", False)
        one.put("r1", OWNER.asks(PutMember, user="nina"))
        await one.done()
        await asyncio.gather(*passivation)
        snapshot = await one.worker.mailboxes.projections.snapshot("r1")
        assert snapshot is not None
        assert (snapshot.applied, b"nina" in snapshot.state) == (1, False)


async def test_a_session_that_has_ended_stays_ended_whenever_its_past_is_projected_again(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    sign_in = opening(user="u2")
    sign_out = Person("u2", OWNER.role)
    async with owner(stack, tenant, stream) as first:
        await first.do(TENANT_ROOM, new_user(SYSTEM), sign_in)
        assert await first.reader.session_active("s1")
        await first.do(TENANT_ROOM, sign_out.asks(EndSession, session="s1"))
        assert not await first.reader.session_active("s1")
        # As when the projections are made anew from the chain.
        await first.services.connection.database(tenant_database(tenant))[SESSIONS].delete_many({})
        (mailbox,) = first.worker.mailboxes.active_since(float("-inf"))
        opened = SessionOpened(
            session="s1", user="u2", refresh=FIRST, expires_ms=sign_in.expires_ms, address=""
        )
        await project(first.worker.mailboxes.projections, mailbox, [(2, opened)])
        assert not await first.reader.session_active("s1")
