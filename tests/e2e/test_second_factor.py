"""Second factors on the system that runs: two gateways, one tenant actor, and a clock that can't be moved.

A code of the present time step or of the next is good whenever the step changes meanwhile, so a test uses
two at most, and recovery codes beyond.
"""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import bson
import httpx
import orjson
import pyotp

from gateway.limits import SESSION_CHECK_S, TOTP_STEP_S
from store.driver import MongoConnection
from store.mongo import CONTENTS, POLICIES, RECORDS, ROOMS, SESSIONS, USERS, tenant_database
from tests.e2e.clients import Client, Json, bare_socket
from tests.e2e.system import PASSWORD, Company
from tests.e2e.test_lockout import recorded
from tests.support.eventually import eventually

AT_ONCE_S: Final = SESSION_CHECK_S / 3
OWN: Final = "/auth/second-factor"
POLICY: Final = "/policies/second-factor"
REFUSED: Final = "second_factor_enrolment_required"


@dataclass
class Device:
    """An authenticator. `step` is that of the first code that it showed."""

    secret: str
    step: int

    def code(self, steps: int = 0) -> str:
        """The code so many steps after the first."""
        return pyotp.TOTP(self.secret).generate_otp(self.step + steps)


async def enrol(client: Client, password: str = PASSWORD) -> tuple[Device, list[str]]:
    """Give somebody a second factor; its first code is used then."""
    begun = await client.call("POST", OWN, {"password": password})
    device = Device(begun["secret"], int(time.time()) // TOTP_STEP_S)
    done = await client.call("POST", f"{OWN}/confirm", {"code": device.code()})
    return device, done["recovery_codes"]


async def login(http: httpx.AsyncClient, name: str, **more: Any) -> httpx.Response:
    """Try to sign in."""
    return await Client(http).ask(
        "POST", "/auth/login", {"username": name, "password": PASSWORD, **more}
    )


async def challenged(http: httpx.AsyncClient, name: str) -> str:
    """The challenge that the password brings."""
    refused = await login(http, name)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (401, "second_factor_required"), problem
    return str(problem["challenge"])


async def answer(http: httpx.AsyncClient, challenge: str, code: str) -> httpx.Response:
    """Go on with a code."""
    body = {"challenge": challenge, "code": code}
    return await Client(http).ask("POST", "/auth/login/second-factor", body)


def client_of(http: httpx.AsyncClient, user: str, pair: Json) -> Client:
    """Somebody with these tokens."""
    return Client(http, user, pair["access_token"], pair["refresh_token"])


async def refreshed(client: Client) -> tuple[Client, Json]:
    """The same session with the next tokens, and what came with them."""
    pair = await client.call("POST", "/auth/refresh", {"refresh_token": client.refresh})
    return client_of(client.http, client.user, pair), pair


async def test_a_code_signs_in_once_at_whichever_gateway_and_never_again_at_any(
    company: Company,
) -> None:
    first, second = (gateway.http for gateway in company.system.gateways)
    ana, name = await company.sign_in("ana"), company.username("ana")
    device, _ = await enrol(ana)
    entered = await answer(second, await challenged(first, name), device.code(1))
    assert entered.status_code == 200, entered.text
    client = client_of(second, ana.user, entered.json())
    async with client.socket() as socket:
        assert await socket.echo("welcome") == []
    async with company.system.another_gateway() as fresh:
        for http in (first, second, fresh.http):
            for code in (device.code(), device.code(1)):
                again = await answer(http, await challenged(http, name), code)
                assert (again.status_code, again.json()["code"]) == (401, "login_failed")


async def test_codes_of_steps_that_are_too_far_away_are_refused(company: Company) -> None:
    ana, name = await company.sign_in("ana"), company.username("ana")
    device, _ = await enrol(ana)
    for far in (-3, 4):
        refused = await login(ana.http, name, otp=device.code(far))
        assert (refused.status_code, refused.json()["code"]) == (401, "login_failed")
    assert (await login(ana.http, name, otp=device.code(1))).status_code == 200


async def test_of_one_recovery_code_at_two_gateways_at_once_exactly_one_comes_in(
    company: Company,
) -> None:
    doors = [gateway.http for gateway in company.system.gateways] * 3
    ana, name = await company.sign_in("ana"), company.username("ana")
    _, codes = await enrol(ana)
    for code in codes[:3]:
        found = await asyncio.gather(*(login(http, name, otp=code) for http in doors))
        assert sorted(each.status_code for each in found) == [200] + [401] * 5
    assert (await ana.call("GET", OWN))["recovery_codes_left"] == len(codes) - 3


async def test_a_challenge_opens_no_socket_and_no_route(company: Company) -> None:
    ana, name = await company.sign_in("ana"), company.username("ana")
    await enrol(ana)
    challenge = await challenged(ana.http, name)
    for gateway in company.system.gateways:
        intruder = Client(gateway.http, ana.user, challenge)
        for method, path in (("GET", "/auth/me"), ("POST", "/auth/ws-ticket"), ("GET", OWN)):
            assert (await intruder.ask(method, path)).status_code == 401
        async with bare_socket(gateway.http) as socket:
            await socket.send(type="hello", token=challenge)
            assert await socket.closed() == 4401
        async with bare_socket(gateway.http, f"?ticket={challenge}") as socket:
            assert await socket.closed() == 4401


async def test_a_tenant_that_requires_a_second_factor_lets_others_enrol_and_nothing_else(
    company: Company,
) -> None:
    first, second = (gateway.http for gateway in company.system.gateways)
    tom, bob = await company.sign_in("tom"), await company.sign_in("bob", gateway=1)
    await enrol(tom)
    await tom.call("PUT", POLICY, {"policy": "required"})
    assert (await bob.call("GET", POLICY)) == {"policy": "required"}

    bob, pair = await refreshed(bob)
    assert pair["scope"] == "enrol"
    entered = (await login(first, company.username("ana"))).json()
    assert entered["scope"] == "enrol"
    ana = client_of(first, company.user("ana"), entered)
    for person in (bob, ana):
        for http in (first, second):
            restricted = person.at(http)
            for method, path in (
                ("GET", "/rooms"),
                ("GET", "/auth/me"),
                ("POST", "/auth/ws-ticket"),
            ):
                refused = await restricted.ask(method, path)
                assert (refused.status_code, refused.json()["code"]) == (403, REFUSED)
            async with bare_socket(http) as socket:
                await socket.send(type="hello", token=restricted.access)
                assert await socket.closed() == 4403
                assert [frame["code"] for frame in socket.seen] == [REFUSED]

    await enrol(ana.at(second))
    ana, pair = await refreshed(ana)
    assert "scope" not in pair
    async with ana.socket() as socket:
        assert await socket.echo("welcome") == []


async def test_an_administrator_resets_and_sockets_at_another_gateway_close_at_once(
    company: Company,
) -> None:
    first, second = (gateway.http for gateway in company.system.gateways)
    ana, tom = await company.sign_in("ana", gateway=1), await company.sign_in("tom")
    await enrol(ana)
    async with ana.socket() as socket:
        await tom.call("POST", f"/users/{ana.user}/second-factor/reset")
        async with asyncio.timeout(AT_ONCE_S):
            assert await socket.closed() == 4401
    for http in (first, second):
        assert (await login(http, company.username("ana"))).status_code == 200
    log = (await tom.call("GET", "/audit-logs?operation=user.reset_second_factor"))["items"]
    assert [(entry["actor"], entry["object"]["id"]) for entry in log] == [(tom.user, ana.user)]


async def test_wrong_codes_lock_and_show_in_the_audit_log(company: Company) -> None:
    ana, tom = await company.sign_in("ana"), await company.sign_in("tom")
    name = company.username("ana")
    device, codes = await enrol(ana)
    async with company.system.another_gateway(WARDROOM_LOGIN_FAILURES_ACCOUNT="3") as gateway:
        statuses: list[int] = []
        while 429 not in statuses:
            assert len(statuses) < 12, "nobody is ever told to wait"
            challenge = await challenged(gateway.http, name)
            statuses.append((await answer(gateway.http, challenge, device.code())).status_code)
        assert statuses[:3] == [401] * 3
        assert (await login(gateway.http, name, otp=codes[0])).status_code == 429

        async def told() -> list[Json] | None:
            path = "/audit-logs?operation=user.sign_in&outcome=refused"
            return (await tom.call("GET", path))["items"] or None

        [entry] = await eventually(told, "the failure is in the audit log")
    assert (entry["object"]["id"], entry["after"]["reason"]) == (ana.user, "wrong_code")


async def command_line(
    environment: dict[str, str], *words: str, typed: str | None = None
) -> tuple[int, str]:
    """The command line's status and what it complains of; `typed` is typed at a terminal."""
    terminal, stdin = os.openpty() if typed is not None else (-1, asyncio.subprocess.DEVNULL)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *words),
        env=os.environ | environment,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if typed is not None:
        os.write(terminal, f"{typed}\n".encode())
    _, complained = await child.communicate()
    if typed is not None:
        os.close(terminal)
        os.close(stdin)
    return child.returncode or 0, complained.decode()


