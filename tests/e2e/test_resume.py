"""Resuming: whatever breaks, a reader that comes back with its last seq misses nothing."""

import asyncio
import socket as sockets
from contextlib import suppress
from typing import Final

from websockets.exceptions import ConnectionClosed

from actors.protocol.limits import MESSAGE_BYTES_MAX
from actors.protocol.subjects import event_subject
from tests.e2e.clients import CUT, Client, Json, Socket, bare_socket, for_others
from tests.e2e.lossy_bus import lossy_bus
from tests.e2e.system import Company, Gateway

SLOW_CLOSES: Final = "wardroom_gateway_slow_closes_total "
SLOW_RECEIVE_BYTES: Final = 16 * 1024
SLOW_POSTS_MAX: Final = 1_500
"""Largest messages that together are far more than the kernel and the gateway hold for one peer."""
SLOW_POSTS_AT_ONCE: Final = 50


def seqs(entries: list[Json]) -> list[int]:
    """The seqs of entries."""
    return [entry["seq"] for entry in entries]


async def say_many(client: Client, room: str, mark: str, count: int) -> None:
    """Say a number of things over a socket and see each acknowledged."""
    async with client.socket() as socket:
        await socket.follow(room, after=None)
        for number in range(count):
            await socket.say(room, f"{mark} {number}", f"{mark}-{number}")
        await acknowledged(socket, count)


async def acknowledged(socket: Socket, count: int) -> None:
    """Take frames until a number of the client's own posts are acknowledged."""
    while count:
        count -= "client_id" in (await socket.get())


