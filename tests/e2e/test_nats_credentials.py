"""Credentials of external systems: made, narrowed, rotated, revoked, over, and never anybody else's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import pytest
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError

from deploy.local.children import Child
from tests.actors.offenses import offense
from tests.e2e.clients import Client, Json
from tests.e2e.platform import platform_of, provisioner
from tests.e2e.platform import settled as tenant_settled
from tests.e2e.system import Company, System
from tests.e2e.test_ingest import external_system, incident
from tests.support.eventually import PATIENCE_S, eventually

PATH: Final = "/integrations/nats-credentials"
KILLED: Final = -9


@pytest.fixture(scope="module")
async def provisioning(system: System) -> AsyncIterator[Child]:
    """A provisioner, for all tests here that don't kill it."""
    async with provisioner(system) as child:
        await child.wait_ready()
        yield child


@dataclass
class External:
    """An external system that is signed in: what it was told, and when it was cut off."""

    client: NatsClient
    told: list[str] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def may_publish(self, subject: str, body: bytes = b"{}") -> bool:
        """Whether the server takes a publish."""
        before = len(self.told)
        await self.client.publish(subject, body)
        await self._settle()
        return len(self.told) == before

    async def may_subscribe(self, subject: str) -> bool:
        """Whether the server takes a subscription."""
        before = len(self.told)
        await self.client.subscribe(subject)
        await self._settle()
        return len(self.told) == before

    async def _settle(self) -> None:
        await self.client.flush()
        await self.client.flush()

    async def cut(self) -> None:
        """Return when the server has cut it off."""
        async with asyncio.timeout(PATIENCE_S):
            await self.closed.wait()


@asynccontextmanager
async def signed_in(system: System, directory: Path, creds: str) -> AsyncIterator[External]:
    """An external system with the content of a credentials file.

    Raises:
        NatsError, OSError: it is not let in.
    """
    path = directory / "some.creds"
    path.write_text(creds)
    external = External(NatsClient())

    async def on_error(error: Exception) -> None:
        external.told.append(str(error))

    async def on_closed() -> None:
        external.closed.set()

    try:
        await external.client.connect(
            system.stack.nats_url,
            user_credentials=str(path),
            allow_reconnect=False,
            connect_timeout=3,
            error_cb=on_error,
            closed_cb=on_closed,
            disconnected_cb=on_closed,
        )
        # Some refusals come only after the server's greeting.
        with suppress(NatsError):
            await external.client.flush()
        yield external
    finally:
        await external.client.close()


async def is_let_in(system: System, directory: Path, creds: str) -> bool:
    """Whether somebody with a credentials file gets in."""
    try:
        async with signed_in(system, directory, creds) as external:
            return not external.told and await external.may_publish("ingest.qradar.ping")
    except (NatsError, OSError):
        return False


async def made(tom: Client, **fields: object) -> Json:
    """A new credential, ready to be used."""
    answer = await tom.ask("POST", PATH, {"name": "QRadar", **fields})
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def shown(tom: Client, credential: str) -> Json:
    """A credential as the administrator sees it."""
    return await tom.call("GET", f"{PATH}/{credential}")


