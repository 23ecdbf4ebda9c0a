"""Tasks that belong to the gateway, not to one request or socket."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Self

import structlog

CANCEL_AGAIN_S: Final = 0.5

log = structlog.get_logger(__name__)


class Background:
    """Owns such tasks: entered when the gateway starts, left when it stops."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        group, self._group = self._group, None
        pending = set(self._tasks)
        while pending:
            # Again after a while: `asyncio.wait_for` of Python 3.11 forgets a cancellation that comes with
            # the answer it waits for (python/cpython#86296), and nats-py waits with it.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        if group is not None:
            # Told of the error, the group would wrap it; its tasks are cancelled already.
            await group.__aexit__(None, None, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`; what it raises is logged.

        Raises:
            RuntimeError: the gateway does not run.
        """
        if self._group is None:
            work.close()
            raise RuntimeError("the gateway is not running")
        task = self._group.create_task(_guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("background.failed")
