"""Clearance through the public surface, at two real gateways: what is taken away holds at once."""

import asyncio
import hashlib
from itertools import pairwise
from typing import Final

import rfc8785

from actors.protocol.commands import UpdateUser
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from deploy.people import OPERATOR
from gateway.limits import SESSION_CHECK_S
from tests.e2e.clients import Client, Json
from tests.e2e.system import Company

AT_ONCE_S: Final = SESSION_CHECK_S / 3
"""Far below the time after which a gateway would find out by asking."""
HIGH: Final = 2
DOMAIN: Final = b"wardroom/record/v1\0"
AT_A_TIME: Final = 4


async def clear(company: Company, name: str, level: int) -> None:
    """Give somebody a clearance, as an operator does."""
    command = UpdateUser(
        client_id=f"clear-{name}-{level}",
        actor=OPERATOR,
        role=Role.SYSTEM,
        user=company.user(name),
        user_clearance=level,
    )
    await company.system.operator.send(company.tenant, TENANT_ROOM, command)


async def shared_room(company: Company) -> tuple[Client, Client, str]:
    """Ana, who has the clearance; bob at the other gateway, who has not; and a room of both."""
    await clear(company, "ana", HIGH)
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
    room = await ana.open_room(members={bob.user: "member"}, open_to=["tenant_admin"])
    return ana, bob, room


def seqs(frames: list[Json]) -> list[int]:
    """The seqs of the entries among frames."""
    return [frame["seq"] for frame in frames if frame["type"] == "entry"]


async def test_a_raised_clearance_cuts_the_sockets_of_those_below_at_every_gateway(
    company: Company,
) -> None:
    ana, bob, room = await shared_room(company)
    tom = await company.sign_in("tom")
    async with bob.socket() as low, tom.socket() as admin, ana.socket() as high:
        for socket in (low, admin, high):
            await socket.follow(room)
        await ana.call("PATCH", f"/rooms/{room}", {"clearance": HIGH, "tlp": "RED"})
        for socket in (low, admin):
            async with asyncio.timeout(AT_ONCE_S):
                told = await socket.get()
            assert (told["type"], told["code"]) == ("rejected", "not_found")
        await ana.say(room, "secret", "c-1")
        marked, said = await high.entries(2)
        assert (marked["kind"], said["body"]) == ("room_marked", "secret")
        for socket in (low, admin):
            await socket.send(type="subscribe", room=room, after=0)
            await socket.say(room, "still here?", "c-2")
            codes = [answer["code"] for answer in await socket.echo("silence")]
            assert codes == ["not_found", "not_found"]
    for below in (bob, tom):
        there, nowhere = [await below.ask("GET", f"/rooms/{r}") for r in (room, "room_none")]
        assert (there.status_code, there.content) == (404, nowhere.content)
        assert (await below.call("GET", "/rooms"))["items"] == []
    assert (await ana.verdict(room))["verified"] is True

    await ana.call("PATCH", f"/rooms/{room}", {"clearance": 0})
    assert [entry["seq"] for entry in await bob.entries(room)] == [1, 2, 3, 4]


async def test_what_is_said_at_the_moment_of_the_raise_is_not_seen_below(company: Company) -> None:
    ana, bob, room = await shared_room(company)

    raised = asyncio.Event()
    # By another gateway than the one through which she talks.
    elsewhere = ana.at(company.system.gateways[1].http)
    async with bob.socket() as low:
        await low.follow(room)
        talk = asyncio.create_task(_talk(ana, room, raised))
        await low.entries(5)
        changed = await elsewhere.call("PATCH", f"/rooms/{room}", {"clearance": HIGH})
        at = int(changed["receipt"]["seq"])
        raised.set()
        frames = await low.until("rejected")
        seen = seqs(low.seen)
        assert seen == list(range(1, at))
        assert frames[-1]["code"] == "not_found"
        await talk
        assert await low.echo("silence") == []
    everything = await ana.entries(room)
    assert everything[-1]["seq"] > at
    assert everything[at - 1]["kind"] == "room_marked"
    assert (await bob.ask("GET", f"/rooms/{room}/entries?after={at}")).status_code == 404


