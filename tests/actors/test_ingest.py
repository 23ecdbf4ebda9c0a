"""Events of external systems: an incident once however often it is reported, and nothing swallowed."""

import asyncio
import json
from typing import Any

import orjson
import pytest
from nats.aio.client import Client

from actors.ingest.incidents import incident_room
from actors.ingest.qradar import finding_of
from actors.protocol.codec import body_of
from actors.protocol.limits import CONTENT_BYTES_MAX, JSON_DEPTH_MAX
from deploy.provision.tenants import create_tenant, open_platform
from store.entries import StoredEntry
from store.mongo import EVENTS, tenant_database
from tests.actors.offenses import offense
from tests.actors.running import Place
from tests.support.eventually import eventually

pytestmark = pytest.mark.servers

SUBJECT = "ingest.qradar.offense"


def room_of(raw: dict[str, Any]) -> str:
    """The room of an offense."""
    return incident_room(finding_of("qradar", raw))


async def publish(
    system: Client, raw: Any, subject: str = SUBJECT, headers: dict[str, str] | None = None
) -> None:
    """Publish as an external system does: with the word of JetStream that it is buffered."""
    body = raw if isinstance(raw, bytes) else orjson.dumps(raw)
    await system.jetstream().publish(subject, body, headers=headers)


async def entries_in(place: Place, room: str, count: int) -> list[StoredEntry]:
    """The entries of a room once there are so many."""

    async def enough() -> list[StoredEntry] | None:
        found = await place.entries(room)
        return found if len(found) >= count else None

    return await eventually(enough, f"{count} entries in {room}")


async def letters(place: Place, count: int) -> list[dict[str, Any]]:
    """The dead letters once there are so many."""

    async def enough() -> list[dict[str, Any]] | None:
        found = await place.letters()
        return found if len(found) >= count else None

    return await eventually(enough, f"{count} dead letters")


async def settled(place: Place, system: Client, number: int) -> None:
    """Return when what was published before has been dealt with."""
    marker = offense(number)
    await publish(system, marker)
    await entries_in(place, room_of(marker), 2)


async def test_a_grave_offense_opens_its_room_once_however_often_it_is_sent(place: Place) -> None:
    raw = offense(7, severity=9)
    async with place.external_system() as system:
        await asyncio.gather(*(publish(system, raw) for _ in range(10)))
        await entries_in(place, room_of(raw), 2)
        await place.running.restart()
        await asyncio.gather(*(publish(system, raw) for _ in range(3)))
        await settled(place, system, 8)
    created, finding = await place.entries(room_of(raw))
    assert (created.kind, finding.kind) == ("room_created", "finding")
    said = body_of(created.kind, created.content)
    assert (said["room_kind"], said["name"]) == ("incident", "Excessive firewall denies")
    assert said["incident"]["severity"] == "critical"
    facts = body_of(finding.kind, finding.content)["finding"]
    assert facts["raw"] == raw
    assert facts["observables"][0] == {"type": "IP Address", "value": "192.0.2.1"}
    row = await place.running.reader(place.tenant).room(room_of(raw))
    assert row is not None
    assert set(row.open_to) == {"tenant_admin", "analyst", "viewer"}


async def test_news_of_an_offense_go_to_the_room_that_is_there(place: Place) -> None:
    raw = offense(7)
    async with place.external_system() as system:
        await publish(system, raw)
        await entries_in(place, room_of(raw), 2)
        news = [
            offense(7, event_count=400),
            offense(7, description="Excessive denies of 9 hosts", severity=10),
        ]
        for one in news:
            await publish(system, one)
        found = await entries_in(place, room_of(raw), 4)
    assert [entry.kind for entry in found] == ["room_created", "finding", "finding", "finding"]


async def test_a_mild_offense_is_kept_and_opens_no_room(place: Place) -> None:
    mild = offense(7, severity=3)
    async with place.external_system() as system:
        for _ in range(3):
            await publish(system, mild)
        await settled(place, system, 8)
    assert await place.entries(room_of(mild)) == []
    events = place.running.gateway.database(tenant_database(place.tenant))[EVENTS]
    (kept,) = await events.find({}).to_list(None)
    assert b"firewall" not in kept["sealed"]


