"""The controller of one server process: start, ready, watch, stop.

The server writes its log to a file, not into a pipe: a busy parent can't block it. The log file is
also what says "still alive": it is locked with flock through the very descriptor that the server
inherits, so the kernel drops the lock when the server is gone, however it went.
"""

import asyncio
import fcntl
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from deploy.local import tether
from deploy.local.errors import (
    CRASH_LOG_LINES,
    PortTaken,
    ServerCrashed,
    ServerNotReady,
    ServerStillRunning,
)

LOOPBACK: Final = "127.0.0.1"
POLL_S: Final = 0.02
LOG_TAIL_LINES: Final = 200
LOG_LINE_CHARS: Final = 500
LOG_TAIL_BYTES: Final = 256 * 1024
LOG_FILE_BYTES_KEPT: Final = 8 * 1024 * 1024
"""A log longer than this starts anew with the next start of its server."""
PREDECESSOR_TIMEOUT_S: Final = 10.0
"""How long a start waits for the directory's earlier server; it may just have been killed."""
LOWEST_PORT: Final = 10_000
EPHEMERAL_PORT_FLOOR: Final = 32_768
"""Default of ip_local_port_range on Linux. A client that keeps trying a closed port from that range
can meet itself (TCP simultaneous open) and so take it from a server about to come back."""
PORT_ATTEMPTS: Final = 20
INHERITED_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
"""All that a server gets to see of our environment, which may hold keys."""

T = TypeVar("T")
Explain = Callable[[int, Sequence[str]], str]
"""(exit status, last log lines) -> what the user should do."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start: a name for messages, the command line, and the working directory.

    The log is `<directory>/<name>.log`.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    explain: Explain
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What it gets to see besides `INHERITED_ENVIRONMENT`; may hold keys."""

    @property
    def log(self) -> Path:
        """Where the server's log goes."""
        return self.directory / f"{self.name}.log"


def server_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment a server may see."""
    return {name: environment[name] for name in INHERITED_ENVIRONMENT if name in environment}


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on now, below the range of outgoing connections.

    Raises:
        PortTaken: none of many tried was free.
    """
    for _ in range(PORT_ATTEMPTS):
        port = random.randrange(LOWEST_PORT, EPHEMERAL_PORT_FLOOR)  # noqa: S311 - not a secret
        if port_is_free(port):
            return port
    raise PortTaken(
        f"no free port between {LOWEST_PORT} and {EPHEMERAL_PORT_FLOOR}", "Stop what listens there."
    )


async def polled(ask: Callable[[], Awaitable[T | None]]) -> T:
    """The first answer that is not None; asks every `POLL_S` seconds, for ever."""
    while (answer := await ask()) is None:  # noqa: ASYNC110 - another process gives no event
        await asyncio.sleep(POLL_S)
    return answer


class ServerProcess:
    """One child server. Made by `start`, in a session and process group of its own.

    The kernel kills the server (Linux) when the thread that started it ends: start servers from a
    thread that lives as long as they shall.
    """

    def __init__(
        self, launch: Launch, process: asyncio.subprocess.Process, log_starts_at: int
    ) -> None:
        self._launch = launch
        self._process = process
        self._log_starts_at = log_starts_at
        self._stopping = False

    @classmethod
    async def start(cls, launch: Launch) -> Self:
        """Start the server; returns as soon as it has a process, long before it is ready.

        Raises:
            ServerStillRunning: the server that last ran in the directory does not end.
        """
        log = await _claim_log(launch)
        try:
            log_starts_at = os.fstat(log).st_size
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid())),
                *launch.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                cwd=launch.directory,
                env={**server_environment(os.environ), **launch.environment},
                start_new_session=True,
            )
        finally:
            os.close(log)
        return cls(launch, process, log_starts_at)

    @property
    def pid(self) -> int:
        """The process id; also that of its group."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; then its exit status, or minus the number of the signal."""
        return self._process.returncode

    def log(self) -> bytes:
        """What this run has logged; at most the last `LOG_TAIL_BYTES`."""
        with self._launch.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_starts_at, size - LOG_TAIL_BYTES))
            return file.read()

    def last_lines(self, count: int = LOG_TAIL_LINES) -> tuple[str, ...]:
        """The last lines that this run has logged, oldest first, long ones cut."""
        lines = self.log().decode("utf-8", "replace").splitlines()
        return tuple(line[:LOG_LINE_CHARS] for line in lines if line.strip())[-count:]

    async def until(self, ready: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """The result of `ready`, unless the server ends or the time is over first.

        Raises:
            ServerCrashed: it ended.
            ServerNotReady: it runs, but `ready` took longer than `timeout_s` seconds.
        """
        becoming = asyncio.ensure_future(ready)
        ending = asyncio.ensure_future(self._process.wait())
        try:
            done, _ = await asyncio.wait(
                {becoming, ending}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                raise self._crash(ending.result(), "before it was ready")
            if becoming in done:
                return becoming.result()
        finally:
            becoming.cancel()
            ending.cancel()
            await asyncio.gather(becoming, ending, return_exceptions=True)
        raise ServerNotReady(
            f"{self._launch.name} did not become ready within {timeout_s:g} s",
            f"See {self._launch.log}; on a very slow disk try once more.",
            self.last_lines(CRASH_LOG_LINES),
        )

    async def wait(self) -> int:
        """The exit status, once the server has ended for whatever reason."""
        return await self._process.wait()

    async def watch(self) -> None:
        """Return when the server has ended after `stop`.

        Raises:
            ServerCrashed: it ended without `stop`.
        """
        status = await self._process.wait()
        if not self._stopping:
            raise self._crash(status, "while it was in use")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the server's process group; nothing happens when it has ended.

        After SIGKILL, `watch` reports a crash: this is for tests of faults, `stop` for the rest.
        """
        if self._process.returncode is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    async def stop(self, timeout_s: float) -> int:
        """Ask the server to end, force it after `timeout_s` seconds; returns its exit status."""
        self._stopping = True
        self.kill(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._process.wait()
        except TimeoutError:
            self.kill(signal.SIGKILL)
            return await self._process.wait()

    def _crash(self, status: int, when: str) -> ServerCrashed:
        ended = (
            f"was ended by {signal.Signals(-status).name}"
            if status < 0
            else f"ended with status {status}"
        )
        lines = self.last_lines()
        return ServerCrashed(
            f"{self._launch.name} {ended} {when}",
            self._launch.explain(status, lines),
            lines,
            status=status,
        )


async def _claim_log(launch: Launch) -> int:
    """A descriptor of the log file, locked; whoever inherits it holds the lock as long as it lives."""
    log = os.open(launch.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(PREDECESSOR_TIMEOUT_S):
            await polled(partial(_locked, log))
    except TimeoutError:
        os.close(log)
        raise ServerStillRunning(
            f"the {launch.name} that was started before in {launch.directory} still runs",
            "End that process, then try again.",
        ) from None
    except BaseException:
        os.close(log)
        raise
    if os.fstat(log).st_size > LOG_FILE_BYTES_KEPT:
        os.ftruncate(log, 0)
    return log


async def _locked(descriptor: int) -> Literal[True] | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return True
