"""Bodies of those who may not pass: nobody reads them, and the answer is the one to a stranger.

Nothing here knows a route: what is asked is made from the policy's table.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import httpx
import pytest

from actors.protocol.limits import FRAME_BYTES_MAX
from gateway.policy import DENIED, ROUTES, Open
from tests.gateway.asking import API
from tests.gateway.serving import ROOM, Served, peopled, served

JSON: Final = "application/json"


@dataclass(frozen=True)
class Sent:
    """A body, and what it is said to be."""

    content: bytes
    media_type: str | None = JSON


BODIES: Final = {
    "nothing": Sent(b"", None),
    "nothing that is said to be JSON": Sent(b""),
    "garbage": Sent(b'{"name":'),
    "a field that no body has": Sent(b'{"no such field":1}'),
    "too much": Sent(b'{"name":"' + b"x" * FRAME_BYTES_MAX + b'"}'),
    "a form": Sent(b"name=x", "application/x-www-form-urlencoded"),
    "bytes of no type": Sent(b"\0\xff", None),
}
PROTECTED: Final = sorted(route for route, need in ROUTES.items() if need is not Open.PUBLIC)
PLACES: Final = {"room": ROOM, "user": "usr_bob", "tenant": "globex"}


async def _answers(it: Served, sent: Sent, headers: dict[str, str]) -> dict[str, httpx.Response]:
    if sent.media_type is not None:
        headers = headers | {"Content-Type": sent.media_type}
    return {
        route: await it.http.request(method, path, headers=headers, content=sent.content)
        for route, method, path in _protected()
    }


def _protected() -> Iterator[tuple[str, str, str]]:
    for route in PROTECTED:
        method, path = route.split()
        slots = re.sub(r"\{(\w+)\}", lambda slot: PLACES.get(slot[1], "one"), path)
        yield route, method, f"{API}{slots}"


@pytest.mark.parametrize("body", BODIES)
async def test_whoever_has_no_token_is_told_so_whatever_he_sends(body: str) -> None:
    async with served() as it:
        answers = await _answers(it, BODIES[body], {})
        assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(
            PROTECTED, 401
        )
        # Byte for byte the same: what a route wants is nothing for strangers.
        assert len({answer.content for answer in answers.values()}) == 1


@pytest.mark.parametrize("body", BODIES)
async def test_whoever_was_signed_out_is_told_so_whatever_he_sends(body: str) -> None:
    async with served() as it:
        out = await it.http.post(f"{API}/auth/logout", headers=it.headers("ana"))
        assert out.status_code == 204
        answers = await _answers(it, BODIES[body], it.headers("ana"))
        assert {route: answer.status_code for route, answer in answers.items()} == dict.fromkeys(
            PROTECTED, 401
        )


@pytest.mark.parametrize("body", BODIES)
async def test_whoever_may_not_is_told_so_whatever_he_sends(body: str) -> None:
    sent = BODIES[body]
    headers = {"Content-Type": sent.media_type} if sent.media_type is not None else {}
    async with served(peopled("acme", "globex")) as it:
        headers |= it.headers("vera")
        for method, path in (("POST", "/users"), ("POST", "/rooms"), ("PATCH", "/users/usr_bob")):
            answer = await it.http.request(
                method, f"{API}{path}", headers=headers, content=sent.content
            )
            assert (answer.status_code, answer.json()["detail"]) == (403, DENIED)
