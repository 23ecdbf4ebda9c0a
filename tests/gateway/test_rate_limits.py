"""Too many REST requests: of a session, of an address, and what is said to that."""

import pytest

from gateway import rate_limits as module
from gateway.limits import BURST_S
from gateway.rate_limits import Buckets
from gateway.too_soon import TooSoon
from tests.gateway.serving import served
from tests.gateway.test_lockout import Clock

ME = "/api/v1/auth/me"
BURST = int(BURST_S)
"""Requests that may come at once where one a second is allowed."""


def taken(buckets: Buckets, key: str = "a") -> int:
    """How many requests are let pass now."""
    count = 0
    while count < 10_000:
        try:
            buckets.take(key)
        except TooSoon:
            return count
        count += 1
    raise AssertionError("nothing is ever refused")


def test_a_bucket_gives_a_burst_and_then_the_rate() -> None:
    clock = Clock()
    buckets = Buckets("session", 2.0, clock)

    assert taken(buckets) == 2 * BURST
    clock.now += 3
    assert taken(buckets) == 6
    clock.now += 1_000
    assert taken(buckets) == 2 * BURST
    assert taken(buckets, "b") == 2 * BURST


def test_a_refusal_says_how_long_to_wait_and_being_refused_costs_nothing() -> None:
    clock = Clock()
    buckets = Buckets("session", 0.125, clock)
    taken(buckets)

    waits = []
    for _ in range(9):
        with pytest.raises(TooSoon) as caught:
            buckets.take("a")
        waits.append(caught.value.wait_s)
        clock.now += 0.5

    assert waits == [6, 6, 5, 5, 4, 4, 3, 3, 2]


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS_KEPT_MAX", 2)
    buckets = Buckets("session", 1.0, Clock())
    for key in ("a", "b", "a", "c"):
        taken(buckets, key)

    assert len(buckets) == 2
    assert [taken(buckets, key) for key in ("a", "c", "b")] == [0, 0, BURST]


async def test_a_session_that_asks_too_often_must_wait_and_another_need_not() -> None:
    clock = Clock()
    async with served(clock=clock, requests_per_second_session=1) as it:
        first = [await it.http.get(ME, headers=it.headers("ana")) for _ in range(BURST)]
        refused = await it.http.get(ME, headers=it.headers("ana"))

        assert {answer.status_code for answer in first} == {200}
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["RateLimit"] == '"session";r=0;t=1'
        assert (await it.http.get(ME, headers=it.headers("bob"))).status_code == 200
        clock.now += 1
        assert (await it.http.get(ME, headers=it.headers("ana"))).status_code == 200


async def test_an_address_that_asks_too_often_must_wait_whoever_it_says_it_is() -> None:
    async with served(
        clock=Clock(), requests_per_second_address=1, trusted_proxies="127.0.0.1"
    ) as it:
        here, there = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
        for _ in range(BURST):
            assert (await it.http.get(ME, headers=here)).status_code == 401

        refused = await it.http.get(ME, headers={**here, **it.headers("ana")})

        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["RateLimit"] == '"address";r=0;t=1'
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        assert (await it.http.get(ME, headers=there)).status_code == 401
        assert (await it.http.get("/livez", headers=here)).status_code == 200
