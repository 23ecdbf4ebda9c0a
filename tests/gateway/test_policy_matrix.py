"""Every route and every frame, asked by everybody: the answer is what the policy's line says.

Nothing here knows a route: what is tried, by whom, and what must come of it is made from the tables.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx
import pytest

from actors.protocol.errors import ErrorCode
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.markings import LOWEST
from actors.protocol.permissions import BUILT_IN, Permission, permitted
from actors.protocol.roles import Role
from gateway import policy
from gateway.policy import DENIED, FRAMES, ROUTES, Granted, Hidden, Need, Open, allows
from gateway.tokens import Principal, new_principal
from tests.gateway.serving import PASSWORD_HASH, Client, Served, peopled, served
from tests.gateway.world import NOW_MS, World, room_command, tenant_command

pytestmark = pytest.mark.slow

PLACE: Final = {
    "room": "room_only",
    "user": "usr_only",
    "role": "role_only",
    "session": "ses_only",
    "invitation": "inv_only",
    "tenant": "only",
    "credential": "nat_only",
}
"""What the slots of paths are filled with: things of the first tenant only."""
OUTSIDE: Final = (
    "/livez",
    "/readyz",
    "/version",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi",
    "/.well",
)
BODIES: Final[dict[str, dict[str, Any]]] = {
    "PATCH /users/{user}": {"display_name": "Another"},
    "POST /users/{user}/password": {"password": "a long password"},
    "PATCH /roles/{role}": {"name": "Another"},
    "PATCH /rooms/{room}": {"name": "Another"},
    "PATCH /tenants/{tenant}": {"name": "Another"},
    "PUT /users/{user}/grants/{tenant}": {"role": "viewer"},
    "PUT /rooms/{room}/members/{user}": {"role": "member"},
    "POST /rooms/{room}/entries": {"client_id": "c-1", "body": "hello"},
}
"""Bodies that would be obeyed, where something else than `{}` is needed to get as far as a 404."""
CUSTOM: Final = frozenset({Permission.ROOMS_READ, Permission.AUDIT_READ})


@dataclass(frozen=True)
class Asker:
    """Somebody who asks. `permissions` are None for one who is nobody (any more)."""

    name: str
    user: str
    permissions: frozenset[Permission] | None
    role: Role = Role.VIEWER
    custom_role: str = ""
    tenant: str = "acme"
    restricted: bool = False
    clearance: int = LOWEST

    def principal(self) -> Principal:
        """What his token says."""
        session = f"ses_{self.user.removeprefix('usr_')}"
        known = new_principal(self.tenant, self.user, self.role, session, self.custom_role)
        return replace(known, restricted=self.restricted, clearance=self.clearance)


def _built_in(name: str, user: str, role: Role, **more: Any) -> Asker:
    return Asker(name, user, BUILT_IN[role], role, **more)


ASKERS: Final = (
    _built_in("a tenant admin", "usr_tom", Role.TENANT_ADMIN),
    _built_in("an analyst", "usr_ana", Role.ANALYST),
    _built_in("a viewer", "usr_vera", Role.VIEWER),
    _built_in("the user himself", "usr_only", Role.ANALYST),
    _built_in("an admin of another tenant", "usr_tom", Role.TENANT_ADMIN, tenant="globex"),
    _built_in("a viewer of another tenant", "usr_vera", Role.VIEWER, tenant="globex"),
    Asker("a custom role", "usr_custom", CUSTOM, custom_role="role_custom"),
    Asker("an empty role", "usr_empty", frozenset(), custom_role="role_empty"),
    _built_in("an admin of the platform", "usr_petra", Role.PLATFORM_ADMIN, tenant="platform"),
    _built_in("a viewer of the platform", "usr_vic", Role.PLATFORM_VIEWER, tenant="platform"),
    Asker(
        "a role of the platform in a tenant",
        "usr_false",
        permitted("acme", Role.PLATFORM_ADMIN),
        Role.PLATFORM_ADMIN,
    ),
    _built_in("an admin who must enrol", "usr_must", Role.TENANT_ADMIN, restricted=True),
    _built_in("the user himself, who must enrol", "usr_only", Role.ANALYST, restricted=True),
    Asker("a disabled user", "usr_disabled", None, Role.TENANT_ADMIN),
    Asker("an ended session", "usr_ended", None, Role.TENANT_ADMIN),
)
NOBODY: Final = Asker("no token", "", None)


def everybody() -> World:
    """A world in which all who ask are signed in, and all that is in the slots of paths is there."""
    world = peopled("acme", "globex", "platform")

    def do(type_: str, *, tenant: str = "acme", **fields: Any) -> None:
        world.commit(tenant, TENANT_ROOM, tenant_command(type=type_, **fields))

    roles = {"role_custom": CUSTOM, "role_empty": frozenset[Permission](), "role_only": CUSTOM}
    for role, permissions in roles.items():
        do("create_role", new_role=role, name=role, permissions=sorted(permissions))
    known = {"usr_tom", "usr_ana", "usr_vera"}
    for asker in ASKERS:
        if asker.user in known:
            continue
        known.add(asker.user)
        name = asker.user.removeprefix("usr_")
        given: dict[str, Any] = {"custom_role": asker.custom_role} if asker.custom_role else {}
        facts = {"username": name, "display_name": name, "password_hash": PASSWORD_HASH}
        place: dict[str, Any] = {"tenant": asker.tenant}
        do("create_user", **place, user=asker.user, user_role=asker.role, **facts, **given)
        opened: dict[str, Any] = {
            "session": f"ses_{name}",
            "refresh": "0" * 64,
            "expires_ms": NOW_MS * 2,
        }
        do("open_session", **place, user=asker.user, **opened)
    invited = {"email": "nina@acme.example", "user_role": Role.VIEWER, "digest": "0" * 64}
    do("invite_user", invitation=PLACE["invitation"], expires_ms=NOW_MS * 2, **invited)
    provider = {"issuer": "https://id.acme.example", "client_id": "w", "default_role": "viewer"}
    do("put_identity_provider", settings=provider, secret="")
    key = {"do": "make", "name": "SIEM", "public_key": "U" + "A" * 55}
    do("manage_nats_credential", credential=PLACE["credential"], action=key)
    do("disable_user", user="usr_disabled")
    do("end_sessions", user="usr_ended")
    members = dict.fromkeys(
        ("usr_tom", "usr_vera", "usr_only", "usr_custom", "usr_empty", "usr_false"), "member"
    )
    create = {"type": "create_room", "name": "War room", "actor": "usr_ana", "members": members}
    world.commit("acme", PLACE["room"], room_command(**create))
    return world


@asynccontextmanager
async def _served() -> AsyncIterator[Served]:
    async with served(everybody()) as it:
        yield it


async def ask(it: Served, route: str, asker: Asker, **place: str) -> httpx.Response:
    """A request for a route by somebody; `place` is what is asked for instead of `PLACE`."""
    method, path = route.split()
    # People sign in at the provider of a tenant that has one, whoever they are here.
    path = path.replace("/oidc/{tenant}", "/oidc/acme")
    path = re.sub(r"\{(\w+)\}", lambda slot: (PLACE | place)[slot[1]], path)
    prefix = "" if path.startswith(OUTSIDE) else "/api/v1"
    headers = {}
    if asker is not NOBODY:
        headers["Authorization"] = f"Bearer {it.tokens.access_token(asker.principal())}"
    more: dict[str, Any] = {} if method in ("GET", "DELETE") else {"json": BODIES.get(route, {})}
    return await it.http.request(method, f"{prefix}{path}", headers=headers, **more)


def outcome(answer: httpx.Response) -> str:
    """The class of an answer."""
    problem = answer.json() if "problem" in answer.headers.get("content-type", "") else {}
    assert answer.status_code < 500, answer.text
    if problem.get("code") == "unauthenticated":
        return "nobody"
    if problem.get("code") == ErrorCode.ENROLMENT_REQUIRED:
        assert answer.status_code == 403
        return "must enrol"
    if problem.get("detail") == DENIED:
        assert (answer.status_code, problem["code"]) == (403, "forbidden")
        return "denied"
    return "not there" if answer.status_code == 404 else "passed"


def expected(need: Need, asker: Asker, slots: list[str]) -> str:
    """The class of the answer that a line promises."""
    if need is Open.PUBLIC:
        return "passed"
    if asker.permissions is None:
        return "nobody"
    if asker.restricted and need is not Open.ENROLLING:
        return "must enrol"
    own = "user" in slots and asker.user == PLACE["user"]
    if not allows(need, asker.permissions, own=own):
        hidden = isinstance(need, Hidden) and Permission.PLATFORM_READ not in asker.permissions
        return "not there" if hidden else "denied"
    if isinstance(need, Granted):
        return "not there"
    return "not there" if slots and asker.tenant != "acme" else "passed"


@pytest.mark.parametrize("asker", [*ASKERS, NOBODY], ids=lambda asker: asker.name)
@pytest.mark.parametrize("route", ROUTES)
async def test_a_route_answers_everybody_as_its_line_says(route: str, asker: Asker) -> None:
    slots = re.findall(r"\{(\w+)\}", route)
    async with _served() as it:
        found = outcome(await ask(it, route, asker))
        wanted = expected(ROUTES[route], asker, slots)
        if wanted == "passed" and not slots:
            assert found not in ("denied", "nobody", "must enrol")
        else:
            assert found == wanted


@pytest.mark.parametrize("route", ["GET /rooms", "GET /auth/me", "POST /users"])
async def test_a_route_without_a_line_lets_nobody_pass(
    route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(ROUTES, route)
    async with _served() as it:
        assert outcome(await ask(it, route, ASKERS[0])) == "denied"
        assert outcome(await ask(it, route, NOBODY)) == "nobody"


# Sockets ----------------------------------------------------------------------------------------

FIELDS: Final[dict[str, dict[str, Any]]] = {
    "hello": {"token": ""},
    "ping": {"n": 1},
    "subscribe": {"room": PLACE["room"]},
    "unsubscribe": {"room": PLACE["room"]},
    "post": {"room": PLACE["room"], "client_id": "c-1", "kind": "message", "body": "hello"},
}


def test_every_frame_has_fields_here() -> None:
    assert FIELDS.keys() == FRAMES.keys()


async def told(client: Client, type_: str, token: str) -> str:
    """The class of the first answer to a frame, after which a ping is answered too."""
    fields = {"token": token} if type_ == "hello" else FIELDS[type_]
    await client.send(type=type_, **fields)
    if type_ == "unsubscribe":
        # A success is silent: then the answer to the ping is the first one.
        await client.send(type="ping", n=1)
    answer = await client.get()
    if answer.get("detail") == DENIED:
        assert (answer["type"], answer["code"]) == ("rejected", "forbidden")
        return "denied"
    if answer.get("code") == "not_found":
        return "not there"
    return "nobody" if answer.get("code") == "unauthenticated" else "passed"


@pytest.mark.parametrize("asker", ASKERS, ids=lambda asker: asker.name)
@pytest.mark.parametrize("type_", FRAMES)
async def test_a_frame_answers_everybody_as_its_line_says(type_: str, asker: Asker) -> None:
    need, about_a_room = FRAMES[type_], "room" in FIELDS[type_]
    async with _served() as it, it.socket() as client:
        token = it.tokens.access_token(asker.principal())
        await client.send(type="hello", token=token)
        answer = await client.get()
        if asker.permissions is None:
            assert (answer["type"], answer["code"]) == ("error", "unauthenticated")
            assert await client.closed() == 4401
            return
        if asker.restricted:
            assert (answer["type"], answer["code"]) == ("error", ErrorCode.ENROLMENT_REQUIRED)
            assert await client.closed() == 4403
            return
        assert answer["type"] == "welcome"
        if type_ == "unsubscribe" and asker.tenant == "acme":
            await client.send(type="subscribe", room=PLACE["room"])
            await client.get()
        found = await told(client, type_, token)
        if not allows(need, asker.permissions):
            assert found == "denied"
        elif about_a_room and asker.tenant != "acme":
            assert found == "not there"
        else:
            assert found == "passed"


@pytest.mark.parametrize("type_", [name for name in FRAMES if FRAMES[name] is not Open.PUBLIC])
async def test_no_frame_is_obeyed_before_hello(type_: str) -> None:
    async with _served() as it, it.socket() as client:
        assert await told(client, type_, "") == "nobody"
        assert await client.closed() == 4401


async def test_a_frame_without_a_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FRAMES, "post")
    async with _served() as it, it.signed_in("ana") as client:
        assert await told(client, "post", "") == "denied"


def test_a_line_of_one_s_own_lets_himself_and_those_with_the_permission_pass() -> None:
    need = policy.OwnOr(Permission.USERS_READ)
    assert allows(need, frozenset(), own=True)
    assert allows(need, frozenset({Permission.USERS_READ}))
    assert not allows(need, frozenset(Permission) - {Permission.USERS_READ})
    assert not allows(None, frozenset(Permission), own=True)
