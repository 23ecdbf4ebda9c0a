"""Following and posting over a real socket: what is answered, what stops."""

from typing import Any

import pytest

from actors.protocol.limits import MESSAGE_BYTES_MAX
from tests.gateway.memory_reader import row_of
from tests.gateway.serving import ROOM, Unreachable, peopled, served
from tests.gateway.talking import post, settled_reads
from tests.gateway.world import eventually, room_command


async def test_a_post_comes_back_to_its_author_with_its_client_id_and_to_others_without() -> None:
    async with served() as it, it.signed_in("ana") as ana, it.signed_in("bob") as bob:
        await ana.follow()
        await bob.follow()

        await post(ana, "hello", "c-1")

        mine, theirs = await ana.get(), await bob.get()
        assert mine.pop("client_id") == "c-1"
        assert mine == theirs
        assert (mine["seq"], mine["body"], mine["actor"]) == (2, "hello", "usr_ana")
        assert len(mine["hash"]) == 64


async def test_a_client_resumes_where_it_left_off() -> None:
    async with served() as it, it.signed_in("ana") as client:
        for number in range(5):
            command = {"type": "post", "actor": "usr_bob", "client_id": f"c-{number}"}
            it.world.commit("acme", ROOM, room_command(**command, body=f"m{number}"))

        frames = await client.follow(after=3)

        assert [frame["seq"] for frame in frames[:-1]] == [4, 5, 6]
        assert frames[-1] == {"type": "caught_up", "room": ROOM, "head": 6}


async def test_a_resend_is_answered_with_the_entry_it_became_the_first_time() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        await post(client, "hello", "c-1")
        first = await client.get()

        await post(client, "hello", "c-1")

        assert await client.get() == first
        assert it.world.at("acme", ROOM).head == 2


async def test_another_body_under_a_used_client_id_is_rejected() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        await post(client, "hello", "c-1")
        await client.get()

        await post(client, "goodbye", "c-1")

        rejected = await client.get()
        assert rejected["type"] == "rejected"
        assert (rejected["room"], rejected["client_id"]) == (ROOM, "c-1")
        assert rejected["code"] == "conflict"


async def test_who_does_not_follow_a_room_is_acknowledged_too() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await post(client, "hello", "c-1")

        entry = await client.get()

        assert (entry["type"], entry["seq"], entry["client_id"]) == ("entry", 2, "c-1")


REJECTED = {
    "an unknown room": ({"room": "room_none", "body": "x"}, "not_found"),
    "an empty text": ({"room": ROOM, "body": ""}, "invalid"),
    "a text too long": ({"room": ROOM, "body": "x" * (MESSAGE_BYTES_MAX + 1)}, "too_large"),
    "a thread that is not there": ({"room": ROOM, "body": "x", "thread": 99}, "invalid"),
}


@pytest.mark.parametrize("follows", [True, False], ids=["following", "not following"])
@pytest.mark.parametrize(("frame", "code"), REJECTED.values(), ids=REJECTED.keys())
async def test_a_post_that_is_refused_is_rejected_and_the_socket_stays(
    frame: dict[str, Any], code: str, follows: bool
) -> None:
    async with served() as it, it.signed_in("ana") as client:
        if follows:
            await client.follow()
        await client.send(type="post", client_id="c-1", **frame)

        rejected = await client.get()
        assert rejected.pop("detail")
        expected = {"type": "rejected", "room": frame["room"], "client_id": "c-1", "code": code}
        assert rejected == expected
        await post(client, "still here", "c-2")
        assert (await client.get())["body"] == "still here"


async def test_a_closed_room_rejects_posts_and_can_be_read() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.commit("acme", ROOM, room_command(type="close_room", actor="usr_ana"))
        assert (await client.get())["kind"] == "room_closed"

        await post(client, "too late", "c-1")

        assert (await client.get())["code"] == "room_closed"


async def test_another_tenants_room_is_as_unknown_as_none() -> None:
    world = peopled("acme", "globex")
    world.commit(
        "globex", "room_g", room_command(type="create_room", name="theirs", actor="usr_ana")
    )
    async with served(world) as it, it.signed_in("ana") as client:
        answers = []
        for room in ("room_g", "room_none"):
            for frame in ({"type": "subscribe"}, {"type": "post", "client_id": "c", "body": "x"}):
                await client.send(room=room, **frame)
                answers.append({**(await client.get()), "room": "?"})

        assert answers[:2] == answers[2:]
        assert {answer["code"] for answer in answers} == {"not_found"}
        assert world.at("globex", "room_g").head == 1


async def test_a_room_that_one_is_not_in_is_as_unknown_as_none() -> None:
    async with served() as it, it.signed_in("vera") as client:
        await client.send(type="subscribe", room=ROOM, after=0)
        hidden = await client.get()
        await client.send(type="subscribe", room="room_none", after=0)
        unknown = await client.get()

        assert hidden == {**unknown, "room": ROOM}
        assert hidden["code"] == "not_found"


