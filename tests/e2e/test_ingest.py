"""What an external system publishes with its tenant's credentials: incidents, and dead letters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import nats
import orjson
from nats.js import JetStreamContext

from actors.protocol.limits import CONTENT_BYTES_MAX
from tests.actors.offenses import offense
from tests.e2e.clients import Client, Json
from tests.e2e.system import Company
from tests.support.eventually import eventually

SUBJECT: Final = "ingest.qradar.offense"

GARBAGE: Final[dict[str, tuple[str, bytes]]] = {
    "no JSON": (SUBJECT, b"hello"),
    "nothing": (SUBJECT, b""),
    "no object": (SUBJECT, b"[]"),
    "no UTF-8": (SUBJECT, b'{"id":"\xff"}'),
    "not a number": (SUBJECT, b'{"id":NaN}'),
    "a lone surrogate": (SUBJECT, b'{"description":"\\ud800"}'),
    "a deep nesting": (SUBJECT, b'{"id":' + b"[" * 400 + b"]" * 400 + b"}"),
    "an empty offense": (SUBJECT, b"{}"),
    "an offense with a text for its id": (SUBJECT, orjson.dumps(offense(1, id="1"))),
    "a severity that can't be": (SUBJECT, orjson.dumps(offense(1, severity=11))),
    "a time that is a text": (SUBJECT, orjson.dumps(offense(1, start_time="today"))),
    "far too much": (SUBJECT, orjson.dumps(offense(1, note="x" * CONTENT_BYTES_MAX))),
    "a kind nobody knows": ("ingest.qradar.gossip", orjson.dumps(offense(1))),
    "no kind": ("ingest.qradar", orjson.dumps(offense(1))),
    "a token too many": ("ingest.qradar.offense.more", orjson.dumps(offense(1))),
}
"""What can't become an incident: subject and body."""


@asynccontextmanager
async def external_system(company: Company) -> AsyncIterator[JetStreamContext]:
    """A company's SIEM, signed in to NATS."""
    secrets = company.system.stack.secrets
    client = await nats.connect(
        company.system.stack.nats_url,
        user_credentials=str(secrets.tenant_credentials_file(company.tenant)),
    )
    try:
        yield client.jetstream()
    finally:
        await client.close()


async def incident(client: Client, source_id: str) -> str:
    """The room of an incident, once it is there."""

    async def ask() -> str | None:
        for room in (await client.call("GET", "/rooms"))["items"]:
            if (room["incident"] or {}).get("source_id") == source_id:
                return str(room["id"])
        return None

    return await eventually(ask, f"a room for offense {source_id}")


async def test_an_offense_opens_a_room_once_and_its_updates_are_facts_in_it(
    company: Company,
) -> None:
    ana = await company.sign_in("ana", gateway=1)
    first, update = offense(17), offense(17, event_count=9, last_updated_time=1_795_000_009_000)
    async with external_system(company) as siem:
        for report in (first, first, update, first):
            await siem.publish(SUBJECT, orjson.dumps(report))
        room = await incident(ana, "17")
        async with ana.socket() as socket:
            seen = (await socket.follow(room))[:-1]
            seen += await socket.entries(3 - len(seen))
            await siem.publish(SUBJECT, orjson.dumps(update))
            await siem.publish(SUBJECT, orjson.dumps(offense(18)))
            await incident(ana, "18")
            assert await socket.echo("nothing new") == []
    assert [entry["kind"] for entry in seen] == ["room_created", "finding", "finding"]
    counts = {entry["body"]["finding"]["event_count"] for entry in seen[1:]}
    assert counts == {3, 9}
    assert len((await ana.call("GET", "/rooms"))["items"]) == 2
    assert (await ana.verdict(room))["verified"] is True


async def test_an_offense_that_is_not_severe_opens_no_room(company: Company) -> None:
    ana = await company.sign_in("ana")
    async with external_system(company) as siem:
        await siem.publish(SUBJECT, orjson.dumps(offense(1, severity=2)))
        await siem.publish(SUBJECT, orjson.dumps(offense(2)))
        await incident(ana, "2")
    assert len((await ana.call("GET", "/rooms"))["items"]) == 1


async def test_garbage_becomes_dead_letters_and_disturbs_nobody(
    company: Company, other_company: Company
) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    async with external_system(company) as siem, ana.socket() as socket:
        await socket.follow(room)
        for number, (subject, body) in enumerate(GARBAGE.values()):
            await siem.publish(subject, body)
            await socket.say(room, "undisturbed", f"c-{number}")
        await siem.publish(SUBJECT, orjson.dumps(offense(17)))
        entries = await socket.entries(len(GARBAGE))
        assert await incident(ana, "17") != room
    assert [entry["seq"] for entry in entries] == list(range(2, 2 + len(GARBAGE)))

    letters = await dead_letters(company)
    assert {body: reason != "" for body, reason in letters.items()} == {
        (f"ingest.{company.tenant}.{subject.removeprefix('ingest.')}", body): True
        for subject, body in GARBAGE.values()
    }
    async with company.system.reader() as reader:
        neighbour = await reader.tenant(other_company.tenant)
        assert neighbour is not None
        assert await neighbour.dead_letters(1) == []


async def dead_letters(company: Company) -> dict[tuple[str, bytes], str]:
    """The reasons of all that could not be read, by subject and body."""
    async with company.system.reader() as reader:

        async def ask() -> list[Json] | None:
            tenant = await reader.tenant(company.tenant)
            assert tenant is not None
            letters = [dict(letter) for letter in await tenant.dead_letters(2 * len(GARBAGE))]
            return letters if len(letters) >= len(GARBAGE) else None

        letters = await eventually(ask, "dead letters of all garbage")
    return {(letter["subject"], letter["body"]): letter["reason"] for letter in letters}
