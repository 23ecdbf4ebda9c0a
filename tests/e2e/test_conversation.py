"""People talk: over REST and over sockets, at two gateways, and what is said stands in the chain."""

import asyncio
import hashlib
from typing import Any

import pytest
import rfc8785

from tests.e2e.clients import Client, Json, for_others
from tests.e2e.system import Company, System

DOMAIN = b"wardroom/record/v1\0"
GENESIS = "00" * 32
RECEIPT = {"room", "seq", "id", "hash", "prev", "at", "client_id"}


async def war_room(company: Company, owner: Client, *members: str) -> str:
    """A room of the owner's and some members'."""
    return await owner.open_room(members={company.user(name): "member" for name in members})


# Saying something -------------------------------------------------------------------------------


async def test_what_is_posted_over_rest_is_receipted_and_committed_once(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    said = {"client_id": "c-1", "kind": "message", "body": "first sample is in the sandbox"}

    first = await ana.ask("POST", f"/rooms/{room}/entries", said)
    elsewhere = ana.at(company.system.gateways[1].http)
    again = [await one.ask("POST", f"/rooms/{room}/entries", said) for one in (ana, elsewhere)]
    other = await ana.ask("POST", f"/rooms/{room}/entries", {**said, "body": "another"})

    assert first.status_code == 201
    assert first.json().keys() == RECEIPT
    assert (first.json()["seq"], first.json()["id"]) == (2, f"{room}.2")
    assert [(answer.status_code, answer.content) for answer in again] == [(200, first.content)] * 2
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert [entry["kind"] for entry in await ana.entries(room)] == ["room_created", "message"]


async def test_a_client_id_is_its_authors_own(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob")
    room = await war_room(company, ana, "bob")
    seqs = [(await one.say(room, "the same id", "c-1"))["seq"] for one in (ana, bob)]
    assert seqs == [2, 3]


async def test_only_the_sender_sees_its_client_id(company: Company) -> None:
    ana, bob = await company.sign_in("ana"), await company.sign_in("bob", gateway=1)
    room = await war_room(company, ana, "bob")
    async with ana.socket() as mine, ana.socket() as my_other, bob.socket() as his:
        for socket in (mine, my_other, his):
            await socket.follow(room)
        await mine.say(room, "hello", "c-1")
        [acknowledged], [at_my_other], [at_his] = [
            await socket.entries(1) for socket in (mine, my_other, his)
        ]
    assert acknowledged["client_id"] == at_my_other["client_id"] == "c-1"
    assert "client_id" not in at_his
    assert for_others([acknowledged]) == [at_his]
    assert [entry.get("client_id") for entry in await ana.entries(room, after=1)] == ["c-1"]
    assert [entry.get("client_id") for entry in await bob.entries(room, after=1)] == [None]


async def test_a_post_without_following_is_acknowledged_too(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with ana.socket() as socket:
        await socket.say(room, "hello", "c-1")
        [acknowledged] = await socket.entries(1)
        await socket.say(room, "hello", "c-1")
        assert await socket.entries(1) == [acknowledged]
        await socket.say(room, "something else", "c-1")
        refused = await socket.get()
    assert (refused["type"], refused["code"], refused["client_id"]) == (
        "rejected",
        "conflict",
        "c-1",
    )
    assert await ana.entries(room, after=1) == [acknowledged]


async def test_an_answer_names_what_it_answers(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with ana.socket() as socket:
        await socket.follow(room)
        await socket.say(room, "who has the sample?", "c-1")
        await socket.say(room, "I do", "c-2", thread=2)
        question, answer = await socket.entries(2)
        await socket.say(room, "to nothing", "c-3", thread=99)
        refused = await socket.get()
    assert ("thread" in question, answer["thread"]) == (False, 2)
    assert (refused["code"], refused["client_id"]) == ("invalid", "c-3")


async def test_all_members_see_the_same_order(company: Company) -> None:
    names, each = ("ana", "bob", "tom"), 25
    people = [await company.sign_in(name, gateway=n % 2) for n, name in enumerate(names)]
    room = await war_room(company, people[0], "bob", "tom")

    async def talk(client: Client, name: str) -> list[Json]:
        async with client.socket() as socket:
            seen = (await socket.follow(room, after=1))[:-1]
            for number in range(each):
                await socket.say(room, f"{name} {number}", f"{name}-{number}")
            return seen + await socket.entries(each * len(names) - len(seen))

    seen = await asyncio.gather(*map(talk, people, names))
    assert [entry["seq"] for entry in seen[0]] == list(range(2, 2 + each * len(names)))
    assert for_others(seen[0]) == for_others(seen[1]) == for_others(seen[2])
    for name in names:
        said = [entry["body"] for entry in seen[0] if entry["actor"] == company.user(name)]
        assert said == [f"{name} {number}" for number in range(each)]


# The chain --------------------------------------------------------------------------------------


async def test_receipts_entries_and_headers_are_one_chain_that_anybody_can_recompute(
    company: Company,
) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    receipts = [await ana.say(room, f"entry \u202e{n}", f"c-{n}") for n in range(5)]
    async with ana.socket() as socket:
        entries = (await socket.follow(room))[:-1]
    headers = await ana.chain(room)

    proofs = ("room", "seq", "hash", "prev")
    assert [[item[name] for name in proofs] for item in receipts] == [
        [item[name] for name in proofs] for item in entries[1:]
    ]
    assert entries == await ana.entries(room)
    prev = GENESIS
    for header, entry in zip(headers, entries, strict=True):
        claimed = header.pop("hash")
        assert hashlib.sha256(DOMAIN + rfc8785.dumps(header)).hexdigest() == claimed
        assert (entry["hash"], entry["prev"], header["prev"]) == (claimed, prev, prev)
        assert (entry["seq"], entry["kind"]) == (header["seq"], header["kind"])
        assert header["tenant"] == company.tenant
        prev = claimed


async def test_the_server_verifies_a_room_and_says_so(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    last = [await ana.say(room, f"entry {n}", f"c-{n}") for n in range(3)][-1]
    answer = await ana.ask("GET", f"/rooms/{room}/verify")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert await ana.verdict(room) == {
        "type": "verdict",
        "room": room,
        "verified": True,
        "records": 4,
        "head": 4,
        "hash": last["hash"],
        "first_problem": None,
    }


PAGES: dict[str, tuple[list[int], str | None]] = {
    "": ([1, 2, 3, 4, 5, 6, 7, 8], None),
    "after=0&limit=3": ([1, 2, 3], "3"),
    "after=3&limit=3": ([4, 5, 6], "6"),
    "after=6&limit=3": ([7, 8], None),
    "after=8": ([], None),
    "after=9007199254740991": ([], None),
    "before=4": ([1, 2, 3], None),
    "before=8&limit=2": ([6, 7], None),
    "before=1": ([], None),
    "after=2&before=6": ([3, 4, 5], None),
    "after=2&before=6&limit=2": ([3, 4], "4"),
    "kind=room_renamed": ([5], None),
    "kind=message&limit=2": ([2, 3], "3"),
    "kind=message&after=3": ([4, 6, 7, 8], None),
    "kind=message&before=6&limit=2": ([3, 4], None),
    "kind=nothing_like_it": ([], None),
}


async def test_a_room_is_read_in_pages_of_any_cut(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    for n in range(6):
        if n == 3:
            await ana.call("PATCH", f"/rooms/{room}", {"name": "Another name"})
        await ana.say(room, f"entry {n}", f"c-{n}")

    found: dict[str, tuple[list[int], str | None]] = {}
    for query in PAGES:
        page = await ana.call("GET", f"/rooms/{room}/entries?{query}")
        found[query] = ([entry["seq"] for entry in page["items"]], page["next"])
    assert found == PAGES


# Problems ---------------------------------------------------------------------------------------


async def test_every_refusal_is_a_problem_document(company: Company) -> None:
    ana, vera = await company.sign_in("ana"), await company.sign_in("vera")
    room = await ana.open_room(members={company.user("vera"): "observer"})
    await ana.say(room, "hello", "c-1")
    expected: dict[str, tuple[int, str]] = {}
    found: dict[str, tuple[int, str]] = {}

    async def refused(status: int, code: str, client: Client, *request: Any) -> None:
        answer = await client.ask(*request)
        document = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= document.keys()
        assert document["type"] == f"urn:wardroom:problem:{document['code']}"
        assert document["status"] == answer.status_code
        name = f"{request[0]} {request[1]}"
        expected[name], found[name] = (status, code), (answer.status_code, document["code"])

    entries = f"/rooms/{room}/entries"
    await refused(401, "unauthenticated", Client(ana.http), "GET", "/auth/me")
    await refused(404, "not_found", ana, "GET", "/rooms/room_none")
    await refused(404, "not_found", ana, "GET", "/nothing/here")
    await refused(405, "method_not_allowed", ana, "DELETE", f"/rooms/{room}")
    await refused(400, "bad_frame", ana, "POST", "/rooms", b"{")
    await refused(422, "invalid", ana, "PATCH", f"/rooms/{room}", {})
    await refused(403, "forbidden", vera, "POST", entries, {"client_id": "c", "body": "x"})
    await refused(409, "conflict", ana, "POST", entries, {"client_id": "c-1", "body": "other"})
    assert found == expected


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/openapi.json", "/docs"])
async def test_what_tells_of_the_gateway_itself_needs_no_token(path: str, system: System) -> None:
    for gateway in system.gateways:
        assert (await gateway.http.get(path)).status_code == 200