async def test_what_came_after_a_seq_is_replayed_and_then_it_is_live(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    for number in range(4):
        await ana.say(room, f"entry {number}", f"c-{number}")
    async with ana.socket() as socket:
        *replayed, caught_up = await socket.follow(room, after=2)
        assert (seqs(replayed), caught_up["head"]) == ([3, 4, 5], 5)
        await ana.say(room, "live", "c-9")
        assert seqs(await socket.entries(1)) == [6]
        assert await socket.follow(room, after=6) == [caught_up | {"head": 6}]


async def test_who_names_no_seq_gets_what_comes(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with ana.socket() as socket:
        assert await socket.follow(room, after=None) == [
            {"type": "caught_up", "room": room, "head": 1}
        ]
        await ana.say(room, "live", "c-1")
        assert seqs(await socket.entries(1)) == [2]
        await socket.send(type="unsubscribe", room=room)
        assert await socket.echo("unsubscribed") == []
        await ana.say(room, "unheard", "c-2")
        assert await socket.echo("silence") == []


async def test_who_is_ahead_of_the_room_is_told_of_a_gap(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with ana.socket() as socket:
        gap, caught_up = await socket.follow(room, after=7)
        assert gap == {"type": "gap", "room": room, "earliest": 1, "head": 1}
        assert caught_up["head"] == 1
        await ana.say(room, "live", "c-1")
        assert seqs(await socket.entries(1)) == [2]


async def test_one_socket_follows_many_rooms(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
    rooms = [await ana.open_room(f"{n}", members={company.user("bob"): "member"}) for n in range(8)]
    async with bob.socket() as socket:
        for room in rooms:
            await socket.follow(room)
        await asyncio.gather(*(say_many(ana, room, "m", 10) for room in rooms))
        entries = await socket.entries(10 * len(rooms))
    for room in rooms:
        assert seqs([entry for entry in entries if entry["room"] == room]) == list(range(2, 12))


async def test_a_socket_that_was_cut_in_the_middle_resumes_where_it_was(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob")
    room = await ana.open_room(members={company.user("bob"): "member"})
    talking = asyncio.create_task(say_many(ana, room, "m", 200))
    seen: list[Json] = []
    for stop in (20, 60, 100):
        async with bob.socket() as socket:
            await socket.send(type="subscribe", room=room, after=len(seen))
            while len(seen) < stop:
                frame = await socket.get()
                seen += [frame] if frame["type"] == "entry" else []
            # A reset, as when the network goes: nobody says goodbye.
            socket.connection.transport.abort()
    async with bob.socket() as socket:
        await talking
        seen += (await socket.follow(room, after=len(seen)))[:-1]
    assert seqs(seen) == list(range(1, 202))
    assert seen == await bob.entries(room)


async def test_readers_at_two_gateways_see_the_same_whenever_they_come(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room(members={company.user("bob"): "member"})

    bobs = [await company.sign_in("bob", gateway) for gateway in (0, 1)]

    async def read(bob: Client) -> list[Json]:
        async with bob.socket() as socket:
            seen = (await socket.follow(room))[:-1]
            return seen + await socket.entries(101 - len(seen))

    reading: list[asyncio.Task[list[Json]]] = []
    async with ana.socket() as socket:
        await socket.follow(room)
        for number in range(100):
            if number in (0, 1, 30, 61):
                reading.append(asyncio.create_task(read(bobs[number % 2])))
            await socket.say(room, f"entry {number}", f"c-{number}")
            await socket.entries(1)
    seen = await asyncio.gather(*reading)
    assert seqs(seen[0]) == list(range(1, 102))
    assert seen == [seen[0]] * len(reading)


async def test_a_client_of_a_gateway_that_was_killed_goes_on_at_another(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    total = 200

    async def talk(gateway: Gateway) -> list[Json]:
        async with ana.at(gateway.http).socket() as socket:
            await socket.follow(room, after=1)
            with suppress(ConnectionClosed):
                for number in range(total):
                    await socket.say(room, f"entry {number}", f"c-{number}")
                    if number == total // 2:
                        await socket.entries(10)
                        gateway.child.process.kill()
            assert await socket.closed() == CUT
            return [frame for frame in socket.seen if frame["type"] == "entry"]

    async with company.system.another_gateway() as doomed:
        seen = await talk(doomed)
    async with ana.socket() as socket:
        seen += (await socket.follow(room, after=1 + len(seen)))[:-1]
        for number in range(total):
            await socket.say(room, f"entry {number}", f"c-{number}")
        missing = {f"c-{number}" for number in range(total)} - {e["client_id"] for e in seen}
        while missing:
            [entry] = await socket.entries(1)
            missing.discard(entry["client_id"])
            # What was committed before comes again as the answer to its resending.
            seen += [entry] if entry["seq"] > 1 + len(seen) else []
    assert seqs(seen) == list(range(2, 2 + total))
    assert [entry["body"] for entry in seen] == [f"entry {number}" for number in range(total)]
    assert seen == await ana.entries(room, after=1)


# What gets lost between actors and gateway ------------------------------------------------------


async def test_a_lost_event_is_read_from_the_store_when_the_next_one_comes(
    company: Company,
) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with (
        lossy_bus(company.system.stack.nats_url) as bus,
        company.system.another_gateway(WARDROOM_NATS_URL=bus.url) as gateway,
        ana.at(gateway.http).socket() as socket,
    ):
        await socket.follow(room)
        bus.lose_next(event_subject(company.tenant, room))
        await ana.say(room, "lost on its way", "c-1")
        await bus.lost.wait()
        await ana.say(room, "the next", "c-2")
        assert [entry["body"] for entry in await socket.entries(2)] == [
            *("lost on its way", "the next")
        ]


async def test_a_lost_last_event_is_noticed_by_the_beacon(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with (
        lossy_bus(company.system.stack.nats_url) as bus,
        company.system.another_gateway(WARDROOM_NATS_URL=bus.url) as gateway,
        ana.at(gateway.http).socket() as socket,
    ):
        await socket.follow(room)
        bus.lose_next(event_subject(company.tenant, room))
        await socket.say(room, "lost on its way", "c-1")
        await bus.lost.wait()
        [entry] = await socket.entries(1)
        assert (entry["seq"], entry["client_id"]) == (2, "c-1")


# Readers that don't read ------------------------------------------------------------------------


async def slow_closes(gateway: Gateway) -> float:
    """How often a gateway has closed a socket for being too slow."""
    lines = (await gateway.http.get("/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(SLOW_CLOSES))


async def test_a_reader_that_does_not_read_is_closed_and_nobody_else_is(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob")
    room = await ana.open_room(members={company.user("bob"): "member"})
    gateway = company.system.gateways[0]
    before = await slow_closes(gateway)
    with sockets.socket() as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, SLOW_RECEIVE_BYTES)
        raw.setblocking(False)
        where = (gateway.http.base_url.host, gateway.http.base_url.port)
        await asyncio.get_running_loop().sock_connect(raw, where)
        async with bare_socket(bob.http, sock=raw) as slow, ana.socket() as talker:
            await slow.send(type="hello", token=bob.access)
            await slow.follow(room)
            await talker.follow(room)
            said = 0
            while said < SLOW_POSTS_MAX and await slow_closes(gateway) == before:
                for number in range(said, said + SLOW_POSTS_AT_ONCE):
                    await talker.say(room, "x" * MESSAGE_BYTES_MAX, f"c-{number}")
                await talker.entries(SLOW_POSTS_AT_ONCE)
                said += SLOW_POSTS_AT_ONCE
            assert await slow_closes(gateway) == before + 1
            # Cut, if by now the gateway has waited for its close frame to be taken long enough.
            assert await slow.closed() in (4430, CUT)
    seen = [frame for frame in slow.seen if frame["type"] == "entry"]
    assert seqs(seen) == list(range(1, 1 + len(seen)))
    async with bob.socket() as socket:
        seen += (await socket.follow(room, after=len(seen)))[:-1]
    assert seqs(seen) == list(range(1, 2 + said))
    told = [frame for frame in talker.seen if frame["type"] == "entry"]
    assert for_others(told) == seen


# Being removed ----------------------------------------------------------------------------------


async def test_who_is_removed_hears_and_says_nothing_more(company: Company) -> None:
    ana = await company.sign_in("ana")
    bobs = [await company.sign_in("bob", gateway) for gateway in (0, 1)]
    room = await ana.open_room(members={company.user("bob"): "member"})
    async with bobs[0].socket() as here, bobs[1].socket() as there, ana.socket() as staying:
        for socket in (here, there, staying):
            await socket.follow(room)
        await ana.call("DELETE", f"/rooms/{room}/members/{company.user('bob')}")
        for socket in (here, there):
            [removal] = await socket.entries(1)
            assert (removal["seq"], removal["kind"]) == (2, "member_removed")
            told = await socket.get()
            assert (told["type"], told["room"], told["code"]) == ("rejected", room, "not_a_member")

        await ana.say(room, "now that he is gone", "c-1")
        assert seqs(await staying.entries(2)) == [2, 3]
        for socket in (here, there):
            await socket.say(room, "may I?", "b-1")
            refused = await socket.get()
            assert (refused["type"], refused["code"]) == ("rejected", "not_found")
            await socket.send(type="subscribe", room=room, after=0)
            assert (await socket.get())["code"] == "not_found"
            assert await socket.echo("silence") == []
    for bob in bobs:
        for path in ("", "/entries", "/chain", "/members", "/verify"):
            assert (await bob.ask("GET", f"/rooms/{room}{path}")).status_code == 404
        said = await bob.ask("POST", f"/rooms/{room}/entries", {"client_id": "b-2", "body": "x"})
        assert said.status_code == 404
    assert seqs(await ana.entries(room)) == [1, 2, 3]


async def test_nothing_of_a_member_commits_behind_his_removal(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
    room = await ana.open_room(members={company.user("bob"): "member"})
    async with bob.socket() as socket:
        await socket.follow(room)
        removing = asyncio.create_task(
            ana.ask("DELETE", f"/rooms/{room}/members/{company.user('bob')}")
        )
        answered: dict[str, Json] = {}
        said = 0
        while not removing.done() or len(answered) < said:
            if not removing.done():
                await socket.say(room, "still here", f"b-{said}")
                said += 1
            frame = await socket.get()
            if "client_id" in frame:
                answered[frame["client_id"]] = frame
    assert (await removing).status_code == 200
    entries = await ana.entries(room)
    [removed] = [entry["seq"] for entry in entries if entry["kind"] == "member_removed"]
    assert all(entry["seq"] <= removed for entry in entries)
    acknowledged = [frame["seq"] for frame in answered.values() if frame["type"] == "entry"]
    assert sorted(acknowledged) == list(range(2, removed))
    codes = {frame["code"] for frame in answered.values() if frame["type"] == "rejected"}
    assert codes <= {"not_a_member", "not_found", "forbidden"}


async def test_a_post_that_is_sent_again_is_not_heard_before_its_turn(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    await say_many(ana, room, "m", 1_500)
    last = 1_501
    async with ana.socket() as socket:
        await socket.send(type="subscribe", room=room, after=0)
        await socket.say(room, "m 1499", "m-1499")
        while socket.seen[-1]["type"] != "caught_up":
            await socket.get()
        await socket.echo("settled")
    heard = [frame for frame in socket.seen if frame["type"] == "entry"]
    first_time = list(dict.fromkeys(seqs(heard)))
    assert first_time == list(range(1, last + 1))
    assert {entry["seq"] for entry in heard[last:]} <= {last}
