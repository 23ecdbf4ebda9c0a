"""Gateways that tell one another of failed sign-ins."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.typing import EventDict

from gateway.limits import LOGIN_FAILURES_ACCOUNT
from tests.gateway.serving import PASSWORD, Served, new_keys, peopled, served
from tests.gateway.test_lockout import Clock
from tests.gateway.test_sign_in_guard import failures, login
from tests.gateway.world import World, eventually

FREE = LOGIN_FAILURES_ACCOUNT


@asynccontextmanager
async def _two(world: World, clock: Clock, **settings: Any) -> AsyncIterator[tuple[Served, Served]]:
    """Two gateways over one world."""
    keys = new_keys()
    async with (
        served(world, clock=clock, keys=keys, **settings) as first,
        served(world, clock=clock, keys=keys, **settings) as second,
    ):
        yield first, second


async def _fail(it: Served, name: str, times: int, address: str = "") -> None:
    """Fail so often, and wait until the other gateway knows."""
    told = len(it.world.told) + times
    for _ in range(times):
        assert (await login(it, name, address=address)).status_code == 401
    await eventually(lambda: len(it.world.told) == told)


async def test_failures_at_one_gateway_count_at_the_other() -> None:
    world = peopled("acme")
    async with _two(world, Clock()) as (first, second):
        await _fail(first, "ana@acme", FREE - 2)
        await _fail(second, "ANA@acme", 2)
        for it in (first, second):
            assert (await login(it, "ana@acme", PASSWORD)).status_code == 429
            assert (await login(it, "bob@acme", PASSWORD)).status_code == 200
    assert not any(b"ana" in body.replace(b"usr_ana", b"").lower() for body in world.told)


async def test_one_failure_is_counted_once_by_everybody() -> None:
    clock = Clock()
    async with _two(peopled("acme"), clock) as (first, second):
        await _fail(first, "ana@acme", FREE - 1)
        await _fail(second, "ana@acme", 1)
        for it in (first, second):
            # Each failure beyond those that are free would have doubled it.
            assert (await login(it, "ana@acme", PASSWORD)).headers["Retry-After"] == "1"


async def test_who_signs_in_at_one_gateway_is_forgiven_at_the_other() -> None:
    world = peopled("acme")
    async with _two(world, Clock()) as (first, second):
        await _fail(first, "ana@acme", FREE - 1)
        assert (await login(second, "ana@acme", PASSWORD)).status_code == 200
        await eventually(lambda: len(world.told) == FREE)
        await _fail(first, "ana@acme", FREE - 1)
        assert (await login(first, "ana@acme", PASSWORD)).status_code == 200


async def test_a_sign_in_of_somebody_who_has_failed_at_nothing_is_told_to_nobody() -> None:
    world = peopled("acme")
    async with _two(world, Clock()) as (first, _):
        assert (await login(first, "ana@acme", PASSWORD)).status_code == 200
        await _fail(first, "bob@acme", 1)
        assert len(world.told) == 1


async def test_an_address_that_has_failed_elsewhere_must_wait_here() -> None:
    limits = {"login_failures_address": 3, "trusted_proxies": "127.0.0.1"}
    async with _two(peopled("acme"), Clock(), **limits) as (first, second):
        for name in ("a", "b", "c"):
            await _fail(first, name, 1, "192.0.2.7")
        assert (await login(second, "ana", PASSWORD, "192.0.2.7")).status_code == 429
        assert (await login(second, "ana", PASSWORD, "192.0.2.8")).status_code == 200


async def test_who_is_meant_by_a_locked_name_is_known_at_the_other_gateway_too() -> None:
    world = peopled("acme")
    async with _two(world, Clock()) as (first, second):
        await _fail(first, "ana@acme", FREE)
        assert (await login(second, "ana@acme")).status_code == 429
        await eventually(lambda: len(failures(world)) == 2)
        assert [one["user"] for one in failures(world)] == ["usr_ana", "usr_ana"]
        assert failures(world)[1]["reason"] == "locked"


async def test_without_the_bus_a_gateway_counts_for_itself() -> None:
    world = peopled("acme")
    world.deaf = True
    async with _two(world, Clock()) as (first, second):
        for _ in range(FREE):
            assert (await login(first, "ana@acme")).status_code == 401
        assert (await login(first, "ana@acme", PASSWORD)).status_code == 429
        assert (await login(second, "ana@acme", PASSWORD)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"by":"x","name":"ana","address":""}',
        b'{"by":"x","name":"' + b"0" * 64 + b'","address":"","users":[["a.b","c"]]}',
    ],
)
async def test_what_is_no_news_changes_nothing(body: bytes, logged: list[EventDict]) -> None:
    world = peopled("acme")
    async with _two(world, Clock()) as (first, _):
        await world.actors.tell_gateways(body)
        assert [one["event"] for one in logged].count("lockout.news_unreadable") == 2
        assert (await login(first, "ana@acme", PASSWORD)).status_code == 200
