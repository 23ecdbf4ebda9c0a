"""The audit log on the system that runs: what people did, from where, for their administrator only."""

import asyncio
import csv
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import orjson

from actors.protocol.ids import TENANT_ROOM
from store.entries import Selection
from tests.e2e.clients import Client, Json
from tests.e2e.system import PASSWORD, Company


async def pages(client: Client, query: str = "", limit: int = 3) -> list[Json]:
    """The whole log, page by page."""
    items: list[Json] = []
    cursor = ""
    while True:
        page = await client.call("GET", f"/audit-logs?limit={limit}{query}{cursor}")
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={page['next']}"


async def test_the_log_is_the_tenants_chain_as_it_was_committed(company: Company) -> None:
    tom = await company.sign_in("tom")
    shown = await pages(tom)
    async with company.system.reader() as reader:
        tenant = await reader.tenant(company.tenant)
        assert tenant is not None
        head = await tenant.head(TENANT_ROOM)
        stored = await tenant.newest(TENANT_ROOM, Selection(1, head + 1), head)
    assert [(entry["seq"], entry["hash"], entry["actor"], entry["kind"]) for entry in shown] == [
        (entry.seq, entry.hash.hex(), entry.actor, entry.kind) for entry in stored
    ]
    secrets = [
        value
        for entry in stored
        for name, value in orjson.loads(entry.content or b"").items()
        if name in ("password_hash", "refresh", "request")
    ]
    assert len(secrets) >= 8
    told = (await tom.ask("GET", "/audit-logs?limit=200")).text
    for name in ("csv", "json"):
        told += (await tom.ask("GET", f"/audit-logs/export?format={name}")).text
    assert [secret for secret in secrets if secret in told] == []


async def test_filters_find_what_was_done_and_by_whom(company: Company) -> None:
    tom, ana = await company.sign_in("tom"), await company.sign_in("ana")
    room = await ana.open_room()
    await ana.chain(room)
    assert (await ana.verdict(room))["verified"] is True
    started = (await pages(tom, limit=200))[0]["at"]
    read = await pages(tom, f"&object_type=room&object_id={room}&actor={ana.user}")
    assert [entry["operation"] for entry in read] == ["evidence.verify", "evidence.read"]
    assert {(entry["method"], entry["address"]) for entry in read} == {("rest", "127.0.0.1")}
    signed_in = await pages(tom, "&operation=session.open&address=127.0.0.1")
    assert [entry["actor"] for entry in signed_in] == [ana.user, tom.user]
    await ana.call("POST", "/auth/logout")
    [left] = await pages(tom, "&operation=session.end")
    assert (left["actor"], left["method"], left["address"]) == (ana.user, "rest", "127.0.0.1")
    made = await pages(tom, f"&operation=user.create&q={company.username('VERA')}")
    assert [entry["object"]["id"] for entry in made] == [company.user("vera")]
    at = started.replace("+", "%2B")
    before, since = await pages(tom, f"&to={at}"), await pages(tom, f"&from={at}")
    assert since
    assert sorted(entry["seq"] for entry in before + since) == [
        entry["seq"] for entry in reversed(await pages(tom))
    ]


async def test_what_an_administrator_changes_is_shown_as_it_was_and_as_it_is(
    company: Company,
) -> None:
    tom, vera = await company.sign_in("tom"), company.user("vera")
    changed = {"role": "analyst", "display_name": "Vera =1+1"}
    await tom.call("PATCH", f"/users/{vera}", changed)
    password = "another correct horse battery staple"
    await tom.call("POST", f"/users/{vera}/password", {"password": password})
    await tom.call("POST", f"/users/{vera}/disable", {"reason": "left"})
    log = await pages(tom, f"&object_type=user&object_id={vera}")
    assert [(entry["operation"], entry["actor"]) for entry in log[:3]] == [
        ("user.disable", tom.user),
        ("user.change_password", tom.user),
        ("user.change", tom.user),
    ]
    before, after = log[2]["before"], log[2]["after"]
    assert (before["role"], before["display_name"]) == ("viewer", "Vera")
    assert after == before | changed
    assert log[0]["after"] == {"reason": "left"}
    assert {(entry["method"], entry["address"]) for entry in log[:3]} == {("rest", "127.0.0.1")}
    assert password not in str(log)


