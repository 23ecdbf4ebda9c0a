"""Pages of other origins and the REST API, as a browser would ask for them."""

import pytest

from tests.gateway.asking import API
from tests.gateway.serving import Served, served

CONSOLE = "https://console.example"
ALLOWED = frozenset({f"{CONSOLE}/"})
ALLOW_ORIGIN = "access-control-allow-origin"


async def preflight(it: Served, origin: str, method: str, headers: str = "") -> tuple[int, str]:
    """What a browser learns before it sends a request of a page: status, and the origin allowed."""
    answer = await it.http.options(
        f"{API}/rooms",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )
    return answer.status_code, answer.headers.get(ALLOW_ORIGIN, "")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_page_of_an_allowed_origin_may_ask_with_its_token(method: str) -> None:
    async with served(allowed_origins=ALLOWED) as it:
        asked = "authorization, content-type, idempotency-key"
        assert await preflight(it, CONSOLE, method, asked) == (200, CONSOLE)


async def test_an_allowed_page_may_read_the_answer_and_brings_no_cookies() -> None:
    async with served(allowed_origins=ALLOWED) as it:
        headers = {**it.headers("ana"), "Origin": CONSOLE}
        answer = await it.http.get(f"{API}/rooms", headers=headers)
        assert answer.status_code == 200
        assert answer.headers[ALLOW_ORIGIN] == CONSOLE
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://console.example", f"{CONSOLE}.evil.example", "null"]
)
async def test_a_page_of_any_other_origin_may_neither_ask_nor_read(origin: str) -> None:
    async with served(allowed_origins=ALLOWED) as it:
        status, allowed = await preflight(it, origin, "GET", "authorization")
        assert (status, allowed) == (400, "")
        headers = {**it.headers("ana"), "Origin": origin}
        answer = await it.http.get(f"{API}/rooms", headers=headers)
        assert ALLOW_ORIGIN not in answer.headers


async def test_without_the_setting_no_other_origin_is_allowed() -> None:
    async with served() as it:
        headers = {**it.headers("ana"), "Origin": CONSOLE}
        answer = await it.http.get(f"{API}/rooms", headers=headers)
        assert ALLOW_ORIGIN not in answer.headers
