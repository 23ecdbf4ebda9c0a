"""Browsers that sign in at a provider, and the clients that have sent them there."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

from gateway.oidc.flow import challenge_of

API = "/api/v1"


@dataclass
class Browser:
    """A browser with cookies of its own, and a client of ours in it."""

    http: httpx.AsyncClient
    tenant: str = "acme"
    cookies: dict[str, str] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def path(self) -> str:
        """Where the routes of its tenant are."""
        return f"{API}/auth/oidc/{self.tenant}"

    async def start(self, **parameters: str) -> httpx.Response:
        """Begin to sign in."""
        given = {"challenge": challenge_of(self.verifier), **parameters}
        answer = await self.http.get(f"{self.path}/start", params=given)
        self._keep(answer)
        return answer

    async def come_back(self, location: str) -> httpx.Response:
        """Follow the provider's redirection to us, at whichever gateway this browser is."""
        _, _, query = location.partition("?")
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.http.get(f"{self.path}/callback?{query}", headers={"Cookie": cookie})
        self._keep(answer)
        return answer

    async def fetch(self, location: str, **changes: Any) -> httpx.Response:
        """Exchange the ticket in the URL that the browser ended at."""
        _, _, code = location.partition("#sign_in=")
        body = {"code": code, "verifier": self.verifier, **changes}
        return await self.http.post(f"{self.path}/session", json=body)

    def _keep(self, answer: httpx.Response) -> None:
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        self.http.cookies.clear()


def told(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["code"]
