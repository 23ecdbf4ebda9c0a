"""The audit log over REST: pages, files, and the trace that reading evidence leaves."""

import asyncio
import csv
import io
import zipfile
from typing import Final
from xml.etree import ElementTree

import httpx
import orjson
import pytest

from actors.protocol.ids import TENANT_ROOM
from gateway import audit, spreadsheets
from gateway.spreadsheets import Pages
from tests.gateway.asking import API, ask
from tests.gateway.auditing import export, page, readings
from tests.gateway.serving import Unreachable, peopled, served
from tests.gateway.world import World, eventually, tenant_command

FORMULAS: Final = (
    *(
        "=1+1",
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "'=1",
        '"=1',
    ),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\u201c=1", '=HYPERLINK("http://x")'),
)
EVALUATED: Final = tuple('=+-@\t\r\n"\uff1d\uff0b\uff0d\uff20\u201c ')
UNSEEN: Final = ("a\0b", "a\u202eb", "a\u2066b", "a\ufeffb")


def with_users(*names: str) -> World:
    world = peopled("acme", "globex")
    for number, name in enumerate(names):
        make_user(world, f"usr_n{number}", name)
    return world


def make_user(world: World, user: str, name: str) -> None:
    facts = {"username": user, "email": None, "password_hash": "canary"}
    command = tenant_command(
        type="create_user", user=user, display_name=name or "x", user_role="viewer", **facts
    )
    world.commit("acme", TENANT_ROOM, command)


