"""The embedded nats-server: a given configuration, on loopback, restartable on its port and data."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self

from deploy.local.errors import LocalError, PortTaken, ServerCrashed
from deploy.local.process import (
    LOOPBACK,
    PORT_ATTEMPTS,
    Launch,
    ServerProcess,
    free_port,
    polled,
)

READY_TIMEOUT_S: Final = 30.0
"""A large JetStream store is read again before the server calls itself healthy."""
STOP_TIMEOUT_S: Final = 5.0
PROBE_TIMEOUT_S: Final = 1.0
HEALTHY: Final = b"200"
CONFIG_FILE: Final = "nats.conf"
GIVEN_CONFIG_FILE: Final = "given.conf"
STORE: Final = "jetstream"
PORTS: Final = "ports"
"""Here the server says which ports it has got, in a file named for its pid: an answer that no other
server on the same port could have given."""


class NatsServer:
    """One nats-server over one directory.

    `config` is all of the server's configuration but what this class adds: where it listens, its
    monitoring port, its pid file, its store directory. Relative paths in it are inside `directory`.
    `port` 0 means a free one; it is kept for every later start of this object.
    """

    def __init__(self, binary: Path, directory: Path, config: str, *, port: int = 0) -> None:
        self._binary = binary
        self._directory = directory
        self._config = config
        self._given_port = port
        self._port = port
        self._monitoring_port = 0
        self._process: ServerProcess | None = None

    def __repr__(self) -> str:
        return f"NatsServer({str(self._directory)!r}, port={self._port})"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def process(self) -> ServerProcess:
        """The process of the last start: pid, returncode, kill, wait, watch, last_lines."""
        if self._process is None:
            raise RuntimeError("nats-server was not started")
        return self._process

    @property
    def running(self) -> bool:
        """Whether there is something to stop."""
        return self._process is not None and self._process.returncode is None

    @property
    def port(self) -> int:
        """Where clients connect; 0 before the first start if none was given."""
        return self._port

    @property
    def url(self) -> str:
        """For clients."""
        return f"nats://{LOOPBACK}:{self._port}"

    @property
    def monitoring_url(self) -> str:
        """Of the HTTP monitoring endpoints; another one after each start."""
        return f"http://{LOOPBACK}:{self._monitoring_port}"

    async def start(self) -> None:
        """Start and wait until the server says that it is healthy. Again after its end: same port.

        Raises:
            PortTaken: the given port is in use, or so was every free one that was tried.
            ServerCrashed, ServerNotReady: see there; nothing is left running.
        """
        for _ in range(PORT_ATTEMPTS):
            chosen = self._port == 0
            self._port = self._port or free_port()
            try:
                return await self._start_on_port()
            except ServerCrashed as crash:
                if not _port_was_taken(crash):
                    raise
                if chosen:
                    self._port = 0
                else:
                    break
        raise PortTaken(
            f"port {self._port} of {LOOPBACK} is in use",
            "Stop what listens there, or give another port.",
        )

    async def stop(self) -> int:
        """End the server in order; returns its exit status."""
        return await self.process.stop(STOP_TIMEOUT_S)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, as a test of faults does. SIGHUP makes it read its configuration again."""
        self.process.kill(number)

    async def _start_on_port(self) -> None:
        self._write_config()
        self._process = await ServerProcess.start(
            Launch(
                "nats-server",
                (str(self._binary), "--config", CONFIG_FILE, "--store_dir", STORE),
                self._directory,
                _explain,
            )
        )
        try:
            await self._process.until(self._healthy(self._process.pid), READY_TIMEOUT_S)
        except BaseException:
            await self._process.stop(0)
            raise

    def _write_config(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        ports = self._directory / PORTS
        ports.mkdir(mode=0o700, exist_ok=True)
        for left_by_a_killed_one in ports.iterdir():
            left_by_a_killed_one.unlink()
        _write_private(self._directory / GIVEN_CONFIG_FILE, self._config)
        _write_private(
            self._directory / CONFIG_FILE,
            f'listen: "{LOOPBACK}:{self._port}"\n'
            f'http: "{LOOPBACK}:-1"\n'
            'pid_file: "nats.pid"\n'
            f'ports_file_dir: "{PORTS}"\n'
            f"include ./{GIVEN_CONFIG_FILE}\n",
        )

    async def _healthy(self, pid: int) -> None:
        """Return when the server of this pid says that it, its accounts and streams are well."""
        self._monitoring_port = await polled(partial(self._announced_port, pid))
        # Asking here first saves two seconds: that is what nats-py waits after a refused connect.
        await polled(partial(_healthy, self._monitoring_port))

    async def _announced_port(self, pid: int) -> int | None:
        announced = self._directory / PORTS / f"{self._binary.name}_{pid}.ports"
        try:
            ports: dict[str, Any] = json.loads(announced.read_text())
        except (FileNotFoundError, json.JSONDecodeError):  # not there, or half written
            return None
        return int(ports["monitoring"][0].rpartition(":")[2])


async def _healthy(monitoring_port: int) -> Literal[True] | None:
    """True when the server answers 200 to /healthz."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(LOOPBACK, monitoring_port)
            try:
                writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return True if HEALTHY in status_line.split() else None


def _write_private(path: Path, text: str) -> None:
    """Write a file that holds keys: readable by us only, from its first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _port_was_taken(crash: LocalError) -> bool:
    return isinstance(crash, ServerCrashed) and any(
        "address already in use" in line for line in crash.log
    )


def _explain(_status: int, lines: Sequence[str]) -> str:
    for line in lines:
        if "[FTL]" in line or line.startswith("nats-server: "):
            return f"It said: {line}"
    return "Start it again; its data is on disk."