async def command_line(company: Company, name: str, *words: str) -> tuple[int, str, str]:
    """What the command line says to somebody, and its status."""
    environment = os.environ | {
        "WARDROOM_URL": str(company.system.gateways[0].http.base_url),
        "WARDROOM_USERNAME": company.username(name),
        "WARDROOM_PASSWORD": PASSWORD,
    }
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "audit", *words),
        env=environment,
        stdout=pipe,
        stderr=pipe,
    )
    said, complained = await child.communicate()
    return child.returncode or 0, said.decode(), complained.decode()


async def test_the_command_line_lists_and_exports_for_an_administrator(
    company: Company, tmp_path: Path
) -> None:
    where = ("--where", "operation=user.create")
    status, said, _ = await command_line(company, "tom", "list", *where, "--limit", "3")
    assert (status, said.count("user.create")) == (0, 3)
    file = tmp_path / "audit.json"
    assert (await command_line(company, "tom", "export", str(file), *where))[0] == 0
    made: list[Json] = orjson.loads(file.read_bytes())
    assert {entry["object"]["id"] for entry in made} == {
        company.user(name) for name in ("ana", "bob", "vera", "tom")
    }
    before = file.read_bytes()
    assert (await command_line(company, "tom", "export", str(file)))[0] == 2
    assert file.read_bytes() == before
    other = tmp_path / "audit.csv"
    status, _, complained = await command_line(company, "ana", "export", str(other))
    assert (status, complained.split(":")[1].strip()) == (1, "forbidden")
    assert not other.exists()


async def test_pages_stay_whole_while_people_sign_in(company: Company) -> None:
    tom = await company.sign_in("tom")
    first = await tom.call("GET", "/audit-logs?limit=2")
    seqs, page = [entry["seq"] for entry in first["items"]], first
    while page["next"] is not None:
        await company.sign_in("ana")
        page = await tom.call("GET", f"/audit-logs?limit=2&cursor={page['next']}")
        seqs += [entry["seq"] for entry in page["items"]]
    assert seqs == list(range(seqs[0], 0, -1))


async def test_nobody_else_reads_it_and_nothing_of_another_tenant_is_in_it(
    company: Company, other_company: Company
) -> None:
    for name in ("ana", "vera"):
        client = await company.sign_in(name)
        for path in ("/audit-logs", "/audit-logs/export?format=csv"):
            answer = await client.ask("GET", path)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    tom = await other_company.sign_in("tom")
    ana = company.user("ana")
    queries = (f"actor={ana}", f"q={company.tenant}", f"object_id={ana}")
    for query in queries:
        assert await pages(tom, f"&{query}") == []
    assert company.tenant not in (await tom.ask("GET", "/audit-logs?limit=200")).text
    assert company.tenant not in (await tom.ask("GET", "/audit-logs/export?format=json")).text
    for query in (queries[0], queries[2]):
        assert (await tom.ask("GET", f"/audit-logs/export?{query}")).json() == []


async def test_a_file_can_be_read_back_in_every_form(company: Company) -> None:
    tom = await company.sign_in("tom", gateway=1)
    answers = {
        name: await tom.ask("GET", f"/audit-logs/export?format={name}&operation=user.create")
        for name in ("csv", "json", "xlsx")
    }
    made: Any = answers["json"].json()
    rows = list(csv.DictReader(io.StringIO(answers["csv"].text)))
    assert [row["hash"] for row in rows] == [entry["hash"] for entry in made]
    assert len(made) == 4
    with zipfile.ZipFile(io.BytesIO(answers["xlsx"].content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert all(entry["hash"] in sheet for entry in made)
    assert "<f>" not in sheet
    for answer in answers.values():
        assert int(answer.headers["audit-records"]) >= 6
    exported = await pages(tom, "&operation=evidence.export")
    assert [entry["after"]["details"]["format"] for entry in exported] == ["xlsx", "json", "csv"]
