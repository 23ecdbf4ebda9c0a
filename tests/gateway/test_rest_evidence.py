"""Reading evidence leaves a trace, and where it can't nothing is handed out."""

from actors.protocol.errors import OutcomeUnknown
from tests.gateway.asking import ask
from tests.gateway.auditing import export, page, readings
from tests.gateway.serving import ROOM, peopled, served


async def test_reading_evidence_is_recorded_once_for_each_reader_room_and_way() -> None:
    async with served() as it:
        for name in ("ana", "ana", "bob"):
            for path in ("chain", "chain?after=1", "verify"):
                assert (await ask(it, "GET", f"/rooms/{ROOM}/{path}", name=name)).is_success
        log = (await page(it, object_type="room"))["items"]
    assert [(entry["actor"], entry["operation"], entry["object"]["id"]) for entry in log] == [
        ("usr_bob", "evidence.verify", ROOM),
        ("usr_bob", "evidence.read", ROOM),
        ("usr_ana", "evidence.verify", ROOM),
        ("usr_ana", "evidence.read", ROOM),
    ]
    assert {(entry["method"], entry["address"]) for entry in log} == {("rest", "127.0.0.1")}


async def test_another_gateway_makes_no_second_record_of_the_same_reading() -> None:
    world = peopled("acme")
    for _ in range(2):
        async with served(world) as it:
            assert (await ask(it, "GET", f"/rooms/{ROOM}/chain")).is_success
    assert len(readings(world)) == 1


async def test_every_export_is_recorded_with_its_form_and_filters_and_shows_itself() -> None:
    async with served() as it:
        await export(it, format="csv", q="x")
        entries = (await export(it, format="json", object_type="audit_log")).json()
    assert [entry["after"]["details"] for entry in entries] == [
        {"format": "json", "object_type": "audit_log"},
        {"format": "csv", "q": "x"},
    ]
    assert {entry["operation"] for entry in entries} == {"evidence.export"}


async def test_without_a_record_nothing_is_verified_or_exported_but_a_chain_is_shown() -> None:
    world = peopled("acme")
    async with served(world) as it:
        world.broken_commit = OutcomeUnknown("no receipt")
        for path, name in ((f"/rooms/{ROOM}/verify", "ana"), ("/audit-logs/export", "tom")):
            answer = await ask(it, "GET", path, name=name)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await ask(it, "GET", f"/rooms/{ROOM}/chain")).is_success
        world.broken_commit = None
        assert (await ask(it, "GET", f"/rooms/{ROOM}/verify")).is_success
    assert [reading["operation"] for reading in readings(world)] == ["verify"]


async def test_somebody_who_may_not_see_a_room_leaves_no_trace_of_trying() -> None:
    async with served() as it:
        assert (await ask(it, "GET", f"/rooms/{ROOM}/chain", name="vera")).status_code == 404
    assert readings(it.world) == []


async def test_addresses_are_not_shown_to_those_who_read_a_room() -> None:
    async with served() as it:
        made = await ask(it, "POST", "/rooms", json={"name": "x"})
        room = made.json()["room"]
        assert "origin" not in (await ask(it, "GET", f"/rooms/{room}/entries")).text