async def test_with_a_made_credential_an_offense_opens_its_room(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom, ana = await company.sign_in("tom"), await company.sign_in("ana")
    new = await made(tom)
    assert new["seed"] in new["creds"]
    seen = await shown(tom, new["credential"])
    assert (seen["status"], seen["publish"]) == ("active", ["ingest.>"])
    assert seen["created_by"] == company.user("tom")
    async with signed_in(company.system, tmp_path, new["creds"]) as siem:
        report = orjson.dumps(offense(17))
        await siem.client.jetstream().publish("ingest.qradar.offense", report)
        await incident(ana, "17")

    async def used() -> str | None:
        return str((await shown(tom, new["credential"]))["last_used_at"] or "") or None

    assert await eventually(used, "the last use being told") >= seen["created_at"]
    listed = {item["id"]: item for item in (await tom.call("GET", PATH))["items"]}
    assert listed[new["credential"]]["last_used_at"] is not None


async def test_a_credential_does_what_it_is_for_and_nothing_else(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom = await company.sign_in("tom")
    new = await made(tom, sources=["sentinel", "qradar"])
    assert (await shown(tom, new["credential"]))["publish"] == [
        "ingest.qradar.>",
        "ingest.sentinel.>",
    ]
    async with signed_in(company.system, tmp_path, new["creds"]) as siem:
        assert await siem.may_publish("ingest.qradar.offense")
        assert await siem.may_publish("ingest.sentinel.incident")
        for subject in (
            "ingest.splunk.finding",
            "ingest.qradar",
            f"ingest.{company.tenant}.qradar.offense",
            f"room.{company.tenant}._tenant.command",
            "$JS.API.INFO",
            "$SYS.REQ.USER.INFO",
            "reply.anybody",
            "_INBOX.of.somebody",
        ):
            assert not await siem.may_publish(subject), subject
        for subject in ("ingest.>", ">", "ingest.qradar.offense", "$SYS.>", "event.>"):
            assert not await siem.may_subscribe(subject), subject


async def test_an_answer_that_is_sent_to_another_source_arrives_nowhere(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom = await company.sign_in("tom")
    new = await made(tom, sources=["qradar"])
    async with signed_in(company.system, tmp_path, new["creds"]) as siem:
        for number, reply in enumerate(("ingest.splunk.finding", "room.x.y.command", "")):
            body = f"no offense {number}".encode()
            await siem.client.publish("ingest.qradar.offense", body, reply=reply)
        # JetStream answers before it takes the next one; this stands behind all answers there are.
        await siem.client.jetstream().publish("ingest.qradar.offense", b"the last")

    async def letters() -> list[str] | None:
        async with company.system.reader() as reader:
            tenant = await reader.tenant(company.tenant)
            assert tenant is not None
            found = [dict(letter) for letter in await tenant.dead_letters(100)]
        return [str(each["subject"]) for each in found] if len(found) >= 4 else None

    subjects = await eventually(letters, "what was no offense")
    assert set(subjects) == {f"ingest.{company.tenant}.qradar.offense"}


async def test_a_revoked_credential_is_cut_off_at_once_and_stays_out(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom = await company.sign_in("tom")
    new, other = await made(tom), await made(tom, name="Sentinel")
    async with signed_in(company.system, tmp_path, new["creds"]) as siem:
        assert await siem.may_publish("ingest.qradar.ping")
        answer = await tom.ask("DELETE", f"{PATH}/{new['credential']}")
        assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
        await siem.cut()
    assert not await is_let_in(company.system, tmp_path, new["creds"])
    assert await is_let_in(company.system, tmp_path, other["creds"])
    seen = await shown(tom, new["credential"])
    assert (seen["status"], seen["revoked_by"]) == ("revoked", company.user("tom"))
    assert seen["token"] is None
    assert (await tom.ask("DELETE", f"{PATH}/{new['credential']}")).status_code == 409
    # An operator who repairs the tenant does not let it in again.
    await company.system.stack.create_tenant(company.tenant, "A tenant of one test")
    assert not await is_let_in(company.system, tmp_path, new["creds"])


async def test_the_old_key_of_a_rotation_works_for_its_overlap_and_then_no_more(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom = await company.sign_in("tom")
    first = await made(tom, sources=["qradar"])
    answer = await tom.ask("POST", f"{PATH}/{first['credential']}/rotate", {"overlap_s": 600})
    assert answer.status_code == 201, answer.text
    second = answer.json()
    assert await is_let_in(company.system, tmp_path, first["creds"])
    assert await is_let_in(company.system, tmp_path, second["creds"])
    old, new = await shown(tom, first["credential"]), await shown(tom, second["credential"])
    assert (old["replaced_by"], new["replaces"]) == (second["credential"], first["credential"])
    assert (new["name"], new["sources"]) == (old["name"], old["sources"])
    assert old["ends_at"] is not None
    again = await tom.ask("POST", f"{PATH}/{first['credential']}/rotate", {})
    assert again.status_code == 409

    third = await tom.call("POST", f"{PATH}/{second['credential']}/rotate", {"overlap_s": 0})

    async def retired() -> bool | None:
        return (await shown(tom, second["credential"]))["status"] == "revoked" or None

    await eventually(retired, "the replaced key being revoked")
    assert not await is_let_in(company.system, tmp_path, second["creds"])
    assert await is_let_in(company.system, tmp_path, third["creds"])


async def test_a_credential_that_is_over_is_cut_off_and_stays_out(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom = await company.sign_in("tom")
    new = await made(tom, expires_in_s=4)
    async with signed_in(company.system, tmp_path, new["creds"]) as siem:
        assert await siem.may_publish("ingest.qradar.ping")
        await siem.cut()

    async def over() -> bool | None:
        return (await shown(tom, new["credential"]))["status"] == "expired" or None

    await eventually(over, "its end")
    assert not await is_let_in(company.system, tmp_path, new["creds"])


async def test_nobody_else_finds_a_credential_or_makes_one(
    company: Company, other_company: Company, provisioning: Child, tmp_path: Path
) -> None:
    tom, stranger = await company.sign_in("tom"), await other_company.sign_in("tom")
    new = await made(tom)
    for credential in (new["credential"], "nat_none"):
        answers = [
            await stranger.ask("GET", f"{PATH}/{credential}"),
            await stranger.ask("POST", f"{PATH}/{credential}/rotate", {}),
            await stranger.ask("DELETE", f"{PATH}/{credential}"),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert new["credential"] not in (await stranger.ask("GET", PATH)).text
    for name in ("ana", "vera"):
        colleague = await company.sign_in(name)
        for answer in (
            await colleague.ask("POST", PATH, {"name": "mine"}),
            await colleague.ask("POST", f"{PATH}/{new['credential']}/rotate", {}),
            await colleague.ask("DELETE", f"{PATH}/{new['credential']}"),
        ):
            assert answer.status_code == 403
    assert await is_let_in(company.system, tmp_path, new["creds"])


async def test_what_provisioning_made_is_listed_and_can_be_revoked(
    company: Company, provisioning: Child
) -> None:
    tom = await company.sign_in("tom")

    async def listed() -> Json | None:
        items = (await tom.call("GET", PATH))["items"]
        return items[0] if items else None

    found = await eventually(listed, "the key of the file being adopted")
    assert (found["status"], found["created_by"]) == ("active", "provisioner")
    async with external_system(company) as siem:
        await siem.publish("ingest.qradar.offense", orjson.dumps(offense(3)))
    assert (await tom.ask("DELETE", f"{PATH}/{found['id']}")).status_code == 200
    file = company.system.stack.secrets.tenant_credentials_file(company.tenant)
    assert not await is_let_in(company.system, file.parent, file.read_text())


async def test_a_suspended_tenants_credentials_are_good_for_nothing_until_it_is_resumed(
    company: Company, provisioning: Child, tmp_path: Path
) -> None:
    admin = await platform_of(company.system).admin()
    tom = await company.sign_in("tom")
    kept, gone = await made(tom), await made(tom)
    await tom.call("DELETE", f"{PATH}/{gone['credential']}")
    await tenant_settled(admin, company.tenant, "active")
    async with signed_in(company.system, tmp_path, kept["creds"]) as siem:
        await admin.call("POST", f"/tenants/{company.tenant}/suspend", {})
        await siem.cut()
    await tenant_settled(admin, company.tenant, "suspended")
    assert not await is_let_in(company.system, tmp_path, kept["creds"])
    await admin.call("POST", f"/tenants/{company.tenant}/resume")
    await tenant_settled(admin, company.tenant, "active")
    assert await is_let_in(company.system, tmp_path, kept["creds"])
    assert not await is_let_in(company.system, tmp_path, gone["creds"])


async def test_the_same_request_does_not_show_a_seed_twice(
    company: Company, provisioning: Child
) -> None:
    tom = await company.sign_in("tom")
    first = await tom.call("POST", PATH, {"name": "QRadar"}, key="once")
    again = await tom.ask("POST", PATH, {"name": "QRadar"}, key="once")
    assert again.status_code == 409
    named = [item for item in (await tom.call("GET", PATH))["items"] if item["name"] == "QRadar"]
    assert [item["id"] for item in named] == [first["credential"]]


async def test_every_step_is_an_audit_entry_without_its_token(
    company: Company, provisioning: Child
) -> None:
    tom = await company.sign_in("tom")
    first = await made(tom)
    second = await tom.call("POST", f"{PATH}/{first['credential']}/rotate", {})
    await tom.call("DELETE", f"{PATH}/{second['credential']}")
    items = (await tom.call("GET", "/audit-logs?object_type=nats_credential"))["items"]
    told = {(item["operation"], item["object"]["id"]) for item in items}
    assert told >= {
        ("nats_credential.create", first["credential"]),
        ("nats_credential.sign", first["credential"]),
        ("nats_credential.rotate", first["credential"]),
        ("nats_credential.sign", second["credential"]),
        ("nats_credential.revoke", second["credential"]),
        ("nats_credential.confirm_revocation", second["credential"]),
    }
    assert "eyJ" not in orjson.dumps(items).decode()
