"""Every route that asks who somebody is, with tokens that tell it no longer, or were never meant for it."""

import re
import time
from typing import Final

import pytest

from gateway.policy import ROUTES, Open
from tests.gateway.forging import STRANGER, Forger
from tests.gateway.serving import Served, peopled, served
from tests.gateway.test_policy_matrix import PLACE

PRIVATE: Final = [route for route, need in ROUTES.items() if need is not Open.PUBLIC]
LONG_AGO_S: Final = 3_600


def _bad_tokens(it: Served) -> dict[str, str]:
    forger, now = Forger(it.keys), int(time.time())
    over = {"iat": now - 2 * LONG_AGO_S, "nbf": now - 2 * LONG_AGO_S, "exp": now - LONG_AGO_S}
    header = {"typ": "at+jwt", "kid": it.keys.kid}
    return {
        "expired": forger.signed(forger.claims(**over)),
        "not yet valid": forger.signed(forger.claims(nbf=now + LONG_AGO_S)),
        "of another audience": forger.signed(forger.claims(aud="somebody-else")),
        "of another issuer": forger.signed(forger.claims(iss="https://elsewhere.example")),
        "a ticket": forger.signed(forger.good, typ="ws-ticket+jwt"),
        "signed by a stranger": forger.by_hand(header, forger.good, STRANGER),
        "of a session that never was": forger.signed(forger.claims(sid="ses_never")),
        "of a tenant that never was": forger.signed(forger.claims(tenant="never")),
    }


@pytest.mark.parametrize("route", PRIVATE)
async def test_a_route_knows_nobody_by_a_token_that_is_not_for_it_now(route: str) -> None:
    method, path = route.split()
    path = re.sub(r"\{(\w+)\}", lambda slot: PLACE[slot[1]], path)
    async with served(peopled("acme", "globex")) as it:
        tokens = _bad_tokens(it)
        answers = {
            what: await it.http.request(
                method, f"/api/v1{path}", headers={"Authorization": f"Bearer {token}"}, json={}
            )
            for what, token in tokens.items()
        }

    assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(
        tokens, 401
    )
