"""Waiting for what another process does: bounded, and never a bare sleep."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deploy.local.process import polled

T = TypeVar("T")

PATIENCE_S = 15.0
"""Longer than anything takes that is going to happen at all."""


async def eventually(ask: Callable[[], Awaitable[T | None]], what: str) -> T:
    """The first answer that is not None.

    Raises:
        AssertionError: there was none for `PATIENCE_S` seconds; names `what`.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await polled(ask)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE_S} s in vain: {what}") from None