def sheet_cells(content: bytes) -> list[list[str]]:
    """The texts of a workbook's first sheet; a formula anywhere fails."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        trees = {
            name: ElementTree.fromstring(archive.read(name))  # noqa: S314 -- our own file
            for name in archive.namelist()
            if name.startswith("xl/worksheets/sheet")
        }
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    for tree in trees.values():
        assert [*tree.iter(f"{space}f"), *tree.iter(f"{space}hyperlink")] == []
    return [
        ["".join(cell.itertext()) for cell in row.iter(f"{space}c")]
        for tree in trees.values()
        for row in tree.iter(f"{space}row")
    ]


# Pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/audit-logs", "/audit-logs/export"])
async def test_only_the_tenants_administrator_may_read_it(path: str) -> None:
    async with served() as it:
        for name in ("ana", "bob", "vera"):
            answer = await ask(it, "GET", path, name=name)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert (await ask(it, "GET", path, name="tom")).status_code == 200


async def test_an_entry_says_who_did_what_to_what_when_and_where_it_stands() -> None:
    world = peopled("acme")
    record = world.at("acme", TENANT_ROOM).entries[0]
    async with served(world) as it:
        entry = (await page(it, operation="user.create"))["items"][-1]
    assert entry["seq"] == record.seq
    assert (entry["prev"], entry["hash"]) == (record.prev.hex(), record.hash.hex())
    assert (entry["operation"], entry["outcome"]) == ("user.create", "done")
    assert entry["object"] == {"type": "user", "id": "usr_ana"}
    facts = {"username": "ana", "email": "ana@acme.example", "display_name": "Ana"}
    assert entry["after"] == {**facts, "role": "analyst"}


async def test_pages_hold_everything_once_while_new_entries_come() -> None:
    world = with_users(*map(str, range(12)))
    before = world.at("acme", TENANT_ROOM).head
    async with served(world) as it:
        seqs: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            found = await page(it, limit=3, **cursor)
            seqs += [entry["seq"] for entry in found["items"]]
            make_user(world, f"usr_late{len(seqs)}", "late")
            if found["next"] is None:
                break
            cursor = {"cursor": found["next"]}
    assert seqs == list(range(before, 0, -1))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"actor": "usr_nobody"}, 0),
        ({"actor": "system"}, 11),
        ({"operation": "session.open"}, 4),
        ({"operation": "session.open", "actor": "system"}, 4),
        ({"operation": "user.create", "object_type": "session"}, 0),
        ({"object_type": "user"}, 7),
        ({"object_id": "usr_n1"}, 1),
        ({"outcome": "refused"}, 0),
        ({"outcome": "done"}, 11),
        ({"address": "10.9.8.7"}, 0),
        ({"q": "ZWEITER"}, 1),
        ({"q": "straSSE"}, 1),
        ({"q": "canary"}, 0),
        ({"from": "2020-01-01T00:00:00Z"}, 11),
        ({"to": "2020-01-01T00:00:00Z"}, 0),
        ({"from": "9999-12-31T23:59:59+00:00"}, 0),
        ({"from": "0001-01-01T00:00:00+14:00"}, 11),
    ],
)
async def test_what_is_asked_for_is_what_is_shown(query: dict[str, str], count: int) -> None:
    async with served(with_users("Erster", "Zweiter", "Stra\u00dfe")) as it:
        found = await page(it, **query)
    assert len(found["items"]) == count


async def test_a_page_looks_at_a_bounded_number_of_records_and_says_where_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "OPENED_MAX", 4)
    monkeypatch.setattr(audit, "CHUNK_RECORDS", 4)
    async with served(peopled("acme")) as it:
        found = await page(it, object_id="usr_ana")
        assert (found["items"], found["looked_at"]) == ([], 4)
        seen = []
        while found["next"] is not None:
            found = await page(it, object_id="usr_ana", cursor=found["next"])
            assert found["looked_at"] <= 4
            seen += found["items"]
    assert [entry["operation"] for entry in seen] == ["user.create"]


async def test_those_of_one_actor_are_looked_for_a_window_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "WINDOW_RECORDS", 2)
    monkeypatch.setattr(audit, "LOOKED_AT_MAX", 4)
    async with served(peopled("acme")) as it:
        found = await page(it, actor="usr_nobody")
        assert (found["items"], found["looked_at"], found["next"]) == ([], 4, "5")
        found = await page(it, actor="usr_nobody", cursor=found["next"])
    assert (found["items"], found["next"]) == ([], None)


@pytest.mark.parametrize(
    "name",
    ["actor", "operation", "object_type", "object_id", "address", "q", "outcome", "from", "to"],
)
@pytest.mark.parametrize("value", ['{"$ne":null}', '{"$gt":""}', "$where", "a\0b", "\u202e"])
async def test_an_operator_of_the_database_is_a_text_like_any_other(name: str, value: str) -> None:
    async with served(peopled("acme", "globex")) as it:
        answer = await ask(it, "GET", "/audit-logs", name="tom", params={name: value})
        if name in ("outcome", "from", "to"):
            assert answer.status_code == 422
            assert [item["parameter"] for item in answer.json()["errors"]] == [name]
        else:
            assert answer.json()["items"] == []


@pytest.mark.parametrize("name", ["actor[$ne]", "$where", "acter", "limit[$gt]", "tenant", "since"])
async def test_a_parameter_that_is_no_filter_is_refused(name: str) -> None:
    async with served() as it:
        answer = await ask(it, "GET", "/audit-logs", name="tom", params={name: "x"})
    assert answer.status_code == 422
    assert [item["parameter"] for item in answer.json()["errors"]] == [name]


@pytest.mark.parametrize("value", ["0.5", "1795000000", "2026-11-22", "2026-11-22T10:00:00"])
async def test_a_time_is_written_out_with_its_offset(value: str) -> None:
    async with served() as it:
        answer = await ask(it, "GET", "/audit-logs", name="tom", params={"to": value})
    assert answer.status_code == 422
    assert [item["parameter"] for item in answer.json()["errors"]] == ["to"]


# Files ------------------------------------------------------------------------------------------


async def test_all_forms_of_the_file_hold_the_same_entries() -> None:
    async with served(with_users("one", "two")) as it:
        shown = await export(it, format="json", object_type="user")
        lines = await export(it, format="csv", object_type="user")
        book = await export(it, format="xlsx", object_type="user")
    entries = shown.json()
    rows = list(csv.DictReader(io.StringIO(lines.text)))
    head, *cells = sheet_cells(book.content)
    assert len(entries) == 6
    assert tuple(head) == spreadsheets.COLUMNS == tuple(rows[0])
    for name in ("hash", "seq", "operation", "actor"):
        column = spreadsheets.COLUMNS.index(name)
        told = [str(entry[name]) for entry in entries]
        assert told == [row[name] for row in rows] == [row[column] for row in cells]
    assert [orjson.loads(row["after"]) for row in rows] == [entry["after"] for entry in entries]
    assert shown.headers["audit-records"] == str(it.world.at("acme", TENANT_ROOM).head - 2)
    assert 'filename="audit-acme-' in book.headers["content-disposition"]


async def test_nothing_but_the_columns_is_in_a_file_without_entries() -> None:
    async with served() as it:
        assert (await export(it, format="json", actor="nobody")).json() == []
        lines = (await export(it, format="csv", actor="nobody")).text
        cells = sheet_cells((await export(it, format="xlsx", actor="nobody")).content)
    assert [tuple(row) for row in csv.reader(io.StringIO(lines))] == [spreadsheets.COLUMNS]
    assert [tuple(row) for row in cells] == [spreadsheets.COLUMNS]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_cell_of_a_csv_file_never_begins_like_a_formula(formula: str) -> None:
    assert spreadsheets.harmless(formula) == f"'{formula}"
    assert spreadsheets.harmless(f"about {formula}") == f"about {formula}"


async def test_no_cell_is_a_formula_and_nothing_in_it_is_unseen() -> None:
    world = peopled("acme")
    for number, text in enumerate((*FORMULAS, *UNSEEN)):
        make_reading_of(world, text, number)
    async with served(world) as it:
        lines = (await export(it, format="csv")).text
        book = (await export(it, format="xlsx")).content
        entries = (await export(it, format="json")).json()
    rows = sheet_cells(book)
    for text in (lines, "".join(cell for row in rows for cell in row)):
        assert not any(letter in text for letter in "\0\u202e\u2066\ufeff")
        assert "\\u202e" in text
    for row in csv.reader(io.StringIO(lines)):
        assert not any(cell.startswith(EVALUATED) for cell in row)
    assert any(cell.startswith("=") for row in rows for cell in row)
    assert {*FORMULAS, *UNSEEN} <= {entry["actor"] for entry in entries}


def make_reading_of(world: World, text: str, number: int) -> None:
    """A record whose plain columns hold what looks like a formula."""
    command = tenant_command(
        type="record_evidence_read",
        operation="read",
        object_type="room",
        object_id="room_1",
        details={"q": text},
    )
    forged = command.model_copy(
        update={"actor": text, "object_id": text, "client_id": f"f{number}"}
    )
    world.commit("acme", TENANT_ROOM, forged)


async def test_a_file_of_many_pages_is_whole_and_other_tenants_are_not_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "CHUNK_RECORDS", 5)
    monkeypatch.setattr(spreadsheets, "SHEET_ROWS_MAX", 7)
    async with served(with_users(*map(str, range(20)))) as it:
        entries = (await export(it, format="json")).json()
        rows = sheet_cells((await export(it, format="xlsx")).content)
    assert [entry["seq"] for entry in entries] == list(range(29, 0, -1))
    assert len([row for row in rows if row[0] != "seq"]) == 30
    assert "globex" not in str(entries) + str(rows)


async def test_work_stops_when_the_one_who_asked_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHUNK_RECORDS", 1)
    world = with_users(*("x" * 150 for _ in range(3_000)))
    async with served(world) as it:
        url, headers = f"{API}/audit-logs/export?format=csv", it.headers("tom")
        async with it.http.stream("GET", url, headers=headers) as answer:
            assert answer.status_code == 200
        await eventually(lambda: it.server.server_state.connections == set())
        await asyncio.sleep(0)
        reads = world.reads
        await page(it, limit=1)
        assert world.reads - reads < 10
        assert reads < 3_000
        # The place of the export is free again.
        for _ in range(3):
            await export(it, format="csv", actor="nobody")


@pytest.mark.parametrize("form", ["csv", "json", "xlsx"])
async def test_a_file_that_breaks_off_does_not_look_like_a_whole_one(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    whole = audit.AuditLog.pages

    async def broken_off(log: audit.AuditLog, wanted: audit.AuditFilter, head: int) -> Pages:
        async for entries in whole(log, wanted, head):
            yield entries
            raise Unreachable("the database is away")

    monkeypatch.setattr(audit.AuditLog, "pages", broken_off)
    async with served() as it:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(it, "GET", f"/audit-logs/export?format={form}", name="tom")


async def test_few_export_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.evidence.EXPORTS_AT_ONCE", 0)
    async with served() as it:
        answer = await ask(it, "GET", "/audit-logs/export", name="tom")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    assert readings(it.world) == []
