"""Runs connectors side by side: one that fails is started again later, and stops nobody else."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

log = structlog.get_logger(__name__)

RESTART_WAIT_MIN_S: Final = 1.0
RESTART_WAIT_MAX_S: Final = 60.0

Connector = Callable[[], Awaitable[None]]
"""Runs until it has nothing more to do; any error means: again, later."""


async def run_connectors(connectors: Mapping[str, Connector], stop: asyncio.Event) -> None:
    """Run all of them until `stop` is set."""
    tasks = [
        asyncio.create_task(_keep_running(name, connector), name=name)
        for name, connector in connectors.items()
    ]
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_running(name: str, connector: Connector) -> None:
    wait_s = RESTART_WAIT_MIN_S
    while True:
        try:
            await connector()
        except Exception as error:  # whatever one vendor does must not reach the others
            log.warning("connector.failed", connector=name, error=repr(error), again_in_s=wait_s)
        else:
            return
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
        wait_s = min(RESTART_WAIT_MAX_S, wait_s * 2)
