"""REST as a whole: isolation, problems, and what stands outside the API."""

import asyncio

import pytest
import yaml

from actors.protocol.errors import OutcomeUnknown
from gateway import limits
from gateway.rest import health
from tests.gateway.asking import API, ENTRIES, ask
from tests.gateway.serving import ROOM, Unreachable, peopled, served
from tests.gateway.world import room_command

ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"name": "x"}),
    ("GET", "/members", None),
    ("PUT", "/members/usr_bob", {"role": "member"}),
    ("DELETE", "/members/usr_bob", None),
    ("GET", "/entries", None),
    ("POST", "/entries", {"client_id": "c", "body": "x"}),
    ("GET", "/chain", None),
    ("GET", "/verify", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_what_one_may_not_see_is_answered_like_what_is_not_there(
    method: str, path: str, body: dict[str, str] | None
) -> None:
    world = peopled("acme", "globex")
    create = room_command(type="create_room", name="theirs", actor="usr_ana")
    world.commit("globex", "room_globex", create)
    heads = {key: room.head for key, room in world.rooms.items()}
    async with served(world) as it:
        unknown = await ask(it, method, f"/rooms/room_none{path}", json=body)
        theirs = await ask(it, method, f"/rooms/room_globex{path}", json=body)
        hidden = await ask(it, method, f"/rooms/{ROOM}{path}", name="vera", json=body)

        assert unknown.status_code == 404
        assert unknown.content == theirs.content == hidden.content
        assert {key: world.at(*key).head for key in heads} == heads


@pytest.mark.parametrize("room", ["_tenant", "a.b", "*", "%3E", "x" * 65, "%00"])
async def test_an_id_of_a_form_that_nothing_has_is_not_found(room: str) -> None:
    async with served() as it:
        answer = await ask(it, "GET", f"/rooms/{room}")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_no_route_of_the_api_but_signing_in_works_without_a_token() -> None:
    async with served() as it:
        document = (await it.http.get("/openapi.json")).json()
        names = ("login", "login/second-factor", "refresh", "register", "invitations/accept")
        open_paths = {f"{API}/auth/{name}" for name in names}
        tried = 0
        for path, methods in document["paths"].items():
            for method in methods:
                answer = await it.http.request(
                    method,
                    path.replace("{room}", ROOM).replace("{user}", "usr_bob"),
                    json={} if method in ("post", "put", "patch") else None,
                )
                expected = 422 if path in open_paths else 401
                assert answer.status_code == expected, f"{method} {path}"
                tried += 1

        assert tried > 10


async def test_a_server_that_is_away_is_503_with_the_time_to_try_again() -> None:
    async with served() as it:
        it.world.broken = Unreachable("mongodb://user:hunter2@127.0.0.1")

        answer = await it.http.get(ENTRIES, headers=it.headers("ana"))

        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert "hunter2" not in answer.text


async def test_a_command_without_a_receipt_is_504_and_may_be_repeated() -> None:
    async with served() as it:
        it.world.broken_commit = OutcomeUnknown("no receipt")
        body = {"client_id": "c-1", "body": "x"}

        answer = await it.http.post(ENTRIES, json=body, headers=it.headers("ana"))

        assert (answer.status_code, answer.json()["code"]) == (504, "outcome_unknown")


async def test_a_fault_of_ours_is_500_with_a_mark_and_without_details() -> None:
    async with served() as it:
        it.world.broken = RuntimeError("hunter2")

        answer = await it.http.get(ENTRIES, headers=it.headers("ana"))

        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert answer.json()["instance"].startswith("urn:wardroom:occurrence:")
        assert "hunter2" not in answer.text


async def test_a_method_that_is_not_there_is_a_problem_too() -> None:
    async with served() as it:
        answer = await it.http.delete(ENTRIES)

        assert answer.status_code == 405
        assert answer.json()["code"] == "method_not_allowed"
        assert answer.headers["Allow"] == "GET, POST"


async def test_a_bad_parameter_is_named() -> None:
    async with served() as it:
        answer = await ask(it, "GET", "/rooms?limit=0")

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "limit"


async def test_a_bad_idempotency_key_is_named() -> None:
    async with served() as it:
        headers = {"Idempotency-Key": "a b"}

        answer = await ask(it, "POST", "/rooms", json={"name": "x"}, headers=headers)

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


async def test_readiness_names_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_CHECK_S", 0.05)

    async def well() -> None:
        return

    async def refused() -> None:
        raise ConnectionRefusedError("mongodb://user:hunter2@127.0.0.1")

    async def hanging() -> None:
        await asyncio.Event().wait()

    async with served() as it:
        it.checks["nats"] = well
        assert (await it.http.get("/readyz")).json() == {"ready": True, "failing": {}}
        it.checks.update(mongodb=refused, clock=hanging)

        answer = await it.http.get("/readyz")

        assert answer.status_code == 503
        failing = answer.json()["failing"]
        assert failing == {"mongodb": "ConnectionRefusedError", "clock": "no answer in 0.05 s"}
        assert (await it.http.get("/livez")).status_code == 200


async def test_the_version_the_keys_and_the_metrics_are_shown() -> None:
    async with served(version="1.2.3") as it, it.signed_in("ana") as client:
        await client.follow()

        assert (await it.http.get("/version")).json()["version"] == "1.2.3"
        keys = (await it.http.get("/.well-known/jwks.json")).json()["keys"]
        assert [key["kid"] for key in keys] == ["k1"]
        metrics = (await it.http.get("/metrics")).text
        assert "wardroom_gateway_sockets 1.0" in metrics
        assert "wardroom_gateway_feeds 1.0" in metrics


async def test_the_openapi_document_is_one_in_both_forms_and_describes_problems() -> None:
    async with served() as it:
        as_json = (await it.http.get("/openapi.json")).json()
        as_yaml = yaml.safe_load((await it.http.get("/openapi.yaml")).text)

        assert as_json == as_yaml
        assert as_json["openapi"].startswith("3.1")
        for methods in as_json["paths"].values():
            for operation in methods.values():
                assert list(operation["responses"]["default"]["content"]) == [
                    "application/problem+json"
                ]
                assert "422" not in operation["responses"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_reference_shows_every_operation_and_needs_no_other_server(path: str) -> None:
    async with served() as it:
        page = await it.http.get(path)
        document = (await it.http.get("/openapi.json")).json()

        assert page.headers["content-type"].startswith("text/html")
        for api_path in document["paths"]:
            assert f"{api_path}</code>" in page.text
        assert "://" not in page.text
        assert "<script" not in page.text


async def test_every_answer_has_security_headers() -> None:
    async with served(tls=True) as it:
        for path in ("/livez", "/nope", f"{API}/rooms", "/docs"):
            headers = (await it.http.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "max-age" in headers["strict-transport-security"]
            assert "server" not in headers


def test_limits_are_numbers_with_a_meaning() -> None:
    numbers = {name: value for name, value in vars(limits).items() if name.isupper()}

    assert all(isinstance(value, (int, float)) and value > 0 for value in numbers.values())
