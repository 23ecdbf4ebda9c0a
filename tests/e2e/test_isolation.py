"""Isolation: for whoever may not see it, a thing of somebody else is a thing that does not exist.

What is tried on routes and sockets is in `probes.py`, all of it; on NATS, what an external system could
gain by it. Every subject by everybody is in `tests/deploy/test_nats_matrix.py`.
"""

from contextlib import AsyncExitStack
from typing import Any

import orjson

from actors.protocol.commands import CreateRoom, UpdateUser
from actors.protocol.envelope import encode_batch
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.markings import HIGHEST, LOWEST
from actors.protocol.roles import Role
from deploy.provision.nats_identity import ensure_tenant_credentials
from tests.deploy.provisioned import Session, session, settled
from tests.e2e.clients import Json, Socket
from tests.e2e.probes import FRAMES, ROUTES, Ids, answers_to, differences, frame_types, routes_of
from tests.e2e.system import Company

# REST -------------------------------------------------------------------------------------------


async def test_every_route_and_every_frame_is_known_to_these_tests(company: Company) -> None:
    for gateway in company.system.gateways:
        assert set(await routes_of(gateway.http)) == ROUTES.keys()
    assert frame_types() == FRAMES.keys()


async def test_a_foreign_tenants_things_are_not_there_on_any_route(
    company: Company, other_company: Company
) -> None:
    ana = await company.sign_in("ana")
    bob, outsider = company.user("bob"), other_company.user("bob")
    everyone = ["tenant_admin", "analyst", "viewer"]
    room = await ana.open_room(members={bob: "member"}, open_to=everyone)
    await ana.say(room, "secret", "c-1")
    before = await ana.chain(room)
    intruder = await other_company.sign_in("tom")
    own = Ids(await intruder.open_room(members={outsider: "member"}), outsider)

    assert await differences(intruder, own, Ids(room, bob)) == []
    assert await ana.chain(room) == before
    assert len((await ana.call("GET", f"/rooms/{room}/members"))["items"]) == 2