def as_user(company: Company, name: str, **more: str) -> dict[str, str]:
    """The environment in which the command line signs in as somebody."""
    return {
        "WARDROOM_URL": str(company.system.gateways[0].http.base_url),
        "WARDROOM_USERNAME": company.username(name),
        "WARDROOM_PASSWORD": PASSWORD,
        **more,
    }


async def test_the_command_line_takes_a_code_and_says_when_it_needs_one(company: Company) -> None:
    ana, listing = await company.sign_in("ana"), ("room", "list")
    _, codes = await enrol(ana)
    status, complained = await command_line(as_user(company, "ana"), *listing)
    assert status == 1
    assert "WARDROOM_OTP" in complained
    with_code = as_user(company, "ana", WARDROOM_OTP=codes[0])
    assert await command_line(with_code, *listing) == (0, "")
    status, complained = await command_line(with_code, *listing)
    assert (status, "login_failed" in complained) == (1, True)
    status, complained = await command_line(as_user(company, "ana"), *listing, typed=codes[1])
    assert status == 0, complained
    assert complained.startswith("Code of your second factor")


async def test_the_command_line_says_that_one_must_be_enrolled_and_an_operator_resets_one(
    company: Company,
) -> None:
    tom, stack = await company.sign_in("tom"), company.system.stack
    await enrol(tom)
    await tom.call("PUT", POLICY, {"policy": "required"})
    status, complained = await command_line(as_user(company, "bob"), "room", "list")
    assert (status, REFUSED in complained) == (1, True)

    operator = {
        "WARDROOM_NATS_URL": stack.nats_url,
        "WARDROOM_MONGO_URL": stack.mongo_url_for("provisioner"),
        "WARDROOM_SECRETS_DIR": str(stack.secrets.directory),
    }
    words = ("user", "reset-second-factor", company.tenant, company.username("tom"))
    status, complained = await command_line(operator, *words)
    assert status == 0, complained
    assert (await tom.ask("GET", "/auth/me")).status_code == 401
    entered = await login(tom.http, company.username("tom"))
    assert entered.json()["scope"] == "enrol"


