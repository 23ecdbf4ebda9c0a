"""How people come into a tenant, through the public surface and the real servers."""

import asyncio
from typing import Any, Final
from uuid import uuid4

import httpx

from gateway.limits import SESSION_CHECK_S
from tests.e2e.clients import Client
from tests.e2e.system import Company

PASSWORD: Final = "a password of hers"
AT_ONCE_S: Final = SESSION_CHECK_S / 3


def newcomer() -> dict[str, Any]:
    """Somebody whose name nobody has."""
    return {"username": uuid4().hex, "display_name": "Nina", "password": PASSWORD}


async def registered(http: httpx.AsyncClient, company: Company, who: dict[str, Any]) -> bytes:
    """The answer to a registration."""
    answer = await Client(http).ask("POST", "/auth/register", {"tenant": company.tenant, **who})
    assert answer.status_code == 202, answer.text
    return answer.content


async def test_who_registers_signs_in_once_he_is_approved_and_the_record_says_so(
    company: Company,
) -> None:
    first, second = (gateway.http for gateway in company.system.gateways)
    admin, nina = await company.sign_in("tom"), newcomer()
    closed = await Client(first).ask("POST", "/auth/register", {"tenant": company.tenant, **nina})
    assert (closed.status_code, closed.json()["code"]) == (403, "forbidden")
    await admin.call("PUT", "/policies/registration", {"mode": "with_approval"})
    said = await registered(second, company, nina)
    taken = {**newcomer(), "username": company.username("ana")}
    assert await registered(first, company, taken) == said
    credentials = {"username": nina["username"], "password": PASSWORD}
    assert (await Client(first).ask("POST", "/auth/login", credentials)).status_code == 401
    users = (await admin.call("GET", "/users?limit=200"))["items"]
    (waiting,) = [user for user in users if user["pending"]]
    await admin.call("POST", f"/users/{waiting['user']}/approve")
    client = await Client.sign_in(second, nina["username"], PASSWORD)
    me = await client.call("GET", "/auth/me")
    assert (me["user"], me["role"]) == (waiting["user"], "analyst")
    # Whose name was taken signs in as before.
    await company.sign_in("ana")
    audit = (await admin.call("GET", "/audit-logs?operation=user.register"))["items"]
    assert [item["outcome"] for item in audit] == ["refused", "done"]


async def test_an_invitation_is_good_once_at_whichever_gateway_and_not_once_revoked(
    company: Company, other_company: Company
) -> None:
    gateways = [gateway.http for gateway in company.system.gateways]
    admin, email = await company.sign_in("tom"), f"{uuid4().hex}@example.org"
    made = await admin.call("POST", "/invitations", {"email": email, "role": "viewer"})
    bodies = [{**newcomer(), "token": made["token"]} for _ in gateways]
    answers = await asyncio.gather(
        *(
            Client(http).ask("POST", "/auth/invitations/accept", body)
            for http, body in zip(gateways, bodies, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 404]
    client = await Client.sign_in(gateways[0], email, PASSWORD)
    assert (await client.call("GET", "/auth/me"))["role"] == "viewer"
    assert (await admin.call("GET", "/invitations"))["items"] == []
    other = await admin.call(
        "POST", "/invitations", {"email": f"{uuid4().hex}@example.org", "role": "viewer"}
    )
    intruder = await other_company.sign_in("tom")
    path = f"/invitations/{other['invitation']}"
    assert (await intruder.ask("DELETE", path)).status_code == 404
    assert (await intruder.call("GET", "/invitations"))["items"] == []
    await admin.call("DELETE", path)
    body = {**newcomer(), "token": other["token"]}
    late = await Client(gateways[1]).ask("POST", "/auth/invitations/accept", body)
    assert late.status_code == 404


async def test_one_of_somebodys_sessions_is_ended_and_its_socket_at_another_gateway_with_it(
    company: Company, other_company: Company
) -> None:
    here, there = await company.sign_in("ana"), await company.sign_in("ana", gateway=1)
    listed = (await here.call("GET", f"/users/{here.user}/sessions"))["items"]
    (other,) = [item for item in listed if not item["current"]]
    assert other["address"] == "127.0.0.1"
    path = f"/users/{here.user}/sessions/{other['session']}"
    intruder = await other_company.sign_in("tom")
    assert (await intruder.ask("DELETE", path)).status_code == 404
    async with here.socket() as stays, there.socket() as ends:
        await here.call("DELETE", path)
        async with asyncio.timeout(AT_ONCE_S):
            assert await ends.closed() == 4401
        assert await stays.echo("still here") == []
    assert len((await here.call("GET", f"/users/{here.user}/sessions"))["items"]) == len(listed) - 1
    assert (await there.ask("GET", "/auth/me")).status_code == 401
