"""One server process: it starts, is watched, stops, and never outlives its parent."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from deploy.local import process as process_module
from deploy.local import tether
from deploy.local.errors import (
    CRASH_LOG_LINES,
    ServerCrashed,
    ServerNotReady,
    ServerStillRunning,
)
from deploy.local.process import (
    EPHEMERAL_PORT_FLOOR,
    LOG_FILE_BYTES_KEPT,
    LOG_LINE_CHARS,
    LOG_TAIL_LINES,
    LOOPBACK,
    Launch,
    ServerProcess,
    free_port,
    polled,
    port_is_free,
)

STOP_S = 5.0
SLEEP_FOREVER = "exec sleep 1000"


def _advise(status: int, lines: Sequence[str]) -> str:
    return f"Advice for status {status} after {len(lines)} lines."


def _launch(directory: Path, script: str) -> Launch:
    shell = shutil.which("sh")
    assert shell is not None
    return Launch("server", (shell, "-c", script), directory, _advise)


@contextlib.asynccontextmanager
async def _running(directory: Path, script: str) -> AsyncIterator[ServerProcess]:
    server = await ServerProcess.start(_launch(directory, script))
    try:
        yield server
    finally:
        server.kill()
        await server.wait()


async def _says(server: ServerProcess, text: bytes) -> None:
    async def said() -> bool | None:
        return True if text in server.log() else None

    await server.until(polled(said), STOP_S)


async def _never() -> None:
    await asyncio.Event().wait()


async def test_a_server_leads_a_process_group_of_its_own(tmp_path: Path) -> None:
    async with _running(tmp_path, SLEEP_FOREVER) as server:
        assert os.getpgid(server.pid) == server.pid
        assert os.getsid(server.pid) == server.pid
        assert server.returncode is None


async def test_a_server_sees_nothing_of_our_environment_but_the_named_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROOM_ROOT_KEY", "very-secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    async with _running(tmp_path, f"env; echo done; {SLEEP_FOREVER}") as server:
        await _says(server, b"done")
        assert b"LANG=C.UTF-8" in server.log()
        assert b"very-secret" not in server.log()


async def test_a_crash_before_readiness_carries_the_last_lines_and_the_advice(
    tmp_path: Path,
) -> None:
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; done; exit 3"
    server = await ServerProcess.start(_launch(tmp_path, script))
    with pytest.raises(ServerCrashed) as crash:
        await server.until(_never(), STOP_S)
    assert crash.value.status == server.returncode == 3
    assert crash.value.log == tuple(f"line {i}" for i in range(281, 301))
    assert len(crash.value.log) == CRASH_LOG_LINES
    assert "Advice for status 3 after 200 lines." in str(crash.value)
    assert "line 300" in str(crash.value)


async def test_a_server_that_is_not_ready_in_time_is_reported_with_its_log(tmp_path: Path) -> None:
    async with _running(tmp_path, f"echo still thinking; {SLEEP_FOREVER}") as server:
        await _says(server, b"thinking")
        with pytest.raises(ServerNotReady, match="still thinking"):
            await server.until(_never(), 0.05)
        assert server.returncode is None


async def test_what_readiness_raises_reaches_the_caller(tmp_path: Path) -> None:
    async def refused() -> None:
        raise ValueError("no")

    async with _running(tmp_path, SLEEP_FOREVER) as server:
        with pytest.raises(ValueError, match="no"):
            await server.until(refused(), STOP_S)


async def test_watch_returns_after_a_stop(tmp_path: Path) -> None:
    async with _running(tmp_path, SLEEP_FOREVER) as server:
        watching = asyncio.ensure_future(server.watch())
        assert await server.stop(STOP_S) == -signal.SIGTERM
        await asyncio.wait_for(watching, STOP_S)


async def test_watch_reports_an_end_that_nobody_asked_for(tmp_path: Path) -> None:
    async with _running(tmp_path, f"echo working; {SLEEP_FOREVER}") as server:
        await _says(server, b"working")
        server.kill(signal.SIGSEGV)
        with pytest.raises(ServerCrashed, match="SIGSEGV while it was in use") as crash:
            await asyncio.wait_for(server.watch(), STOP_S)
        assert crash.value.log == ("working",)


async def test_stop_forces_a_server_that_does_not_listen(tmp_path: Path) -> None:
    async with _running(tmp_path, "trap '' TERM; echo deaf; while :; do sleep 1; done") as server:
        await _says(server, b"deaf")
        assert await server.stop(0.05) == -signal.SIGKILL


async def test_signals_after_the_end_do_nothing(tmp_path: Path) -> None:
    server = await ServerProcess.start(_launch(tmp_path, "exit 0"))
    assert await server.wait() == 0
    server.kill()
    assert await server.stop(STOP_S) == 0


async def test_the_tail_holds_this_runs_lines_only_and_cuts_long_ones(tmp_path: Path) -> None:
    first = await ServerProcess.start(_launch(tmp_path, "echo of the first run"))
    await first.wait()
    long = "x" * (LOG_LINE_CHARS + 1)
    script = f"i=0; while [ $i -lt 250 ]; do i=$((i+1)); echo $i; done; echo; echo {long}"
    second = await ServerProcess.start(_launch(tmp_path, script))
    await second.wait()
    lines = second.last_lines()
    assert len(lines) == LOG_TAIL_LINES
    assert lines[-2:] == ("250", "x" * LOG_LINE_CHARS)
    assert (tmp_path / "server.log").read_text().startswith("of the first run\n")


async def test_a_log_that_has_grown_large_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_bytes(b"x" * (LOG_FILE_BYTES_KEPT + 1))
    server = await ServerProcess.start(_launch(tmp_path, "echo new"))
    await server.wait()
    assert (tmp_path / "server.log").read_bytes() == b"new\n"


async def test_a_log_is_for_our_eyes_only(tmp_path: Path) -> None:
    server = await ServerProcess.start(_launch(tmp_path, "echo new"))
    await server.wait()
    assert (tmp_path / "server.log").stat().st_mode & 0o777 == 0o600


async def test_a_start_waits_until_the_earlier_server_has_ended(tmp_path: Path) -> None:
    async with _running(tmp_path, SLEEP_FOREVER) as first:
        second_starting = asyncio.ensure_future(
            ServerProcess.start(_launch(tmp_path, SLEEP_FOREVER))
        )
        done, _ = await asyncio.wait({second_starting}, timeout=0.1)
        assert not done
        first.kill()
        second = await asyncio.wait_for(second_starting, STOP_S)
        assert first.returncode == -signal.SIGKILL or await first.wait() == -signal.SIGKILL
        await second.stop(STOP_S)


async def test_a_server_that_will_not_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "PREDECESSOR_TIMEOUT_S", 0.05)
    async with _running(tmp_path, SLEEP_FOREVER):
        with pytest.raises(ServerStillRunning, match="still runs"):
            await ServerProcess.start(_launch(tmp_path, SLEEP_FOREVER))


async def test_a_program_that_is_not_there_is_a_crash_that_says_so(tmp_path: Path) -> None:
    launch = Launch("server", (str(tmp_path / "absent"),), tmp_path, _advise)
    server = await ServerProcess.start(launch)
    with pytest.raises(ServerCrashed, match=r"cannot run .*absent: No such file"):
        await server.until(_never(), STOP_S)


def test_a_server_whose_parent_is_already_gone_does_not_start(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    command = [sys.executable, str(tether.__file__), "1", "/usr/bin/touch", str(mark)]
    ended = subprocess.run(command, check=False)
    assert ended.returncode == tether.CANNOT_RUN
    assert not mark.exists()


def test_a_free_port_is_below_those_of_outgoing_connections() -> None:
    assert free_port() < EPHEMERAL_PORT_FLOOR


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)


def test_connections_that_linger_do_not_make_a_port_taken() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((LOOPBACK, port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the side that closes first keeps the connection in TIME_WAIT
            assert client.recv(1) == b""
    assert port_is_free(port)