async def test_no_secret_and_no_code_lies_open_in_databases_streams_or_logs(
    company: Company,
) -> None:
    ana, tom = await company.sign_in("ana"), await company.sign_in("tom")
    device, codes = await enrol(ana)
    name = company.username("ana")
    assert (await login(ana.http, name, otp=device.code(1))).status_code == 200
    assert (await login(ana.http, name, otp=codes[0])).status_code == 200
    assert (await login(ana.http, name, otp=codes[0])).status_code == 401
    secrets = [device.secret, *codes, *(code.replace("-", "") for code in codes)]
    needles = [secret.encode() for secret in secrets]

    stack = company.system.stack
    haystack = (await tom.ask("GET", "/audit-logs?limit=200")).content
    connection = MongoConnection(stack.mongo_url_for("gateway"))
    try:
        database = connection.database(tenant_database(company.tenant))
        for collection in (RECORDS, CONTENTS, ROOMS, USERS, SESSIONS, POLICIES):
            documents = await database[collection].find({}).to_list(None)
            haystack += b"".join(bson.encode(document) for document in documents)
    finally:
        await connection.close()
    assert ana.user.encode() in haystack
    # What the records hold is open to a gateway only, and even there the secret is sealed once more.
    for kind in ("second_factor_begun", "second_factor_confirmed", "session_opened"):
        entries = await recorded(company, kind)
        assert entries, kind
        haystack += b"".join(entry.content or b"" for entry in entries)
    files = [path for path in stack.directory.rglob("*") if path.is_file()]
    streams = [path for path in files if {"nats", "logs"} & set(path.parts)]
    assert any(path.suffix == ".blk" for path in streams)
    haystack += b"".join(path.read_bytes() for path in streams)
    assert b"begin_second_factor" in haystack
    assert [needle for needle in needles if needle in haystack] == []
    facts = [orjson.loads(e.content or b"{}") for e in await recorded(company, "session_opened")]
    assert {fact["proof"]["method"] for fact in facts if "proof" in fact} == {"totp", "recovery"}
