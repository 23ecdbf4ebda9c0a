"""`/integrations/nats-credentials` over HTTP: who may, what is shown once, and what never is."""

from typing import Any, Final

import pytest
from structlog.typing import EventDict

from actors.protocol.errors import OutcomeUnknown
from actors.protocol.ids import TENANT_ROOM
from gateway.rest import nats_credentials
from tests.gateway.asking import ask
from tests.gateway.serving import Served, served
from tests.gateway.world import tenant_command

PATH: Final = "/integrations/nats-credentials"
HELD: Final = f"{PATH}/nat_held"
ROUTES: Final[list[tuple[str, str, dict[str, Any] | None]]] = [
    ("GET", PATH, None),
    ("POST", PATH, {"name": "QRadar"}),
    ("GET", HELD, None),
    ("POST", f"{HELD}/rotate", {}),
    ("DELETE", HELD, None),
]
WRITING: Final = [route for route in ROUTES if route[0] != "GET"]
PUBLIC: Final = "U" + "A" * 55


def hold(it: Served) -> None:
    """Have acme have a credential."""
    action = {"do": "make", "name": "Held", "public_key": PUBLIC, "sources": ["qradar"]}
    named = {"type": "manage_nats_credential", "credential": "nat_held"}
    it.world.commit("acme", TENANT_ROOM, tenant_command(action=action, **named))


@pytest.mark.parametrize("name", ["ana", "vera"])
@pytest.mark.parametrize(("method", "path", "body"), WRITING, ids=lambda part: str(part)[:40])
async def test_credentials_are_changed_by_administrators(
    name: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    async with served() as it:
        hold(it)
        before = it.world.at("acme", TENANT_ROOM).head
        answer = await ask(it, method, path, name, json=body)
        nobody = await ask(it, method, path.replace("nat_held", "nat_none"), name, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert nobody.content == answer.content
        assert it.world.at("acme", TENANT_ROOM).head == before


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda part: str(part)[:40])
async def test_a_credential_that_is_not_there_is_not_found(
    method: str, path: str, body: dict[str, Any] | None
) -> None:
    async with served() as it:
        answer = await ask(it, method, path.replace("nat_held", "nat_none"), "tom", json=body)
        assert answer.status_code == (404 if "held" in path else 200 if method == "GET" else 201)


async def test_a_seed_is_in_one_answer_and_in_nothing_else(logged: list[EventDict]) -> None:
    async with served() as it:
        hold(it)
        made = await ask(it, "POST", PATH, "tom", json={"name": "QRadar"})
        rotated = await ask(it, "POST", f"{HELD}/rotate", "tom", json={"overlap_s": 60})
        assert (made.status_code, rotated.status_code) == (201, 201)
        assert made.headers["Cache-Control"] == "no-store"
        seeds = [answer.json()["seed"] for answer in (made, rotated)]
        assert made.json()["creds"].count(seeds[0]) == 1
        assert "a.signed.token" in made.json()["creds"]
        listed = (await ask(it, "GET", PATH, "tom")).text
        one = (await ask(it, "GET", f"{PATH}/{made.json()['credential']}", "tom")).text
        chain = b"".join(e.content or b"" for e in it.world.at("acme", TENANT_ROOM).entries)
        state = repr(it.world.at("acme", TENANT_ROOM).state)
        for seed in seeds:
            assert seed[:2] == "SU"
            for text in (listed, one, chain.decode(), state, repr(logged)):
                assert seed not in text


async def test_what_nobody_has_signed_yet_is_accepted_and_its_seed_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_credentials, "READY_WAIT_S", 0.2)
    async with served() as it:
        it.world.provisioning = False
        made = await ask(it, "POST", PATH, "tom", json={"name": "QRadar"})
        assert (made.status_code, made.json()["creds"]) == (202, None)
        assert made.json()["seed"].startswith("SU")
        path = made.headers["Location"].removeprefix("/api/v1")
        assert (await ask(it, "GET", path, "tom")).json()["status"] == "pending"
        gone = await ask(it, "DELETE", path, "tom")
        assert (gone.status_code, gone.json()["status"]) == (202, "revoking")
        it.world.provisioning = True
        assert (await ask(it, "GET", path, "tom")).json()["status"] == "revoked"


async def test_a_credential_shows_what_it_may_and_when_it_was_used() -> None:
    async with served() as it:
        hold(it)
        shown = (await ask(it, "GET", HELD, "tom")).json()
        assert (shown["name"], shown["publish"]) == ("Held", ["ingest.qradar.>"])
        assert shown["last_used_at"] is not None
        assert (shown["status"], shown["token"]) == ("active", "a.signed.token")
        assert "token" not in (await ask(it, "GET", PATH, "tom")).json()["items"][0]


async def test_credentials_are_listed_a_page_at_a_time() -> None:
    async with served() as it:
        hold(it)
        await ask(it, "POST", PATH, "tom", json={"name": "QRadar"})
        first = (await ask(it, "GET", f"{PATH}?limit=1", "tom")).json()
        rest = (await ask(it, "GET", f"{PATH}?limit=1&cursor={first['next']}", "tom")).json()
        names = [item["name"] for item in first["items"] + rest["items"]]
        assert (sorted(names), rest["next"]) == (["Held", "QRadar"], None)


async def test_a_request_that_comes_again_is_told_that_it_was_answered() -> None:
    async with served() as it:
        key = {"headers": {"Idempotency-Key": "k-1"}}
        answers = [await ask(it, "POST", PATH, "tom", json={"name": "Q"}, **key) for _ in "ab"]
        assert [answer.status_code for answer in answers] == [201, 409]
        assert "seed" not in answers[1].json()


async def test_who_can_not_be_told_whether_it_was_done_is_shown_no_seed() -> None:
    async with served() as it:
        it.world.broken_commit = OutcomeUnknown("no receipt")
        answer = await ask(it, "POST", PATH, "tom", json={"name": "QRadar"})
        assert (answer.status_code, answer.json()["code"]) == (504, "outcome_unknown")
        assert "SU" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": {"$gt": ""}},
        {"name": "x", "sources": ["a.b"]},
        {"name": "x", "sources": [">"]},
        {"name": "x", "sources": "qradar"},
        {"name": "x", "sources": [f"s{n}" for n in range(17)]},
        {"name": "x", "expires_in_s": 0},
        {"name": "x", "expires_in_s": 10**12},
        {"name": "x", "public_key": PUBLIC},
        {"name": "safe\u202eelif"},
    ],
    ids=str,
)
async def test_a_bad_body_is_refused_with_what_is_wrong(body: dict[str, Any]) -> None:
    async with served() as it:
        answer = await ask(it, "POST", PATH, "tom", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
