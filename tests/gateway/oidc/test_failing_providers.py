"""Providers that fail let nobody in, and are not waited for."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from structlog.typing import EventDict

from tests.gateway.oidc.browsing import told
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.refusals import AWAY, come_back, users
from tests.gateway.oidc.stage import CLIENT, HERE, Spoil

REDIRECT = b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
HUGE = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n" + b'{"a":"' + b"x" * 300_000
PACKED = b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"
GARBAGE = b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n<html></>"
BROKEN = b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"
DEEP = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n" + b'{"a":' + b"[" * 20_000
PATHS = ("/.well-known/openid-configuration", "/token", "/jwks")


@pytest.mark.parametrize("answer", [REDIRECT, HUGE, PACKED, GARBAGE, BROKEN, DEEP])
@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_that_is_none_is_503_and_lets_nobody_in(
    place: Place, path: str, answer: bytes
) -> None:
    place.provider.raw[path] = answer
    browser = place.browser()
    told_at = await browser.start()
    if told_at.status_code == 302:
        told_at = await browser.come_back(place.provider.authorize(told_at.headers["location"]))
    assert told(told_at) == AWAY
    assert "try again" in told_at.json()["detail"]
    assert users(place) == {}
    # Once it is well again, so is signing in.
    place.provider.raw.clear()
    place.clock.now_s += 4
    await place.signed_in()


@pytest.mark.paced
@pytest.mark.parametrize("path", PATHS)
async def test_a_provider_that_drips_is_not_waited_for(place: Place, path: str) -> None:
    place.provider.silent.add(path)
    browser = place.browser()
    answer = await browser.start()
    if answer.status_code == 302:
        answer = await browser.come_back(place.provider.authorize(answer.headers["location"]))
    assert told(answer) == AWAY


async def test_a_provider_that_is_down_is_503_and_is_not_asked_all_the_time(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.raw["/.well-known/openid-configuration"] = BROKEN
    for _ in range(5):
        assert told(await place.browser().start()) == AWAY
    assert len(place.provider.asked) == 1
    troubles = [event["trouble"] for event in logged if event["event"] == "oidc.unavailable"]
    assert troubles == ["provider_bad_answer"] * 5


async def test_a_client_that_the_provider_refuses_is_the_administrators_trouble(
    place: Place, logged: list[EventDict]
) -> None:
    await place.install(client_secret="another")
    assert await come_back(place) == AWAY
    troubles = [event["trouble"] for event in logged if event["event"] == "oidc.unavailable"]
    assert troubles == ["provider_client_refused"]
    assert all("another" not in str(event) for event in logged)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said.update(issuer="https://other.example"),
        lambda said: said.update(issuer=said["issuer"] + "/"),
        lambda said: said.pop("token_endpoint"),
        lambda said: said.update(token_endpoint="http://token.example/token"),
        lambda said: said.update(jwks_uri="file:///etc/passwd"),
        lambda said: said.update(authorization_endpoint="javascript:alert(1)"),
        lambda said: said.update(token_endpoint="https://user:pw@token.example/"),
        lambda said: said.update(authorization_endpoint=["https://a.example"]),
    ],
)
async def test_a_description_of_another_provider_or_with_no_https_is_not_used(
    place: Place, spoil: Spoil
) -> None:
    place.provider.spoil_discovery = spoil
    assert told(await place.browser().start()) == AWAY


async def test_endpoints_on_forbidden_addresses_are_not_asked(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.spoil_discovery = lambda said: said.update(
        token_endpoint="https://169.254.169.254/token"
    )
    assert await come_back(place) == AWAY
    troubles = [event["trouble"] for event in logged if event["event"] == "oidc.unavailable"]
    assert troubles == ["provider_address_refused"]


async def test_the_authorization_endpoints_own_parameters_stay(place: Place) -> None:
    place.provider.spoil_discovery = lambda said: said.update(
        authorization_endpoint=f"http://{HERE}:{place.provider.port}/authorize?policy=strict"
    )
    started = await place.browser().start()
    asked = dict(parse_qsl(urlsplit(started.headers["location"]).query))
    assert (asked["policy"], asked["client_id"]) == ("strict", CLIENT)