async def _talk(ana: Client, room: str, raised: asyncio.Event) -> None:
    """Say some things at a time, without a pause, until the raise is known; and then once more."""
    said, is_last = 0, False
    async with ana.socket() as socket:
        await socket.follow(room, after=None)
        while not is_last:
            is_last = raised.is_set()
            for _ in range(AT_A_TIME):
                said += 1
                await socket.say(room, f"message {said}", f"t-{said}")
            while sum("client_id" in frame for frame in socket.seen) < said:
                await socket.get()


async def test_a_lowered_clearance_holds_at_once_at_every_gateway(company: Company) -> None:
    await clear(company, "tom", HIGH)
    await clear(company, "ana", HIGH)
    admin, ana = await company.sign_in("tom"), await company.sign_in("ana", gateway=1)
    room = await ana.open_room(clearance=HIGH)
    async with ana.socket() as socket:
        await socket.follow(room)
        await admin.call("PATCH", f"/users/{ana.user}", {"clearance": 1})
        async with asyncio.timeout(AT_ONCE_S):
            assert await socket.closed() == 4401
    for gateway in company.system.gateways:
        refused = await ana.at(gateway.http).ask("GET", f"/rooms/{room}")
        assert refused.status_code == 401
    again = await company.sign_in("ana")
    assert (await again.call("GET", "/auth/me"))["clearance"] == 1
    assert (await again.ask("GET", f"/rooms/{room}")).status_code == 404
    assert (await again.call("GET", "/rooms"))["items"] == []
    log = await admin.call("GET", f"/audit-logs?operation=user.change&object_id={ana.user}")
    [entry, _] = log["items"]
    assert (entry["before"]["clearance"], entry["after"]["clearance"]) == (HIGH, 1)
    assert entry["actor"] == company.user("tom")


async def test_nobody_gives_what_he_has_not_nor_takes_the_account_of_one_who_has(
    company: Company,
) -> None:
    await clear(company, "ana", HIGH)
    tom = await company.sign_in("tom")
    for user, body in (("tom", {"clearance": 1}), ("bob", {"clearance": 1})):
        refused = await tom.ask("PATCH", f"/users/{company.user(user)}", body)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    taken = await tom.ask(
        "POST", f"/users/{company.user('ana')}/password", {"password": "a long password"}
    )
    assert (taken.status_code, taken.json()["code"]) == (403, "forbidden")


async def test_a_replay_across_hidden_entries_has_every_seq_and_every_link(
    company: Company,
) -> None:
    ana, bob, room = await shared_room(company)
    for number in range(12):
        more = {"clearance": HIGH} if number % 3 == 1 else {}
        body = {"client_id": f"m-{number}", "body": f"text {number}", **more}
        await ana.call("POST", f"/rooms/{room}/entries", body)
    async with bob.socket() as socket:
        first = (await socket.follow(room, after=0))[:-1][:6]
    async with bob.socket() as socket:
        frames = first + (await socket.follow(room, after=6))[:-1]
    full = await ana.entries(room)
    assert seqs(frames) == [entry["seq"] for entry in full] == list(range(1, 14))
    assert [f["hash"] for f in frames] == [entry["hash"] for entry in full]
    assert all(before["hash"] == frame["prev"] for before, frame in pairwise(frames))
    hidden = [frame for frame in frames if frame["kind"] == "inaccessible"]
    assert [frame["seq"] for frame in hidden] == [3, 6, 9, 12]
    assert not any({"actor", "body", "client_id"} & frame.keys() for frame in hidden)
    headers = await bob.chain(room)
    assert all(before["hash"] == header["prev"] for before, header in pairwise(headers))
    for header in headers:
        if header["kind"] != "inaccessible":
            hashed = {name: header[name] for name in header if name != "hash"}
            assert hashlib.sha256(DOMAIN + rfc8785.dumps(hashed)).hexdigest() == header["hash"]
    assert [header["seq"] for header in headers if "actor" not in header] == [3, 6, 9, 12]
    assert (await bob.verdict(room))["verified"] is True
