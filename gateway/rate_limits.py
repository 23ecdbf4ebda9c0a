"""How many REST requests a session and an address may make: token buckets of this gateway.

A bucket holds `BURST_S` seconds' worth of requests and is filled again at the permitted rate.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import problem
from gateway.limits import BUCKETS_KEPT_MAX, BURST_S
from gateway.lockout import address_key
from gateway.too_soon import TooSoon

API: Final = "/api/"


class Buckets:
    """Buckets by key; beyond `BUCKETS_KEPT_MAX` the longest unused is forgotten, and full again.

    `name` is what clients are told of the limit; `per_second` are requests; `burst` is the size of a
    bucket where it is another than `BURST_S` seconds' worth.
    """

    def __init__(
        self,
        name: str,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        burst: float | None = None,
    ) -> None:
        self._name = name
        self._per_second = per_second
        self._size = max(1.0, per_second * BURST_S if burst is None else burst)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def take(self, key: str) -> None:
        """Take one request out of a bucket.

        Raises:
            TooSoon: it is empty.
        """
        now = self._clock()
        left, at = self._left.pop(key, (self._size, now))
        left = min(self._size, left + (now - at) * self._per_second)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        while len(self._left) > BUCKETS_KEPT_MAX:
            self._left.popitem(last=False)
        if not allowed:
            wait_s = (1 - left) / self._per_second
            raise TooSoon(f"too many requests of one {self._name}", wait_s, f'"{self._name}"')


class AddressLimit:
    """Refuses requests to the API of an address that makes too many, before anything is read."""

    def __init__(self, app: ASGIApp, buckets: Buckets) -> None:
        self._app = app
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "http" and scope["path"].startswith(API):
            client = scope.get("client")
            try:
                self._buckets.take(address_key(client[0] if client else ""))
            except TooSoon as refused:
                answer = problem(refused.code, refused.detail).response(refused.headers)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)
