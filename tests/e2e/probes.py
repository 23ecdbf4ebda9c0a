"""What is tried against the isolation of tenants and rooms: every route and every frame, as requests.

They are made from the gateway's own OpenAPI document and frames. A route or a frame that the tables here
don't know fails the tests of `test_isolation.py`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, get_args

import httpx
import orjson

from gateway.frames import AnyFrame
from tests.e2e.clients import Client, Json, Socket

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
