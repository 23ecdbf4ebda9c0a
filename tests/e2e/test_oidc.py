"""Signing in at an identity provider that others have written, through real redirections, on the system
that runs."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.local.process import LOOPBACK, free_port
from gateway.oidc.flow import challenge_of
from tests.e2e.clients import Client, Json, rest
from tests.e2e.employers import refreshed, told
from tests.e2e.system import PASSWORD, Company, Gateway, System
from tests.support.eventually import PATIENCE_S

pytestmark = pytest.mark.paced

API = "/api/v1"
PATH = "/tenants/current/identity-provider"
SECRET = "a secret that the provider takes"  # it takes any
ON_LOOPBACK = {"WARDROOM_IDENTITY_PROVIDER_LOOPBACK": "true"}


@dataclass(frozen=True)
class Provider:
    """The provider that runs, and HTTP to it."""

    issuer: str
    http: httpx.AsyncClient

    async def know(self, subject: str, **claims: object) -> None:
        """Have it know somebody."""
        answer = await self.http.put(f"/users/{subject}", json=claims)
        assert answer.is_success, answer.text

    async def authorize(self, location: str, subject: str) -> str:
        """Somebody signs in there, in its own form: where his browser is sent back to."""
        form = await self.http.get(location)
        assert form.status_code == 200, form.text
        answer = await self.http.post(location, data={"sub": subject})
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[Provider]:
    """One provider for these tests: `oidc-provider-mock`, of the requirements of the tests."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oidc_provider_mock", "--host", LOOPBACK, "--port", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    issuer = f"http://{LOOPBACK}:{port}"
    try:
        async with rest(issuer) as http:
            await _answers(http, process)
            yield Provider(issuer, http)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _answers(http: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while process.returncode is None:
            with suppress(httpx.TransportError):
                answer = await http.get("/.well-known/openid-configuration")
                if answer.is_success:
                    return
            await asyncio.sleep(0.05)
    pytest.fail("oidc-provider-mock does not start; install the requirements of the tests")


@pytest.fixture(scope="module")
async def door(system: System) -> AsyncIterator[Gateway]:
    """A gateway that may ask providers of this machine."""
    async with system.another_gateway(**ON_LOOPBACK) as gateway:
        yield gateway


async def install(company: Company, gateway: Gateway, provider: Provider) -> Client:
    """Have a company's people sign in at the provider; its administrator."""
    admin = await Client.sign_in(gateway.http, company.username("tom"), PASSWORD)
    settings: Json = {
        "issuer": provider.issuer,
        "client_id": "wardroom",
        "client_secret": SECRET,
        "roles": [{"group": "soc", "role": "analyst"}],
    }
    await admin.call("PUT", PATH, settings)
    return admin


async def go_and_come_back(
    company: Company, gateway: Gateway, provider: Provider, subject: str, back: Gateway
) -> tuple[httpx.Response, str]:
    """Somebody goes to the provider from one gateway and comes back to another: the answer to his browser,
    and the verifier of his client."""
    verifier = secrets.token_urlsafe(32)
    start = f"{API}/auth/oidc/{company.tenant}/start"
    started = await gateway.http.get(start, params={"challenge": challenge_of(verifier)})
    assert started.status_code == 302, started.text
    cookie = started.headers["set-cookie"].partition(";")[0]
    gateway.http.cookies.clear()
    location = await provider.authorize(started.headers["location"], subject)
    if back is not gateway:
        # What stands before gateways has no memory of who was where.
        parts = urlsplit(location)
        location = f"{back.http.base_url}".rstrip("/") + f"{parts.path}?{parts.query}"
    answer = await back.http.get(location, headers={"Cookie": cookie})
    back.http.cookies.clear()
    return answer, verifier


async def tokens_of(
    company: Company, gateway: Gateway, answer: httpx.Response, verifier: str
) -> Client:
    """The client that has fetched its tokens."""
    assert answer.status_code == 302, answer.text
    _, _, code = answer.headers["location"].partition("#sign_in=")
    body = {"code": code, "verifier": verifier}
    fetched = await gateway.http.post(f"{API}/auth/oidc/{company.tenant}/session", json=body)
    assert fetched.status_code == 200, fetched.text
    client = Client(gateway.http)
    client.access = fetched.json()["access_token"]
    client.refresh = fetched.json()["refresh_token"]
    return client


async def test_somebody_signs_in_at_a_real_provider_and_works_here(
    company: Company, door: Gateway, provider: Provider
) -> None:
    admin = await install(company, door, provider)
    tested = await admin.call("POST", f"{PATH}/test", {})
    assert tested["usable"] is True, tested
    subject = f"ada-{company.tenant}"
    await provider.know(subject, preferred_username=subject, name="Ada", groups=["soc"])
    answer, verifier = await go_and_come_back(company, door, provider, subject, door)
    client = await tokens_of(company, door, answer, verifier)
    me = await client.call("GET", "/auth/me")
    assert (me["username"], me["display_name"], me["role"]) == (subject, "Ada", "analyst")
    room = await client.open_room()
    await client.say(room, "hello", "c-1")
    assert (await refreshed(client)).is_success
    view = await admin.call("GET", f"/users/{me['user']}")
    assert (view["source"], view["suspended"]) == ("identity_provider", False)
    # It is in the audit log who came, and from where he is known.
    logs = await admin.call("GET", f"/audit-logs?operation=user.create&object_id={me['user']}")
    assert logs["items"][0]["after"]["provider_key"] == f"{provider.issuer}#{subject}"
    # Whom an administrator disables is out at once, and stays out.
    await admin.call("POST", f"/users/{me['user']}/disable", {})
    assert told(await refreshed(client)) == (401, "session_ended")
    answer, _ = await go_and_come_back(company, door, provider, subject, door)
    assert told(answer) == (401, "login_failed")


async def test_another_gateway_than_the_one_that_began_takes_the_callback_once(
    company: Company, system: System, provider: Provider
) -> None:
    shared = {**ON_LOOPBACK, "WARDROOM_PUBLIC_URL": "http://127.0.0.1:9"}
    subject = f"bea-{company.tenant}"
    await provider.know(subject, preferred_username=subject, groups=["soc"])
    async with (
        system.another_gateway(**shared) as first,
        system.another_gateway(**shared) as second,
    ):
        await install(company, first, provider)
        answer, verifier = await go_and_come_back(company, first, provider, subject, second)
        client = await tokens_of(company, first, answer, verifier)
        assert (await client.call("GET", "/auth/me"))["username"] == subject
        # The ticket was good once, at whichever gateway.
        _, _, code = answer.headers["location"].partition("#sign_in=")
        body = {"code": code, "verifier": verifier}
        again = await second.http.post(f"{API}/auth/oidc/{company.tenant}/session", json=body)
        assert told(again) == (401, "login_failed")


async def test_two_gateways_that_see_somebody_for_the_first_time_make_one_user(
    company: Company, door: Gateway, provider: Provider
) -> None:
    admin = await install(company, door, provider)
    subject = f"cleo-{company.tenant}"
    await provider.know(subject, preferred_username=subject, groups=["soc"])
    came = await asyncio.gather(
        *(go_and_come_back(company, door, provider, subject, door) for _ in range(4))
    )
    clients = [await tokens_of(company, door, *one) for one in came]
    users = {(await client.call("GET", "/auth/me"))["user"] for client in clients}
    assert len(users) == 1
    listed = (await admin.call("GET", "/users?limit=200"))["items"]
    assert [item["source"] for item in listed if item["username"] == subject] == [
        "identity_provider"
    ]


async def test_a_provider_that_goes_away_ends_what_it_vouched_for(
    company: Company, door: Gateway, provider: Provider
) -> None:
    admin = await install(company, door, provider)
    subject = f"dora-{company.tenant}"
    await provider.know(subject, preferred_username=subject, groups=["soc"])
    answer, verifier = await go_and_come_back(company, door, provider, subject, door)
    client = await tokens_of(company, door, answer, verifier)
    await admin.call("DELETE", PATH)
    assert told(await refreshed(client)) == (401, "session_ended")
    start = f"{API}/auth/oidc/{company.tenant}/start"
    gone = await door.http.get(start, params={"challenge": challenge_of(verifier)})
    assert told(gone) == (404, "not_found")
