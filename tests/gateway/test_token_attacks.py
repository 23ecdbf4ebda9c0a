"""Forged and misused tokens at both doors: one answer, whatever is wrong with them (RFC 8725)."""

import orjson
import pytest

from tests.gateway.forging import Forger
from tests.gateway.serving import Served, peopled, served

ME = "/api/v1/auth/me"


def forger(it: Served) -> Forger:
    """A forger who has got hold of this gateway's own key, and of ana's claims."""
    return Forger(it.keys)


async def at_the_socket(it: Served, query: str = "", **hello: str) -> tuple[int, bytes]:
    """How a socket ends that opens in this way: the code, and all that was said before."""
    async with it.socket(query) as client:
        if hello:
            await client.send(type="hello", **hello)
        code = await client.closed()
        return code, orjson.dumps(client.seen)


async def test_every_forged_token_is_answered_alike_on_rest() -> None:
    async with served(peopled("acme", "globex")) as it:
        good = {"Authorization": f"Bearer {forger(it).signed(forger(it).good)}"}
        assert (await it.http.get(ME, headers=good)).status_code == 200
        wrong: dict[str, int] = {}
        answers: set[tuple[bytes, str]] = set()
        attacks = forger(it).attacks()
        del attacks["no token"]
        for name, token in attacks.items():
            headers = {b"Authorization": b"Bearer " + token.encode()}
            answer = await it.http.get(ME, headers=headers)
            if answer.status_code != 401:
                wrong[name] = answer.status_code
            else:
                answers.add((answer.content, answer.headers["WWW-Authenticate"]))

        assert wrong == {}
        assert len(answers) == 1


@pytest.mark.parametrize("door", ["hello", "ticket"])
async def test_every_forged_token_is_answered_alike_on_the_socket(door: str) -> None:
    async with served(peopled("acme", "globex")) as it:
        wrong: dict[str, int] = {}
        answers: set[bytes] = set()
        attacks = forger(it).attacks()
        del attacks["no token"], attacks["a ticket"]
        for name, token in attacks.items():
            if door == "hello":
                code, said = await at_the_socket(it, token=token)
            elif token.isascii():
                code, said = await at_the_socket(it, f"?ticket={token}")
            answers.add(said)
            if code != 4401:
                wrong[name] = code

        assert wrong == {}
        assert len(answers) == 1


async def test_an_access_token_is_no_ticket_and_a_ticket_is_no_access_token() -> None:
    async with served() as it:
        ticket, access = it.tokens.ticket(it.principal("ana")), it.token("ana")

        as_access = await it.http.get(ME, headers={"Authorization": f"Bearer {ticket}"})

        assert as_access.status_code == 401
        assert (await at_the_socket(it, token=ticket))[0] == 4401
        assert (await at_the_socket(it, f"?ticket={access}"))[0] == 4401


async def test_a_tenant_can_not_be_chosen_by_a_claim_even_with_the_key() -> None:
    async with served(peopled("acme")) as it:
        it.world.tenants = ("acme", "globex")
        moved = forger(it).signed(forger(it).claims(tenant="globex"))

        answer = await it.http.get(ME, headers={"Authorization": f"Bearer {moved}"})

        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert (await at_the_socket(it, token=moved))[0] == 4401
