"""Second factors in tests: enrolling, codes, and signing in with them."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pyotp

from gateway.limits import TOTP_STEP_S
from gateway.tokens import TokenKeys
from tests.gateway.asking import API
from tests.gateway.serving import PASSWORD, Served, new_keys, served
from tests.gateway.world import World

OWN: Final = "/auth/second-factor"


class WallClock:
    """The time that codes are of; it stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def step_on(self, steps: int = 1) -> None:
        """Let time steps pass."""
        self.now += steps * TOTP_STEP_S


@dataclass
class Authenticator:
    """Somebody's device, with a clock that may be off by some steps."""

    secret: str
    clock: WallClock

    def code(self, steps: int = 0) -> str:
        """What it shows now, or so many time steps away."""
        now = math.floor(self.clock.now / TOTP_STEP_S)
        return pyotp.TOTP(self.secret).generate_otp(now + steps)

    def wrong(self) -> str:
        """A code of no step that could count."""
        near = {self.code(steps) for steps in range(-3, 4)}
        return next(text for n in range(8) if (text := f"{n:06}") not in near)


@dataclass
class Person:
    """Somebody with the tokens of a session, at one gateway."""

    it: Served
    tokens: dict[str, Any]

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """A request of his."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"}
        return await self.it.http.request(
            method, f"{API}{path}", json=body, headers=headers | more.pop("headers", {}), **more
        )

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The answer to a request that must succeed."""
        answer = await self.ask(method, path, body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def enrol(self, clock: WallClock, **more: Any) -> tuple[Authenticator, list[str]]:
        """Get a second factor; the device and the recovery codes."""
        begun = await self.call("POST", OWN, {"password": PASSWORD, **more})
        device = Authenticator(begun["secret"], clock)
        done = await self.call("POST", f"{OWN}/confirm", {"code": device.code()})
        return device, done["recovery_codes"]

    async def refreshed(self) -> "Person":
        """The same session with the next tokens."""
        body = {"refresh_token": self.tokens["refresh_token"]}
        answer = await self.it.http.post(f"{API}/auth/refresh", json=body)
        assert answer.status_code == 200, answer.text
        return Person(self.it, answer.json())


async def login(
    it: Served, name: str = "ana", password: str = PASSWORD, **more: Any
) -> httpx.Response:
    """Try to sign in."""
    body = {"username": name, "password": password, **more}
    return await it.http.post(f"{API}/auth/login", json=body)


async def answer(it: Served, challenge: str, code: str) -> httpx.Response:
    """Go on with a code."""
    body = {"challenge": challenge, "code": code}
    return await it.http.post(f"{API}/auth/login/second-factor", json=body)


async def sign_in(it: Served, name: str = "ana", **more: Any) -> Person:
    """Somebody who has signed in."""
    found = await login(it, name, **more)
    assert found.status_code == 200, found.text
    return Person(it, found.json())


async def challenged(it: Served, name: str = "ana") -> str:
    """The challenge that somebody's password brings."""
    found = await login(it, name)
    problem = found.json()
    assert (found.status_code, problem["code"]) == (401, "second_factor_required"), problem
    return str(problem["challenge"])


@asynccontextmanager
async def two_gateways(
    world: World, clock: WallClock, keys: TokenKeys | None = None, **settings: Any
) -> AsyncIterator[tuple[Served, Served]]:
    """Two gateways of one deployment."""
    keys = keys or new_keys()
    async with (
        served(world, wall_clock=clock, keys=keys, **settings) as one,
        served(world, wall_clock=clock, keys=keys, **settings) as other,
    ):
        yield one, other
