"""Isolation: for whoever may not see it, a thing of somebody else is a thing that does not exist.

What is tried is made from the gateway's own OpenAPI document and frames: a route or a frame that the
tables here don't know fails the tests.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, get_args

import httpx
import orjson

from actors.protocol.commands import CreateRoom, UpdateUser
from actors.protocol.envelope import encode_batch
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.markings import HIGHEST, LOWEST
from actors.protocol.roles import Role
from deploy.provision.nats_identity import ensure_tenant_credentials
from gateway.frames import AnyFrame
from tests.deploy.provisioned import Session, session, settled
from tests.e2e.clients import Client, Json, Socket
from tests.e2e.system import Company

API: Final = "/api/v1"


@dataclass(frozen=True)
class Ids:
    """What may be named in a request: `room` and `user` are the slots of paths."""

    room: str
    user: str


@dataclass(frozen=True)
class Probe:
    """How a route is tried. `public` routes need no token; `body` is one that would be obeyed."""

    body: Json | None = None
    public: bool = False


ROUTES: Final[dict[str, Probe]] = {
    "POST /auth/login": Probe({"username": "nobody", "password": "x"}, public=True),
    "POST /auth/refresh": Probe({"refresh_token": "none"}, public=True),
    "POST /auth/logout": Probe(),
    "GET /auth/me": Probe(),
    "POST /auth/ws-ticket": Probe(),
    "PATCH /auth/me": Probe({"display_name": "Somebody"}),
    "POST /auth/password": Probe({"old_password": "x", "password": "a long password"}),
    "POST /auth/logout-everywhere": Probe(),
    "POST /auth/login/second-factor": Probe({"challenge": "none", "code": "000000"}, public=True),
    "GET /auth/second-factor": Probe(),
    "POST /auth/second-factor": Probe({"password": "x"}),
    "POST /auth/second-factor/confirm": Probe({"code": "000000"}),
    "POST /auth/second-factor/remove": Probe({"password": "x", "code": "000000"}),
    "POST /auth/second-factor/recovery-codes": Probe({"password": "x", "code": "000000"}),
    "GET /policies/second-factor": Probe(),
    "PUT /policies/second-factor": Probe({"policy": "optional"}),
    "POST /auth/register": Probe(
        {
            "tenant": "nowhere",
            "username": "nobody",
            "display_name": "Nobody",
            "password": "a long password",
        },
        public=True,
    ),
    "POST /auth/invitations/accept": Probe(
        {
            "token": "none",
            "username": "nobody",
            "display_name": "Nobody",
            "password": "a long password",
        },
        public=True,
    ),
    "GET /policies/registration": Probe(),
    "PUT /policies/registration": Probe({"mode": "closed"}),
    "GET /invitations": Probe(),
    "POST /invitations": Probe({"email": "planted@example.org", "role": "viewer"}),
    "DELETE /invitations/{invitation}": Probe(),
    "GET /users/{user}/sessions": Probe(),
    "DELETE /users/{user}/sessions/{session}": Probe(),
    "POST /users/{user}/approve": Probe(),
    "GET /users": Probe(),
    "POST /users": Probe(
        {
            "username": "planted",
            "display_name": "Planted",
            "role": "viewer",
            "password": "a long password",
        }
    ),
    "GET /users/{user}": Probe(),
    "PATCH /users/{user}": Probe({"display_name": "Taken over"}),
    "DELETE /users/{user}": Probe(),
    "POST /users/{user}/disable": Probe({}),
    "POST /users/{user}/enable": Probe(),
    "POST /users/{user}/password": Probe({"password": "a long password"}),
    "POST /users/{user}/logout-everywhere": Probe(),
    "GET /auth/oidc/{tenant}/start": Probe(public=True),
    "GET /auth/oidc/{tenant}/callback": Probe(public=True),
    "POST /auth/oidc/{tenant}/session": Probe({"code": "none", "verifier": "v" * 43}, public=True),
    "GET /tenants/current/identity-provider": Probe(),
    "PUT /tenants/current/identity-provider": Probe(
        {
            "issuer": "https://id.example",
            "client_id": "wardroom",
            "client_secret": "",
            "default_role": "tenant_admin",
        }
    ),
    "DELETE /tenants/current/identity-provider": Probe(),
    "POST /tenants/current/identity-provider/test": Probe({}),
    "GET /tenants/current/directory": Probe(),
    "PUT /tenants/current/directory": Probe(
        {
            "servers": ["ldaps://directory.example"],
            "flavour": "ldap",
            "base_dn": "dc=example",
            "roles": [{"group": "cn=everybody", "role": "tenant_admin"}],
        }
    ),
    "DELETE /tenants/current/directory": Probe(),
    "POST /tenants/current/directory/test": Probe({}),
    "POST /users/{user}/second-factor/reset": Probe(),
    "GET /permissions": Probe(),
    "GET /roles": Probe(),
    "POST /roles": Probe({"name": "Planted", "permissions": []}),
    "GET /roles/{role}": Probe(),
    "PATCH /roles/{role}": Probe({"name": "Taken over"}),
    "DELETE /roles/{role}": Probe(),
    "GET /rooms": Probe(),
    "POST /rooms": Probe({"name": "A room"}),
    "GET /rooms/{room}": Probe(),
    "PATCH /rooms/{room}": Probe({"name": "Taken over"}),
    "GET /rooms/{room}/members": Probe(),
    "PUT /rooms/{room}/members/{user}": Probe({"role": "member"}),
    "DELETE /rooms/{room}/members/{user}": Probe(),
    "GET /rooms/{room}/entries": Probe(),
    "POST /rooms/{room}/entries": Probe({"client_id": "c-1", "body": "I was here"}),
    "GET /rooms/{room}/chain": Probe(),
    "GET /rooms/{room}/verify": Probe(),
    "GET /audit-logs": Probe(),
    "GET /audit-logs/export": Probe(),
    "GET /tenants": Probe(),
    "POST /tenants": Probe({"id": "planted", "name": "Planted"}),
    "GET /tenants/{tenant}": Probe(),
    "PATCH /tenants/{tenant}": Probe({"name": "Taken over"}),
    "DELETE /tenants/{tenant}": Probe(),
    "POST /tenants/{tenant}/suspend": Probe({}),
    "POST /tenants/{tenant}/resume": Probe(),
    "POST /tenants/{tenant}/cancel-deletion": Probe(),
    "GET /auth/grants": Probe(),
    "GET /users/{user}/grants": Probe(),
    "PUT /users/{user}/grants/{tenant}": Probe({"role": "viewer"}),
    "DELETE /users/{user}/grants/{tenant}": Probe(),
    "GET /tenants/{tenant}/rooms": Probe(),
    "GET /tenants/{tenant}/rooms/{room}": Probe(),
    "GET /tenants/{tenant}/rooms/{room}/entries": Probe(),
    "GET /tenants/{tenant}/users": Probe(),
    "GET /tenants/{tenant}/audit-logs": Probe(),
    "GET /integrations/nats-credentials": Probe(),
    "POST /integrations/nats-credentials": Probe({"name": "Planted"}),
    "GET /integrations/nats-credentials/{credential}": Probe(),
    "POST /integrations/nats-credentials/{credential}/rotate": Probe({}),
    "DELETE /integrations/nats-credentials/{credential}": Probe(),
}
"""Every route of the OpenAPI document."""

NOTHING: Final[Json] = {}
FRAMES: Final[dict[str, Callable[[str], Json | None]]] = {
    "subscribe": lambda room: {"room": room, "after": 0},
    "unsubscribe": lambda room: {"room": room},
    "post": lambda room: {"room": room, "client_id": "c-1", "kind": "message", "body": "hello"},
    "ping": lambda _: None,
    "hello": lambda _: None,
}
"""Every frame that a client may send: its fields, or None if it names nothing of a tenant."""


async def routes_of(http: httpx.AsyncClient) -> list[str]:
    """The routes of the OpenAPI document, without what they have in common."""
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert all(path.startswith(API) for path in paths)
    return [
        f"{method.upper()} {path.removeprefix(API)}"
        for path, methods in paths.items()
        for method in methods
    ]


def frame_types() -> set[str]:
    """The types of all frames that a client may send."""
    models = get_args(get_args(AnyFrame)[0])
    return {get_args(model.model_fields["type"].annotation)[0] for model in models}


def mixtures(route: str, own: Ids, foreign: Ids) -> Iterator[tuple[Ids, Ids]]:
    """Every filling of a route's slots with at least one foreign id, beside the same filling with
    ids that nothing has."""
    none = Ids("room_none", "usr_none")
    slots = [slot for slot in ("room", "user") if f"{{{slot}}}" in route]
    for choice in itertools.product((True, False), repeat=len(slots)):
        is_own = dict(zip(slots, choice, strict=True))
        if slots and not all(choice):
            yield (
                Ids(*(getattr(own if is_own.get(s) else foreign, s) for s in ("room", "user"))),
                Ids(*(getattr(own if is_own.get(s) else none, s) for s in ("room", "user"))),
            )


async def ask(client: Client, route: str, ids: Ids) -> tuple[int, str, bytes]:
    """A request, and all of its answer that could tell something."""
    method, path = route.split()
    path = path.replace("{room}", ids.room).replace("{user}", ids.user)
    path = path.replace("{session}", "ses_none")
    answer = await client.ask(method, path, ROUTES[route].body)
    return answer.status_code, answer.headers["content-type"], answer.content


async def differences(client: Client, own: Ids, foreign: Ids, among: str = "") -> list[str]:
    """Where the answer for a foreign thing is no 404, or not the one for a thing that is not there.

    `among` is in the routes that are tried.
    """
    found = []
    for route in filter(lambda route: among in route, await routes_of(client.http)):
        for theirs, nobodys in mixtures(route, own, foreign):
            there, nowhere = await ask(client, route, theirs), await ask(client, route, nobodys)
            if there != nowhere or there[0] != 404:
                found.append(f"{route} {theirs}: {there} but {nowhere}")
    return found


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


async def answers_to(socket: Socket, room: str) -> dict[str, list[Json]]:
    """What every frame about a room is answered with; the room's id is left out."""
    found: dict[str, list[Json]] = {}
    for type_ in sorted(frame_types()):
        fields = FRAMES[type_](room)
        if fields is not None:
            await socket.send(type=type_, **fields)
            answers = await socket.echo(type_)
            found[type_] = orjson.loads(orjson.dumps(answers).replace(room.encode(), b"ROOM"))
    return found


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
