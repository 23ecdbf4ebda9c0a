"""Keeping up with rotations of the keys that sign tokens."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.limits import KEYS_POLL_S
from gateway.tokens import TokenKeys, Tokens

log = structlog.get_logger(__name__)

ReadKeys = Callable[[], Awaitable[TokenKeys]]
"""Reads the keys as they are now."""


async def follow_keys(tokens: Tokens, read: ReadKeys, every_s: float = KEYS_POLL_S) -> None:
    """Have `tokens` use the keys that `read` gives, for ever; a look that fails is tried again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            tokens.use_keys(await read())
        except Exception as error:
            # Retired keys end by the clock all the same. The text may name hosts; its kind will do.
            log.warning("token_keys.unreadable", error=type(error).__name__)
