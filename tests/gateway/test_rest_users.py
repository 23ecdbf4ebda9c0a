"""`/users` and one's own account over HTTP: who may, what is answered, and what never is."""

from typing import Any, Final

import pytest
from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from gateway.limits import LOGIN_FAILURES_ACCOUNT
from gateway.tokens import new_principal
from tests.gateway.asking import ask
from tests.gateway.serving import PASSWORD, Served, peopled, served
from tests.gateway.world import World, eventually, tenant_command

NEW: Final[dict[str, Any]] = {
    "username": "nina",
    "display_name": "Nina",
    "role": "analyst",
    "email": "nina@acme.example",
    "password": "a password of hers",
}
ROUTES: Final[list[tuple[str, str, dict[str, Any] | None]]] = [
    ("GET", "/users", None),
    ("POST", "/users", NEW),
    ("GET", "/users/usr_bob", None),
    ("PATCH", "/users/usr_bob", {"display_name": "Robert"}),
    ("DELETE", "/users/usr_bob", None),
    ("POST", "/users/usr_bob/disable", {}),
    ("POST", "/users/usr_bob/enable", None),
    ("POST", "/users/usr_bob/password", {"password": "another password"}),
    ("POST", "/users/usr_bob/logout-everywhere", None),
]
ANOTHER: Final = "another password"


def kinds(it: Served) -> list[str]:
    """The kinds of the tenant's records."""
    return [entry.kind for entry in it.world.at("acme", TENANT_ROOM).entries]


@pytest.mark.parametrize("name", ["ana", "vera"])
@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda part: str(part)[:30])
async def test_users_are_for_administrators(
    name: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    async with served() as it:
        before = kinds(it)
        answer = await ask(it, method, path, name, json=body)
        nobody = await ask(it, method, path.replace("usr_bob", "usr_none"), name, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert nobody.content == answer.content
        assert kinds(it) == before


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda part: str(part)[:30])
async def test_no_answer_and_no_log_holds_a_password_or_its_hash(
    method: str, path: str, body: dict[str, Any] | None, logged: list[EventDict]
) -> None:
    async with served() as it:
        answer = await ask(it, method, path, "tom", json=body)
        # Enabling is refused, since nobody is disabled; a refusal must tell no more.
        assert answer.is_success or path.endswith("/enable")
        for secret in ("argon2", "hash_", "password_hash", "a password of hers", ANOTHER):
            assert secret not in answer.text
            assert secret not in repr(logged)


async def test_a_user_is_made_once_for_one_key_and_can_sign_in() -> None:
    async with served() as it:
        key = {"Idempotency-Key": "make-nina"}
        made, again = [
            await ask(it, "POST", "/users", "tom", json=NEW, headers=key) for _ in range(2)
        ]
        assert (made.status_code, again.status_code) == (201, 200)
        assert made.json()["receipt"]["hash"] == again.json()["receipt"]["hash"]
        assert made.headers["location"] == f"/api/v1/users/{made.json()['user']}"
        other = await ask(
            it, "POST", "/users", "tom", json={**NEW, "password": ANOTHER}, headers=key
        )
        assert (other.status_code, other.json()["code"]) == (409, "conflict")
        login = {"username": "nina", "password": NEW["password"]}
        assert (await it.http.post("/api/v1/auth/login", json=login)).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({**NEW, "password": "short"}, "#/password"),
        ({**NEW, "role": "system"}, "#/role"),
        ({**NEW, "email": "nobody"}, "#/email"),
        ({**NEW, "username": " "}, "#/username"),
        ({**NEW, "username": {"$ne": None}}, "#/username"),
        ({**NEW, "password_hash": "x"}, "#/password_hash"),
    ],
)
async def test_a_bad_field_is_named_and_not_repeated(body: dict[str, Any], pointer: str) -> None:
    async with served() as it:
        answer = await ask(it, "POST", "/users", "tom", json=body)
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
        assert body["password"] not in answer.text


async def test_users_are_listed_page_by_page_and_the_deleted_apart() -> None:
    async with served() as it:
        first = (await ask(it, "GET", "/users?limit=2", "tom")).json()
        rest = (await ask(it, "GET", f"/users?limit=2&cursor={first['next']}", "tom")).json()
        items = first["items"] + rest["items"]
        assert [item["user"] for item in items] == ["usr_ana", "usr_bob", "usr_tom", "usr_vera"]
        assert rest["next"] is None
        await ask(it, "DELETE", "/users/usr_bob", "tom")
        present = (await ask(it, "GET", "/users", "tom")).json()["items"]
        deleted = (await ask(it, "GET", "/users?deleted=true", "tom")).json()["items"]
        assert "usr_bob" not in [item["user"] for item in present]
        assert [(item["user"], item["deleted"]) for item in deleted] == [("usr_bob", True)]
        assert (await ask(it, "GET", "/users/usr_bob", "tom")).json()["deleted"] is True


