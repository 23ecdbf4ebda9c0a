"""A tenant whose people sign in at a provider that is staged for the test."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from actors.protocol.fetching import Fetch
from connectors.fetching import Fetcher
from tests.gateway.oidc.browsing import API, Browser
from tests.gateway.oidc.stage import StagedProvider, staged
from tests.gateway.serving import Served, peopled, served

PUBLIC_URL = "http://127.0.0.1:65000"
"""Where browsers are told to come back to; the tests bring them to the gateway themselves."""
FETCH_S = 2.0


class Clock:
    """Seconds that go on when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Place:
    """A gateway, a provider, and a clock for what is remembered of it."""

    it: Served
    provider: StagedProvider
    clock: Clock
    fetch: Fetch

    def browser(self, tenant: str = "acme") -> Browser:
        """A browser that has never been here."""
        return Browser(self.it.http, tenant)

    async def install(self, tenant: str = "acme", **changes: Any) -> None:
        """Have a tenant's people sign in at the provider."""
        answer = await self.it.http.put(
            f"{API}/tenants/current/identity-provider",
            headers=self.it.headers("tom", tenant),
            json=self.provider.settings(**changes),
        )
        assert answer.status_code == 200, answer.text

    async def signed_in(self, browser: Browser | None = None) -> dict[str, Any]:
        """The tokens of somebody who signs in, all the way."""
        browser = browser or self.browser()
        started = await browser.start()
        assert started.status_code == 302, started.text
        ended = await browser.come_back(self.provider.authorize(started.headers["location"]))
        assert ended.status_code == 302, ended.text
        answer = await browser.fetch(ended.headers["location"])
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def me(self, tokens: dict[str, Any]) -> dict[str, Any]:
        """Who somebody is."""
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        answer = await self.it.http.get(f"{API}/auth/me", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """Two tenants; acme's people sign in at the provider."""
    clock = Clock()
    fetcher = Fetcher(loopback=True, total_s=FETCH_S)
    options: dict[str, Any] = {"public_url": PUBLIC_URL, "identity_provider_loopback": True}
    async with (
        staged() as provider,
        served(peopled("acme", "globex"), clock=clock, fetch=fetcher.fetch, **options) as it,
    ):
        made = Place(it, provider, clock, fetcher.fetch)
        await made.install()
        yield made
