"""A provisioner that is killed between two steps of a credential; and where a seed is not to be found."""

import base64
import mmap
from pathlib import Path
from typing import Final

import nkeys  # type: ignore[import-untyped]
import pytest

from actors.protocol.ids import TENANT_ROOM
from deploy.local.children import Child
from store.driver import MongoConnection
from tests.e2e.clients import Client, Json
from tests.e2e.platform import provisioner
from tests.e2e.system import Company, System
from tests.e2e.test_nats_credentials import PATH, is_let_in, made, shown, signed_in
from tests.support.eventually import eventually

KILLED: Final = -9
SEED_TEXT_BYTES: Final = 58


async def _die(system: System, point: str) -> None:
    async with provisioner(system, WARDROOM_FAILPOINTS=f"{point}:kill:1") as doomed:

        async def ended() -> int | None:
            return doomed.process.returncode

        assert await eventually(ended, f"death at {point}") == KILLED


async def _is(tom: Client, credential: str, status: str) -> Json:
    async def ask() -> Json | None:
        found = await shown(tom, credential)
        return found if found["status"] == status else None

    return await eventually(ask, f"the credential being {status}")


async def test_a_credential_that_nobody_has_signed_is_made_later_and_its_seed_was_shown(
    company: Company, tmp_path: Path
) -> None:
    tom = await company.sign_in("tom")
    answer = await tom.ask("POST", PATH, {"name": "QRadar"})
    assert answer.status_code == 202, answer.text
    new = answer.json()
    assert new["creds"] is None
    await _die(company.system, "credential_signed")
    assert (await shown(tom, new["credential"]))["status"] == "pending"
    async with provisioner(company.system):
        token = (await _is(tom, new["credential"], "active"))["token"]
    file = (
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{new['seed']}\n------END USER NKEY SEED------\n"
    )
    assert await is_let_in(company.system, tmp_path, file)


async def test_a_revocation_is_completed_by_the_next_run(company: Company, tmp_path: Path) -> None:
    tom = await company.sign_in("tom")
    async with provisioner(company.system) as child:
        await child.wait_ready()
        new = await made(tom)
    async with signed_in(company.system, tmp_path, new["creds"]) as siem:
        answer = await tom.ask("DELETE", f"{PATH}/{new['credential']}")
        assert (answer.status_code, answer.json()["status"]) == (202, "revoking")
        assert await siem.may_publish("ingest.qradar.ping")
        await _die(company.system, "credential_cut")
        await siem.cut()
    assert (await shown(tom, new["credential"]))["status"] == "revoking"
    async with provisioner(company.system):
        await _is(tom, new["credential"], "revoked")
    assert not await is_let_in(company.system, tmp_path, new["creds"])


async def test_one_that_is_revoked_before_it_was_signed_never_gets_a_token(
    company: Company,
) -> None:
    tom = await company.sign_in("tom")
    new = (await tom.ask("POST", PATH, {"name": "QRadar"})).json()
    assert (await tom.ask("DELETE", f"{PATH}/{new['credential']}")).status_code == 202
    async with provisioner(company.system):
        seen = await _is(tom, new["credential"], "revoked")
    assert seen["token"] is None


async def test_a_seed_is_nowhere_but_in_the_answer(company: Company, tmp_path: Path) -> None:
    tom = await company.sign_in("tom")
    async with provisioner(company.system) as child:
        await child.wait_ready()
        first = await made(tom)
        second = await tom.call("POST", f"{PATH}/{first['credential']}/rotate", {"overlap_s": 0})
        async with signed_in(company.system, tmp_path, second["creds"]) as siem:
            assert await siem.may_publish("ingest.qradar.offense", b"no offense")
        await tom.call("DELETE", f"{PATH}/{second['credential']}")
    public = (await shown(tom, second["credential"]))["public_key"]
    secrets = [form for each in (first, second) for form in _forms(each["seed"])]

    opened = await _everything_opened(company)
    assert public.encode() in opened, "this looks where the key is"
    plain = await _everything_in_mongodb(company.system)
    assert [secret for secret in secrets if secret in opened or secret in plain] == []
    files = [path for path in company.system.stack.directory.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" or path.parent.name == "logs" for path in files)
    assert any("nats" in path.parts for path in files)
    assert [path for path in files if _holds(path, secrets)] == []


def _forms(seed: str) -> list[bytes]:
    assert len(seed) == SEED_TEXT_BYTES
    raw = bytes(nkeys.decode_seed(seed.encode())[1])
    return [seed.encode(), raw, raw.hex().encode(), base64.b64encode(raw)]


async def _everything_opened(company: Company) -> bytes:
    async with company.system.reader() as reader:
        tenant = await reader.tenant(company.tenant)
        assert tenant is not None
        entries = await tenant.entries(TENANT_ROOM, limit=1_000)
        rows = await tenant.nats_credentials.page(after="", limit=0)
        letters = await tenant.dead_letters(100)
    return b"\n".join(
        [*(entry.content or b"" for entry in entries), repr(rows).encode(), repr(letters).encode()]
    )


async def _everything_in_mongodb(system: System) -> bytes:
    connection = MongoConnection(system.stack.mongo_url)
    found: list[bytes] = []
    try:
        for name in await connection.database_names():
            if not name.startswith("wardroom"):
                continue
            database = connection.database(name)
            for collection in await database.list_collection_names():
                async for document in database[collection].find({}):
                    found.append(repr(document).encode())
                    found += [value for value in document.values() if isinstance(value, bytes)]
    finally:
        await connection.close()
    return b"\n".join(found)


def _holds(path: Path, secrets: list[bytes]) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(secret) >= 0 for secret in secrets)


@pytest.fixture(scope="module", autouse=True)
async def nobody_provisions(system: System) -> None:
    """Whatever waits is done; from here on only those provision whom a test starts."""
    child: Child
    async with provisioner(system) as child:
        await child.wait_ready()
