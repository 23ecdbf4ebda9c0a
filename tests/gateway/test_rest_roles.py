"""Roles of a tenant's own over HTTP and on sockets: what they permit holds at once, in both directions."""

from typing import Any, Final

import pytest

from actors.protocol.ids import TENANT_ROOM
from actors.protocol.permissions import BUILT_IN, PERMISSIONS
from actors.protocol.roles import Role
from tests.gateway.asking import ENTRIES, ask
from tests.gateway.serving import PASSWORD, ROOM, Served, peopled, served

DESK: Final = ["rooms.read", "evidence.read"]


async def made(it: Served, *permissions: str, name: str = "Desk") -> str:
    """A role that tom makes; its id."""
    answer = await ask(
        it, "POST", "/roles", "tom", json={"name": name, "permissions": list(permissions)}
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/roles/{answer.json()['role']}"
    return str(answer.json()["role"])


async def given(it: Served, user: str, role: str) -> None:
    """Give somebody a role."""
    answer = await ask(it, "PATCH", f"/users/usr_{user}", "tom", json={"role": role})
    assert answer.status_code == 200, answer.text


async def signed_in(it: Served, user: str) -> dict[str, str]:
    """The headers of somebody who signs in anew."""
    credentials = {"username": user, "password": PASSWORD}
    answer = await it.http.post("/api/v1/auth/login", json=credentials)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def test_permissions_and_roles_are_listed_and_a_role_is_made_once_for_a_key() -> None:
    async with served() as it:
        listed = (await ask(it, "GET", "/permissions")).json()["items"]
        assert {item["permission"] for item in listed} == set(PERMISSIONS)
        body = {"name": "Desk", "permissions": DESK}
        key = {"Idempotency-Key": "make-desk"}
        first, again = [
            await ask(it, "POST", "/roles", "tom", json=body, headers=key) for _ in range(2)
        ]
        assert (first.status_code, again.status_code) == (201, 200)
        role = first.json()["role"]
        shown = (await ask(it, "GET", f"/roles/{role}", "tom")).json()
        facts = {"role": role, "name": "Desk", "permissions": sorted(DESK), "built_in": False}
        assert shown == facts
        other = await made(it, name="Night desk")
        roles = (await ask(it, "GET", "/roles?limit=1", "tom")).json()
        assert [item["role"] for item in roles["items"][:3]] == [
            "tenant_admin",
            "analyst",
            "viewer",
        ]
        rest = (await ask(it, "GET", f"/roles?limit=1&cursor={roles['next']}", "tom")).json()
        found = [item["role"] for item in roles["items"][3:] + rest["items"]]
        assert found == sorted([role, other])
        viewer = (await ask(it, "GET", "/roles/viewer", "tom")).json()
        assert viewer["permissions"] == sorted(BUILT_IN[Role.VIEWER])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Desk", "permissions": ["rooms.fly"]}, "#/permissions/0"),
        ({"name": " ", "permissions": []}, "#/name"),
        ({"name": "Desk", "permissions": "rooms.read"}, "#/permissions"),
        ({"name": "Desk", "permissions": ["rooms.read"] * 100}, "#/permissions"),
    ],
)
async def test_a_bad_role_is_refused_by_its_field(body: dict[str, Any], pointer: str) -> None:
    async with served() as it:
        answer = await ask(it, "POST", "/roles", "tom", json=body)
        assert answer.status_code == 422
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_built_in_roles_and_roles_of_nobody_stay_as_they_are() -> None:
    async with served() as it:
        for method, body in (("PATCH", {"name": "Mine"}), ("DELETE", None)):
            built_in = await ask(it, method, "/roles/analyst", "tom", json=body)
            nowhere = await ask(it, method, "/roles/role_none", "tom", json=body)
            garbage = await ask(it, method, "/roles/none", "tom", json=body)
            assert (built_in.status_code, nowhere.status_code) == (403, 404)
            assert nowhere.content == garbage.content