async def test_a_removed_member_gets_the_removal_and_nothing_after_it() -> None:
    async with served() as it, it.signed_in("bob") as bob, it.signed_in("ana") as ana:
        await bob.follow()
        await ana.follow()

        removal = {"type": "remove_member", "user": "usr_bob", "actor": "usr_ana"}
        it.world.commit("acme", ROOM, room_command(**removal))
        await post(ana, "among us", "c-1")
        await ana.get_until("entry")

        assert (await bob.get())["kind"] == "member_removed"
        rejected = await bob.get()
        assert (rejected["type"], rejected["code"]) == ("rejected", "not_a_member")
        await post(bob, "let me in", "c-2")
        assert (await bob.get())["code"] == "not_found"


async def test_a_removal_that_the_row_does_not_show_yet_holds_already() -> None:
    async with served() as it, it.signed_in("bob") as client:
        row = row_of(it.world.at("acme", ROOM))
        assert row is not None
        it.world.stale_rows["acme", ROOM] = row
        removal = {"type": "remove_member", "user": "usr_bob", "actor": "usr_ana"}
        it.world.commit("acme", ROOM, room_command(**removal))

        await client.send(type="subscribe", room=ROOM, after=0)

        assert (await client.get())["code"] == "not_found"


async def test_who_unsubscribes_hears_nothing_more() -> None:
    async with served() as it, it.signed_in("bob") as client:
        await client.follow()
        await client.send(type="unsubscribe", room=ROOM)
        await client.send(type="ping")
        assert (await client.get())["type"] == "pong"
        it.world.commit(
            "acme", ROOM, room_command(type="post", actor="usr_ana", client_id="x", body="x")
        )
        await client.send(type="ping")

        assert (await client.get())["type"] == "pong"
        await eventually(lambda: not it.world.at("acme", ROOM).handlers)


async def test_a_room_that_is_not_followed_is_not_there_to_unsubscribe_from() -> None:
    async with served() as it, it.signed_in("bob") as client:
        await client.send(type="subscribe", room="room_none")
        nowhere = await client.get()
        assert (nowhere["type"], nowhere["code"]) == ("rejected", "not_found")

        for room in ("room_none", ROOM):
            await client.send(type="unsubscribe", room=room)
            assert await client.get() == nowhere | {"room": room}

        await client.follow()
        await client.send(type="unsubscribe", room=ROOM)
        await client.send(type="unsubscribe", room=ROOM)
        assert await client.get() == nowhere | {"room": ROOM}


async def test_who_unsubscribes_right_after_a_post_is_still_told_what_became_of_it() -> None:
    async with served() as it, it.signed_in("ana") as client:
        await client.follow()
        it.world.held = []
        await post(client, "hello", "c-1")
        await client.send(type="unsubscribe", room=ROOM)
        await eventually(lambda: bool(it.world.held))
        await settled_reads(it)
        it.world.release()

        assert (await client.get())["client_id"] == "c-1"
        await eventually(lambda: not it.world.at("acme", ROOM).handlers)


async def test_subscribing_again_starts_again() -> None:
    async with served() as it, it.signed_in("bob") as client:
        await client.follow(after=0)

        frames = await client.follow(after=0)
        await post(client, "once", "c-1")

        assert [frame["type"] for frame in frames] == ["entry", "caught_up"]
        assert (await client.get())["body"] == "once"
        await client.send(type="ping")
        assert (await client.get())["type"] == "pong"


async def test_one_room_too_many_is_rejected() -> None:
    async with served(subscriptions_max=1) as it, it.signed_in("ana") as client:
        for room in ("room_2", ROOM):
            create = room_command(type="create_room", name=room, actor="usr_ana")
            if room != ROOM:
                it.world.commit("acme", room, create)
        await client.follow()

        await client.send(type="subscribe", room="room_2")

        assert (await client.get())["code"] == "too_many"


async def test_a_store_that_is_away_rejects_and_keeps_the_socket() -> None:
    async with served() as it, it.signed_in("ana") as client:
        it.world.broken = Unreachable()
        await client.send(type="subscribe", room=ROOM, after=0)
        assert (await client.get())["code"] == "unavailable"
        await post(client, "hello", "c-1")
        assert (await client.get())["code"] == "unavailable"

        it.world.broken = None
        assert (await client.follow(after=0))[-1]["type"] == "caught_up"


async def test_the_order_of_one_clients_posts_is_kept() -> None:
    async with served() as it, it.signed_in("ana") as client:
        for number in range(50):
            await post(client, f"m{number}", f"c-{number}")
            if number == 10:
                await client.send(type="subscribe", room=ROOM)
            if number == 30:
                await client.send(type="unsubscribe", room=ROOM)
        acknowledged: set[str] = set()
        while len(acknowledged) < 50:
            acknowledged.add((await client.get()).get("client_id", "c-0"))

        said = [entry.content for entry in it.world.at("acme", ROOM).entries[1:]]
        assert said == [f"m{number}".encode() for number in range(50)]
