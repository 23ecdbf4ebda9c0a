"""The embedded nats-server, with the real one."""

import socket
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from deploy.local import nats as nats_module
from deploy.local.binaries import NATS_SERVER, find_binary
from deploy.local.errors import PortTaken, ServerCrashed
from deploy.local.nats import NatsServer
from deploy.local.process import LOOPBACK, free_port

JETSTREAM = "jetstream { sync_interval: always }"

pytestmark = pytest.mark.servers


@pytest.fixture
def binary() -> Path:
    return find_binary(NATS_SERVER).path


async def _connect(server: NatsServer) -> Client:
    return await nats.connect(server.url, allow_reconnect=False)


async def test_a_started_server_answers_clients_at_its_url(binary: Path, tmp_path: Path) -> None:
    async with NatsServer(binary, tmp_path / "a b", JETSTREAM) as server:
        client = await _connect(server)
        assert client.connected_url is not None
        assert client.connected_url.port == server.port
        await client.close()


async def test_what_jetstream_acknowledged_is_there_after_a_kill_on_the_same_port(
    binary: Path, tmp_path: Path
) -> None:
    async with NatsServer(binary, tmp_path, JETSTREAM) as server:
        port, first_pid = server.port, server.process.pid
        client = await _connect(server)
        await client.jetstream().add_stream(name="S", subjects=["s"])
        await client.jetstream().publish("s", b"kept")
        await client.close()
        server.kill()
        await server.process.wait()

        await server.start()
        assert server.port == port
        assert server.process.pid != first_pid
        client = await _connect(server)
        assert (await client.jetstream().get_msg("S", seq=1)).data == b"kept"
        await client.close()


async def test_a_stopped_server_ends_in_order(binary: Path, tmp_path: Path) -> None:
    server = NatsServer(binary, tmp_path, JETSTREAM)
    await server.start()
    assert await server.stop() in (0, 1)  # 1 is how nats-server answers SIGTERM
    await server.process.watch()
    assert not server.running
    assert "Server Exiting" in server.process.last_lines()[-1]


async def test_a_bad_configuration_is_a_crash_that_quotes_the_servers_reason(
    binary: Path, tmp_path: Path
) -> None:
    server = NatsServer(binary, tmp_path, "jetstream { sync_interval: sometimes }")
    with pytest.raises(ServerCrashed, match="error parsing sync_interval") as crash:
        await server.start()
    assert server.process.returncode == crash.value.status == 1
    assert "It said: nats-server: given.conf:1" in crash.value.todo


async def test_a_given_port_that_is_in_use_is_named(binary: Path, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        server = NatsServer(binary, tmp_path, JETSTREAM, port=port)
        with pytest.raises(PortTaken, match=f"port {port} "):
            await server.start()
    assert server.process.returncode is not None


async def test_a_given_port_is_used(binary: Path, tmp_path: Path) -> None:
    port = free_port()
    async with NatsServer(binary, tmp_path, JETSTREAM, port=port) as server:
        assert server.url == f"nats://{LOOPBACK}:{port}"


async def test_another_port_is_taken_when_the_chosen_one_is_lost_to_somebody_else(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        lost = taken.getsockname()[1]
        choices = iter([lost, free_port()])
        monkeypatch.setattr(nats_module, "free_port", lambda: next(choices))
        async with NatsServer(binary, tmp_path, JETSTREAM) as server:
            assert server.port != lost
            await (await _connect(server)).close()


async def test_it_listens_on_loopback_only(binary: Path, tmp_path: Path) -> None:
    async with NatsServer(binary, tmp_path, JETSTREAM) as server:
        monitoring = int(server.monitoring_url.rpartition(":")[2])
        for port in (server.port, monitoring):
            socket.create_connection((LOOPBACK, port)).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port))


async def test_its_configuration_is_readable_by_us_only(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "nats.conf").write_text("left by somebody, readable by all")
    async with NatsServer(binary, tmp_path, JETSTREAM):
        for name in ("nats.conf", "given.conf"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


async def test_the_files_it_is_told_about_lie_in_its_directory(
    binary: Path, tmp_path: Path
) -> None:
    async with NatsServer(binary, tmp_path, JETSTREAM) as server:
        assert (tmp_path / "nats.pid").read_text() == str(server.process.pid)
        assert (tmp_path / "jetstream" / "jetstream").is_dir()


def test_a_server_that_was_not_started_has_no_process(tmp_path: Path) -> None:
    server = NatsServer(Path("nats-server"), tmp_path, "")
    assert not server.running
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.process