async def test_a_custom_role_permits_what_it_lists_and_nothing_else() -> None:
    async with served() as it:
        await given(it, "bob", await made(it, *DESK))
        headers = await signed_in(it, "bob")
        me = (await it.http.get("/api/v1/auth/me", headers=headers)).json()
        assert me["permissions"] == sorted(DESK)
        assert (await it.http.get(ENTRIES, headers=headers)).status_code == 200
        body = {"client_id": "c-1", "body": "hello"}
        refused = await it.http.post(ENTRIES, headers=headers, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_what_a_role_no_longer_permits_is_refused_to_tokens_of_before() -> None:
    async with served() as it:
        role = await made(it, "rooms.read", "rooms.write")
        await given(it, "bob", role)
        headers = await signed_in(it, "bob")
        assert (await it.http.get(ENTRIES, headers=headers)).status_code == 200
        change = {"permissions": ["alerts.read"]}
        answer = await ask(it, "PATCH", f"/roles/{role}", "tom", json=change)
        assert answer.status_code == 200
        assert (await it.http.get(ENTRIES, headers=headers)).status_code == 403
        await ask(it, "PATCH", f"/roles/{role}", "tom", json={"permissions": ["rooms.read"]})
        assert (await it.http.get(ENTRIES, headers=headers)).status_code == 200


async def test_a_socket_obeys_the_role_it_began_with_and_is_closed_when_that_changes() -> None:
    async with served() as it:
        role = await made(it, "rooms.read")
        await given(it, "bob", role)
        token = (await signed_in(it, "bob"))["Authorization"].removeprefix("Bearer ")
        async with it.socket() as bob, it.signed_in("ana") as ana:
            await bob.send(type="hello", token=token)
            assert (await bob.get())["type"] == "welcome"
            await bob.follow()
            await bob.send(type="post", room=ROOM, client_id="c-1", kind="message", body="hello")
            refused = await bob.get()
            assert (refused["type"], refused["code"]) == ("rejected", "forbidden")
            assert (refused["client_id"], refused["room"]) == ("c-1", ROOM)
            await ask(it, "PATCH", f"/roles/{role}", "tom", json={"permissions": []})
            assert await bob.closed() == 4401
            await ana.send(type="ping", n=1)
            assert (await ana.get())["type"] == "pong"
        async with it.socket() as bob:
            await bob.send(type="hello", token=token)
            assert (await bob.get())["type"] == "welcome"
            await bob.send(type="subscribe", room=ROOM)
            refused = await bob.get()
            assert (refused["type"], refused["code"]) == ("rejected", "forbidden")


async def test_a_role_with_rooms_create_opens_rooms_as_an_analyst() -> None:
    async with served() as it:
        await given(it, "vera", await made(it, "rooms.read", "rooms.create", "rooms.write"))
        headers = await signed_in(it, "vera")
        opened = await it.http.post("/api/v1/rooms", headers=headers, json={"name": "A room"})
        assert opened.status_code == 201, opened.text
        body = {"client_id": "c-1", "body": "hello"}
        room = opened.json()["room"]
        said = await it.http.post(f"/api/v1/rooms/{room}/entries", headers=headers, json=body)
        assert said.status_code == 201


async def test_a_role_that_somebody_has_is_not_deleted_and_another_tenants_is_not_there() -> None:
    async with served(peopled("acme", "globex")) as it:
        role = await made(it, *DESK)
        await given(it, "bob", role)
        held = await ask(it, "DELETE", f"/roles/{role}", "tom")
        assert (held.status_code, held.json()["code"]) == (409, "conflict")
        foreign = it.headers("tom", "globex")
        for method in ("GET", "DELETE"):
            answers = [
                await it.http.request(method, f"/api/v1/roles/{name}", headers=foreign)
                for name in (role, "role_none")
            ]
            assert {answer.status_code for answer in answers} == {404}
            assert answers[0].content == answers[1].content
        body = {"role": role}
        taken = await it.http.patch("/api/v1/users/usr_bob", headers=foreign, json=body)
        assert taken.status_code == 422
        await given(it, "bob", "analyst")
        assert (await ask(it, "DELETE", f"/roles/{role}", "tom")).status_code == 200
        assert (await ask(it, "GET", f"/roles/{role}", "tom")).status_code == 404


async def test_who_may_change_users_by_a_custom_role_reaches_nobody_above_him() -> None:
    async with served() as it:
        await given(it, "vera", await made(it, "users.read", "users.write", name="Personnel"))
        headers = await signed_in(it, "vera")
        for user, code in (("tom", 403), ("ana", 403)):
            answer = await it.http.post(
                f"/api/v1/users/usr_{user}/password", headers=headers, json={"password": PASSWORD}
            )
            assert answer.status_code == code
        upwards = await it.http.patch(
            "/api/v1/users/usr_vera", headers=headers, json={"role": "tenant_admin"}
        )
        assert upwards.status_code == 403
        role = {"name": "Everything", "permissions": ["audit.read"]}
        beyond = await it.http.post("/api/v1/roles", headers=headers, json=role)
        assert beyond.status_code == 403


async def test_a_user_is_made_with_a_custom_role_and_shown_with_it() -> None:
    async with served() as it:
        role = await made(it, *DESK)
        body = {"username": "nina", "display_name": "Nina", "role": role, "password": PASSWORD}
        answer = await ask(it, "POST", "/users", "tom", json=body)
        assert answer.status_code == 201, answer.text
        shown = (await ask(it, "GET", f"/users/{answer.json()['user']}", "tom")).json()
        assert shown["role"] == role
        nobody = await ask(it, "PATCH", "/users/usr_bob", "tom", json={"role": "role_none"})
        assert (nobody.status_code, nobody.json()["code"]) == (422, "invalid")


async def test_a_role_that_vanished_from_the_store_permits_nothing() -> None:
    world = peopled("acme")
    async with served(world) as it:
        role = await made(it, *DESK)
        await given(it, "bob", role)
        headers = await signed_in(it, "bob")
        del world.at("acme", TENANT_ROOM).state.roles[role]
        assert (await it.http.get(ENTRIES, headers=headers)).status_code == 403
        assert (await it.http.get("/api/v1/auth/me", headers=headers)).status_code == 200


async def test_a_hello_with_another_role_does_not_prolong_what_was_begun_with_the_old_one() -> None:
    world = peopled("acme")
    async with served(world) as it, it.signed_in("bob") as bob:
        await bob.follow()
        # The news of the ended session is late: it is the second hello that tells.
        world.announcing = False
        await given(it, "bob", await made(it, "alerts.read"))
        token = (await signed_in(it, "bob"))["Authorization"].removeprefix("Bearer ")
        await bob.send(type="hello", token=token)
        assert await bob.closed() == 4401