async def test_the_last_administrator_stays() -> None:
    async with served() as it:
        for method, path, body in (
            ("POST", "/users/usr_tom/disable", {}),
            ("DELETE", "/users/usr_tom", None),
            ("PATCH", "/users/usr_tom", {"role": "analyst"}),
        ):
            answer = await ask(it, method, path, "tom", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
            assert "last administrator" in answer.json()["detail"]


async def test_everybody_changes_his_own_name_and_email_and_nothing_else() -> None:
    async with served() as it:
        body = {"display_name": "Ana L.", "email": "ana.l@acme.example"}
        assert (await ask(it, "PATCH", "/auth/me", json=body)).status_code == 200
        me = (await ask(it, "GET", "/auth/me")).json()
        assert {name: me[name] for name in body} == body
        for bad in ({"role": "tenant_admin"}, {"username": "root"}, {"disabled": False}, {}):
            assert (await ask(it, "PATCH", "/auth/me", json=bad)).status_code == 422
        taken = await ask(it, "PATCH", "/auth/me", json={"email": "BOB@acme.example"})
        assert (taken.status_code, taken.json()["code"]) == (409, "conflict")


async def test_a_new_password_needs_the_old_one() -> None:
    async with served() as it:
        wrong = {"old_password": "wrong", "password": ANOTHER}
        refused = await ask(it, "POST", "/auth/password", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        keyed = {"Idempotency-Key": "k-1"}
        right = {"old_password": PASSWORD, "password": ANOTHER}
        done, again = [
            await ask(it, "POST", "/auth/password", json=right, headers=keyed) for _ in range(2)
        ]
        assert (done.status_code, again.status_code) == (200, 200)
        assert done.json() == again.json()
        assert kinds(it).count("password_changed") == 1
        without_key = await ask(it, "POST", "/auth/password", json=right)
        assert without_key.status_code == 403


@pytest.mark.parametrize("key", [None, "k-1"])
async def test_an_old_password_is_guessed_a_few_times_only(key: str | None) -> None:
    async with served() as it:
        headers = {"Idempotency-Key": key} if key else {}
        guess = {"old_password": "wrong", "password": "another guess"}
        codes = [
            (await ask(it, "POST", "/auth/password", json=guess, headers=headers)).status_code
            for _ in range(LOGIN_FAILURES_ACCOUNT + 1)
        ]
        assert codes[0] == 403
        assert codes[-1] == 429
        right = {"old_password": PASSWORD, "password": ANOTHER}
        assert (await ask(it, "POST", "/auth/password", json=right)).status_code == 429
        assert "password_changed" not in kinds(it)


async def test_the_deleted_are_put_into_no_room() -> None:
    async with served() as it:
        await ask(it, "DELETE", "/users/usr_vera", "tom")
        put = await ask(it, "PUT", "/rooms/room_1/members/usr_vera", json={"role": "member"})
        assert put.status_code == 404
        body = {"name": "A room", "members": {"usr_vera": "member"}}
        assert (await ask(it, "POST", "/rooms", json=body)).status_code == 422


async def test_an_email_is_taken_away_by_an_empty_one_and_a_bad_one_is_named() -> None:
    async with served() as it:
        assert (await ask(it, "PATCH", "/auth/me", json={"email": ""})).status_code == 200
        assert (await ask(it, "GET", "/auth/me")).json()["email"] is None
        for name, path in (("ana", "/auth/me"), ("tom", "/users/usr_bob")):
            bad = await ask(it, "PATCH", path, name, json={"email": "bob"})
            assert [fault["pointer"] for fault in bad.json()["errors"]] == ["#/email"]


async def test_whoever_lost_his_rights_a_moment_ago_is_refused_by_the_actor_too() -> None:
    world = peopled("acme")
    another = {"user": "usr_nina", "username": "nina", "display_name": "Nina"}
    made = {"user_role": Role.TENANT_ADMIN, "password_hash": "x"}
    world.commit("acme", TENANT_ROOM, tenant_command(type="create_user", **another, **made))
    world.announcing = False
    async with served(world) as it:
        stale = it.tokens.access_token(
            new_principal("acme", "usr_nina", Role.TENANT_ADMIN, "ses_tom")
        )
        demoted = tenant_command(type="update_user", user="usr_nina", user_role="viewer")
        world.commit("acme", TENANT_ROOM, demoted)
        headers = {"Authorization": f"Bearer {stale}"}
        answer = await it.http.post("/api/v1/users/usr_ana/disable", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


# Sockets ----------------------------------------------------------------------------------------


def sign_out(world: World, name: str) -> None:
    """Sign somebody out at another gateway."""
    ended = tenant_command(type="end_sessions", user=f"usr_{name}")
    world.commit("acme", TENANT_ROOM, ended)


async def test_the_news_closes_the_sockets_of_the_session_and_no_others() -> None:
    async with (
        served(peopled("acme", "globex")) as it,
        it.signed_in("ana") as ana,
        it.signed_in("bob") as bob,
        it.signed_in("ana", "globex") as namesake,
    ):
        sign_out(it.world, "ana")
        assert await ana.closed() == 4401
        for other in (bob, namesake):
            await other.send(type="ping", n="1")
            assert (await other.get())["type"] == "pong"


async def test_news_that_come_while_a_socket_is_being_welcomed_are_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served() as it, it.socket() as ana:
        # The store still says what was so a moment before the news.
        reader = type(await it.world.reader.tenant("acme"))
        asked: list[str] = []

        async def stale(_self: object, session: str) -> bool:
            asked.append(session)
            sign_out(it.world, "ana")
            return True

        monkeypatch.setattr(reader, "session_active", stale)
        await ana.send(type="hello", token=it.token("ana"))
        assert await ana.closed() == 4401
        assert asked == ["ses_ana"]
        assert [frame["type"] for frame in ana.seen] == ["error"]


async def test_a_gateway_that_stops_listens_no_longer() -> None:
    world = peopled("acme")
    async with served(world):
        await eventually(lambda: len(world.ears) == 1)
    assert world.ears == {}
