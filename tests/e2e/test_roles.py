"""Roles of a tenant's own through the public surface: two real gateways, and what is done at one must be
felt at the other at once."""

import asyncio
from typing import Final

from gateway.limits import SESSION_CHECK_S
from tests.e2e.clients import Client, bare_socket
from tests.e2e.system import Company

AT_ONCE_S: Final = SESSION_CHECK_S / 3


async def made(admin: Client, name: str, *permissions: str) -> str:
    """A role; its id."""
    body = {"name": name, "permissions": list(permissions)}
    return str((await admin.call("POST", "/roles", body))["role"])


async def given(company: Company, admin: Client, name: str, role: str, gateway: int = 0) -> Client:
    """Somebody signed in with a role that he was given just now."""
    await admin.call("PATCH", f"/users/{company.user(name)}", {"role": role})
    return await company.sign_in(name, gateway)


async def test_a_custom_role_holds_over_rest_and_socket_and_its_change_stops_the_socket(
    company: Company,
) -> None:
    admin = await company.sign_in("tom")
    ana = await company.sign_in("ana")
    room = await ana.open_room(members={company.user("bob"): "member"})
    role = await made(admin, "Desk", "rooms.read", "rooms.write")
    bob = await given(company, admin, "bob", role, gateway=1)
    assert (await bob.call("GET", "/auth/me"))["role"] == role
    assert (await bob.ask("GET", "/users")).status_code == 403
    assert (await bob.ask("POST", "/rooms", {"name": "Mine"})).status_code == 403
    await bob.say(room, "over REST", "c-1")
    async with bob.socket() as socket, ana.socket() as other:
        await socket.follow(room)
        await socket.say(room, "on the socket", "c-2")
        assert (await socket.entries(1))[0]["body"] == "on the socket"
        # Changed at the first gateway; the socket is at the second.
        await admin.call("PATCH", f"/roles/{role}", {"permissions": ["rooms.read"]})
        async with asyncio.timeout(AT_ONCE_S):
            assert await socket.closed() == 4401
        assert await other.echo("still here") == []
    for gateway in company.system.gateways:
        refused = await bob.at(gateway.http).ask(
            "POST", f"/rooms/{room}/entries", {"client_id": "c-3", "body": "no more"}
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert (await bob.at(gateway.http).ask("GET", f"/rooms/{room}")).status_code == 200
    # The session goes on, and the token with it.
    async with bob.socket() as socket:
        await socket.follow(room)
        await socket.say(room, "no more", "c-4")
        answer = await socket.get()
        assert (answer["type"], answer["code"], answer["client_id"]) == (
            "rejected",
            "forbidden",
            "c-4",
        )
    assert [entry["kind"] for entry in await ana.entries(room)].count("message") == 2


async def test_a_custom_role_that_is_taken_away_ends_its_sockets_and_sessions(
    company: Company,
) -> None:
    admin = await company.sign_in("tom")
    role = await made(admin, "Desk", "rooms.read", "audit.read")
    bob = await given(company, admin, "bob", role, gateway=1)
    assert (await bob.ask("GET", "/audit-logs")).status_code == 200
    held = await admin.ask("DELETE", f"/roles/{role}")
    assert (held.status_code, held.json()["code"]) == (409, "conflict")
    async with bob.socket() as socket:
        await admin.call("PATCH", f"/users/{bob.user}", {"role": "viewer"})
        async with asyncio.timeout(AT_ONCE_S):
            assert await socket.closed() == 4401
    assert (await bob.ask("GET", "/audit-logs")).status_code == 401
    await admin.call("DELETE", f"/roles/{role}")
    again = await company.sign_in("bob", gateway=1)
    assert (await again.ask("GET", "/audit-logs")).status_code == 403
    audit = (await admin.call("GET", "/audit-logs?object_type=role"))["items"]
    assert [item["operation"] for item in audit] == ["role.delete", "role.create"]
    assert audit[1]["after"]["permissions"] == ["audit.read", "rooms.read"]


async def test_a_custom_role_of_another_tenant_is_not_there(
    company: Company, other_company: Company
) -> None:
    admin, intruder = await company.sign_in("tom"), await other_company.sign_in("tom")
    role = await made(admin, "Desk", "rooms.read")
    for method, body in (("GET", None), ("PATCH", {"name": "Mine"}), ("DELETE", None)):
        answers = [await intruder.ask(method, f"/roles/{name}", body) for name in (role, "role_x")]
        assert {answer.status_code for answer in answers} == {404}
        assert answers[0].content == answers[1].content
    user = other_company.user("bob")
    assert (await intruder.ask("PATCH", f"/users/{user}", {"role": role})).status_code == 422
    listed = (await intruder.call("GET", "/roles"))["items"]
    assert [item["role"] for item in listed] == ["tenant_admin", "analyst", "viewer"]


async def test_a_ticket_of_before_opens_a_socket_with_what_the_role_permits_now(
    company: Company,
) -> None:
    admin = await company.sign_in("tom")
    ana = await company.sign_in("ana")
    room = await ana.open_room(members={company.user("bob"): "member"})
    role = await made(admin, "Desk", "rooms.read")
    bob = await given(company, admin, "bob", role)
    ticket = (await bob.call("POST", "/auth/ws-ticket"))["ticket"]
    await admin.call("PATCH", f"/roles/{role}", {"permissions": []})
    async with bare_socket(bob.http, f"?ticket={ticket}") as socket:
        assert (await socket.get())["type"] == "welcome"
        await socket.send(type="subscribe", room=room, after=0)
        answer = await socket.get()
        assert (answer["type"], answer["code"]) == ("rejected", "forbidden")