@pytest.mark.parametrize(
    ("headers", "wrap"),
    [
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/q", "ce-type": "t"}, False),
        ({"content-type": "application/cloudevents+json"}, True),
    ],
    ids=["binary", "structured"],
)
async def test_a_cloudevent_is_understood_in_both_modes(
    place: Place, headers: dict[str, str], wrap: bool
) -> None:
    raw = offense(7)
    body = {"specversion": "1.0", "id": "1", "source": "/q", "type": "t", "data": raw}
    async with place.external_system() as system:
        await publish(system, body if wrap else raw, headers=headers)
        _, finding = await entries_in(place, room_of(raw), 2)
    assert body_of("finding", finding.content)["finding"]["raw"] == raw


IMPOSSIBLE: list[tuple[str, bytes, str]] = [
    (SUBJECT, b"not json", "not JSON"),
    (SUBJECT, b"", "not JSON"),
    (SUBJECT, b"[]", "must be a JSON object"),
    (SUBJECT, b'{"id": 7}', "Field required"),
    (SUBJECT, orjson.dumps(offense(7, severity=99)), "severity"),
    (SUBJECT, json.dumps(offense(7, start_time=2**70)).encode(), "start_time"),
    (SUBJECT, b'{"a":' * 300 + b"1" + b"}" * 300, "levels deep"),
    (SUBJECT, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "not JSON"),
    (SUBJECT, orjson.dumps(offense(7, notes="x" * (CONTENT_BYTES_MAX + 1))), "too_large"),
    (SUBJECT, orjson.dumps(offense(7, notes="x" * 300_000)), "too_large"),
    ("ingest.qradar.weather", orjson.dumps(offense(7)), "known: offense"),
    ("ingest.qradar", orjson.dumps(offense(7)), "publish on"),
    ("ingest.qradar.offense.more", orjson.dumps(offense(7)), "publish on"),
]


async def test_all_that_can_not_be_taken_is_kept_with_the_reason_and_the_next_event_is_taken(
    place: Place,
) -> None:
    async with place.external_system() as system:
        for subject, body, _ in IMPOSSIBLE:
            await publish(system, body, subject)
        await settled(place, system, 8)
        found = {
            (letter["subject"], letter["body"]): letter["reason"]
            for letter in await letters(place, len(IMPOSSIBLE))
        }
    assert len(found) == len(IMPOSSIBLE)
    for subject, body, reason in IMPOSSIBLE:
        stored_under = f"ingest.{place.tenant}{subject.removeprefix('ingest')}"
        assert reason in found[(stored_under, body)]


async def test_an_offense_as_deep_as_allowed_is_taken(place: Place) -> None:
    nested: Any = 1
    for _ in range(JSON_DEPTH_MAX - 1):
        nested = [nested]
    raw = offense(7, extra=nested)
    async with place.external_system() as system:
        await publish(system, raw)
        _, finding = await entries_in(place, room_of(raw), 2)
    assert body_of("finding", finding.content)["finding"]["raw"] == raw


async def test_what_was_under_way_when_a_worker_stops_is_taken_by_the_next_at_once(
    place: Place,
) -> None:
    offenses = [offense(number) for number in range(60)]
    async with place.external_system() as system:
        await asyncio.gather(*(publish(system, raw) for raw in offenses))
        await place.running.restart()
        for raw in offenses:
            await entries_in(place, room_of(raw), 2)


async def test_an_event_stream_that_was_lost_and_made_again_is_read_again(place: Place) -> None:
    async with place.external_system() as system:
        await settled(place, system, 7)
        stack = place.running.stack
        async with open_platform(stack.secrets, stack.nats_url, stack.mongo_url) as platform:
            await platform.core.jetstream().delete_stream(f"INGEST_{place.tenant}")
            await create_tenant(platform, place.tenant, "again")
        await settled(place, system, 8)
    assert len(await place.entries(room_of(offense(7)))) == 2