async def test_a_colleague_who_is_no_member_sees_as_little(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    before = await ana.chain(room)
    for name in ("bob", "vera", "tom"):
        colleague = await company.sign_in(name)
        own = Ids("room_own", company.user("vera"))
        foreign = Ids(room, company.user("vera"))
        # Who his colleagues are is no secret to an administrator.
        assert await differences(colleague, own, foreign, among="{room}") == [], name
    assert await ana.chain(room) == before


async def test_a_member_without_the_clearance_sees_as_little(company: Company) -> None:
    cleared = UpdateUser(
        client_id="clear-ana",
        actor="operator",
        role=Role.SYSTEM,
        user=company.user("ana"),
        user_clearance=HIGHEST,
    )
    await company.system.operator.send(company.tenant, TENANT_ROOM, cleared)
    ana = await company.sign_in("ana")
    everyone = ["tenant_admin", "analyst", "viewer"]
    listed = {company.user("bob"): "owner", company.user("tom"): "owner"}
    room = await ana.open_room(members=listed, open_to=everyone, clearance=LOWEST + 1)
    before = await ana.chain(room)
    for name in ("bob", "vera", "tom"):
        colleague = await company.sign_in(name)
        own, foreign = (Ids(each, company.user("vera")) for each in ("room_own", room))
        assert await differences(colleague, own, foreign, among="{room}") == [], name
        async with colleague.socket() as socket:
            there, nowhere = [await answers_to(socket, each) for each in (room, "room_none")]
            assert there == nowhere
    assert await ana.chain(room) == before


async def test_foreign_ids_in_bodies_and_queries_are_ids_of_nobody(
    company: Company, other_company: Company
) -> None:
    ana, intruder = await company.sign_in("ana"), await other_company.sign_in("tom")
    room = await ana.open_room(open_to=["tenant_admin"])
    own = await intruder.open_room()
    answers = []
    for user in (company.user("bob"), "usr_none"):
        body = {"name": "A room", "members": {user: "member"}}
        answer = await intruder.ask("POST", "/rooms", body)
        answers.append((answer.status_code, answer.text.replace(user, "")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 422
    for cursor in ("", f"?cursor={room}", "?cursor=0"):
        listed = (await intruder.call("GET", f"/rooms{cursor}"))["items"]
        assert [item["id"] for item in listed] in ([], [own])
    members = f"/rooms/{own}/members?cursor={company.user('ana')}"
    assert company.tenant not in (await intruder.ask("GET", members)).text


async def test_rooms_of_the_same_id_in_two_tenants_have_nothing_in_common(
    company: Company, other_company: Company
) -> None:
    told: dict[str, list[Json]] = {}
    for each in (company, other_company):
        opened = CreateRoom(
            client_id="open",
            actor=each.user("ana"),
            role=Role.ANALYST,
            name=each.tenant,
            open_to=frozenset({Role.TENANT_ADMIN}),
        )
        await each.system.operator.send(each.tenant, "war", opened)
    async with AsyncExitStack() as held:
        sockets: dict[str, Socket] = {}
        for each in (company, other_company):
            client = await each.sign_in("ana")
            sockets[each.tenant] = await held.enter_async_context(client.socket())
            await sockets[each.tenant].follow("war", after=None)
        for tenant, socket in sockets.items():
            await socket.say("war", tenant, "c-1")
            told[tenant] = await socket.entries(1)
            assert (await client.call("GET", "/rooms/war"))["name"] == other_company.tenant
        for socket in sockets.values():
            assert await socket.echo("silence") == []
    for tenant, [entry] in told.items():
        assert (entry["seq"], entry["body"], entry["client_id"]) == (2, tenant, "c-1")


# Sockets ----------------------------------------------------------------------------------------


async def test_a_foreign_room_is_not_there_for_any_frame_and_nothing_of_it_is_heard(
    company: Company, other_company: Company
) -> None:
    for gateway in (0, 1):
        ana = await company.sign_in("ana", gateway)
        room = await ana.open_room(open_to=["tenant_admin", "analyst", "viewer"])
        intruder = await other_company.sign_in("tom")
        async with intruder.socket() as theirs, ana.socket() as ours:
            await ours.follow(room)
            there, nowhere = [await answers_to(theirs, name) for name in (room, "room_none")]
            assert there == nowhere
            for type_, answers in there.items():
                told = [(answer["type"], answer["code"]) for answer in answers]
                assert told == [("rejected", "not_found")], type_
            assert there["unsubscribe"] == there["subscribe"]
            await ours.say(room, "secret", "c-1")
            assert (await ours.entries(1))[0]["seq"] == 2
            assert await theirs.echo("silence") == []


# NATS -------------------------------------------------------------------------------------------


def forged_post(company: Company, room: str) -> bytes:
    """What a gateway would publish to have ana say something."""
    command = {
        "type": "post",
        "client_id": "forged",
        "actor": company.user("ana"),
        "role": "analyst",
        "body": "forged",
    }
    return encode_batch("", [room], [orjson.dumps(command)])


async def tried(intruder: Session, company: Company, room: str) -> list[str]:
    """What an external system of another tenant may do to a tenant."""
    tenant, forged = company.tenant, forged_post(company, room)
    allowed = []
    for subject in (
        *(f"room.{tenant}.{room}.{kind}" for kind in ("message", "command")),
        *(f"event.{tenant}.{room}", f"live.{tenant}.{room}.typing", f"ingest.{tenant}"),
        *("$KV.owners.shards", "worker.alive", "platform.tenants", f"deadletter.{tenant}.x"),
    ):
        if await intruder.may_publish(subject, forged) and subject != f"ingest.{tenant}":
            allowed.append(f"publish {subject}")
    for subject in (
        *(">", f"event.{tenant}.>", f"room.*.{tenant}.>", f"ingest.{tenant}.>", "reply.>"),
        *("deadletter.>", "$KV.>", "$JS.API.>"),
    ):
        if await intruder.may_subscribe(subject):
            allowed.append(f"subscribe {subject}")
    return allowed


async def test_another_tenants_external_system_reaches_nothing(
    company: Company, other_company: Company
) -> None:
    stack = company.system.stack
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    credentials = ensure_tenant_credentials(stack.secrets, other_company.tenant)
    async with session(stack.nats_url, credentials) as intruder, ana.socket() as socket:
        await socket.follow(room)
        ear = await intruder.client.subscribe("_INBOX.>")
        assert await tried(intruder, company, room) == []
        for aim in (
            f"room.{company.tenant}.{room}.message",
            f"ingest.{company.tenant}.qradar.offense",
            f"event.{company.tenant}.{room}",
            f"$JS.API.STREAM.PURGE.ROOM_{company.tenant}",
        ):
            forged = forged_post(company, room)
            await intruder.client.publish("ingest.qradar.offense", forged, reply=aim)
        await settled(intruder.client)
        heard = ear.pending_msgs
        await ana.say(room, "undisturbed", "c-1")
        assert (await socket.entries(1))[0]["seq"] == 2
        await settled(intruder.client)
        assert ear.pending_msgs == heard
    assert [entry["kind"] for entry in await ana.entries(room)] == ["room_created", "message"]
    names: list[Any] = (await ana.call("GET", "/rooms"))["items"]
    assert [item["id"] for item in names] == [room]
