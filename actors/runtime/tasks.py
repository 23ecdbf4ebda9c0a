"""Ending tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

CANCEL_AGAIN_S: Final = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and return when all are done.

    Once is not enough: `asyncio.wait_for` of Python 3.11 forgets a cancellation that comes with the
    answer it waits for (python/cpython#86296), and nats-py waits with it wherever it asks the server
    something. Such a task goes on as if nobody had asked it to end.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
