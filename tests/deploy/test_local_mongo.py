"""The embedded mongod, with the real one."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from deploy.local import mongo as mongo_module
from deploy.local.binaries import MONGOD, find_binary
from deploy.local.errors import AdminRefused, PortTaken, ServerCrashed
from deploy.local.mongo import MongoServer
from deploy.local.process import LOOPBACK, free_port

PASSWORD = "p@ss/w:rd%?#&"
UNAUTHORIZED = 13

pytestmark = pytest.mark.servers


@pytest.fixture
def binary() -> Path:
    return find_binary(MONGOD).path


async def _kill(server: MongoServer) -> None:
    server.kill()
    await server.process.wait()


@contextlib.asynccontextmanager
async def _started(server: MongoServer) -> AsyncIterator[MongoServer]:
    """Ends by a kill: an orderly stop takes mongod a second."""
    await server.start()
    try:
        yield server
    finally:
        await _kill(server)


@contextlib.asynccontextmanager
async def _client(url: str) -> AsyncIterator[AsyncMongoClient[dict[str, Any]]]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        url, serverSelectionTimeoutMS=5_000, w="majority", journal=True
    )
    async with client:
        yield client


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def _insert(server: MongoServer, number: int) -> None:
    async with _client(server.url) as client:
        await client.test.numbers.insert_one({"_id": number})


async def _stored(server: MongoServer) -> list[int]:
    async with _client(server.url) as client:
        return sorted(await client.test.numbers.distinct("_id"))


async def test_a_started_server_takes_majority_writes_and_sessions(
    binary: Path, tmp_path: Path
) -> None:
    async with (
        _started(MongoServer(binary, tmp_path / "a b", PASSWORD)) as server,
        _client(server.url) as client,
        client.start_session() as session,
        await session.start_transaction(),
    ):
        await client.test.numbers.insert_one({"_id": 1}, session=session)


async def test_who_gives_no_password_or_a_wrong_one_gets_nothing(
    binary: Path, tmp_path: Path
) -> None:
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        async with _client(f"mongodb://{LOOPBACK}:{server.port}") as nobody:
            with pytest.raises(OperationFailure) as refused:
                await nobody.test.numbers.find_one({})
            assert refused.value.code == UNAUTHORIZED
            with pytest.raises(OperationFailure) as refused:
                await nobody.admin.command("createUser", "second", pwd="x", roles=["root"])
            assert refused.value.code == UNAUTHORIZED
        async with _client(server.url_for("admin", "wrong")) as stranger:
            with pytest.raises(OperationFailure, match="Authentication failed"):
                await stranger.test.numbers.find_one({})


async def test_another_user_signs_in_with_the_url_made_for_it(binary: Path, tmp_path: Path) -> None:
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        async with _client(server.url) as admin:
            await admin.admin.command("createUser", "a/b@c", pwd="1:2/3", roles=["readAnyDatabase"])
        async with _client(server.url_for("a/b@c", "1:2/3")) as user:
            assert await user.test.numbers.find_one({}) is None


async def test_what_was_written_is_there_after_a_kill_on_the_same_port(
    binary: Path, tmp_path: Path
) -> None:
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        port = server.port
        await _insert(server, 1)
        await _kill(server)
        await server.start()
        assert server.port == port
        await _insert(server, 2)
        assert await _stored(server) == [1, 2]


async def test_a_stopped_server_ends_in_order_and_a_later_one_keeps_its_port(
    binary: Path, tmp_path: Path
) -> None:
    first = MongoServer(binary, tmp_path, PASSWORD)
    await first.start()
    await _insert(first, 1)
    assert await first.stop() == 0
    await first.process.watch()
    assert not first.running
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as second:
        assert second.port == first.port
        assert await _stored(second) == [1]


async def test_the_set_moves_to_another_port_when_somebody_has_taken_its_own(
    binary: Path, tmp_path: Path
) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        taken = server.port
        await _insert(server, 1)
        await _kill(server)
        async with await asyncio.start_server(hang_up, LOOPBACK, taken):
            await server.start()
            assert server.port != taken
            moved_to = server.port
            await _insert(server, 2)
            await _kill(server)
        async with _started(MongoServer(binary, tmp_path, PASSWORD)) as later:
            assert later.port == moved_to
            assert await _stored(later) == [1, 2]


async def test_a_given_port_is_used_even_for_data_made_on_another(
    binary: Path, tmp_path: Path
) -> None:
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        await _insert(server, 1)
    port = free_port()
    async with _started(MongoServer(binary, tmp_path, PASSWORD, port=port)) as server:
        assert server.port == port
        assert await _stored(server) == [1]


async def test_a_first_start_that_died_before_there_was_an_administrator_is_completed(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise ConnectionError("here the power goes")

    with monkeypatch.context() as broken:
        broken.setattr(mongo_module, "_ensure_administrator", die)
        with pytest.raises(ConnectionError):
            await MongoServer(binary, tmp_path, PASSWORD).start()
    assert not (tmp_path / "port").exists()  # so the next one must move the set as well
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        await _insert(server, 1)


async def test_another_administrator_password_than_the_datas_own_is_refused(
    binary: Path, tmp_path: Path
) -> None:
    async with _started(MongoServer(binary, tmp_path, PASSWORD)):
        pass
    server = MongoServer(binary, tmp_path, "mistyped")
    with pytest.raises(AdminRefused) as refused:
        await server.start()
    assert "mistyped" not in str(refused.value)
    assert server.process.returncode is not None


async def test_a_given_port_that_is_in_use_is_named(binary: Path, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port} "):
            await MongoServer(binary, tmp_path, PASSWORD, port=port).start()


async def test_another_port_is_taken_when_the_chosen_one_is_lost_to_somebody_else(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        lost = taken.getsockname()[1]
        choices = iter([lost, free_port()])
        monkeypatch.setattr(mongo_module, "free_port", lambda: next(choices))
        async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
            assert server.port != lost


async def test_a_crash_before_readiness_names_the_first_error_of_the_log(
    binary: Path, tmp_path: Path
) -> None:
    (tmp_path / "keyfile").write_text("too short")
    (tmp_path / "keyfile").chmod(0o644)
    with pytest.raises(ServerCrashed, match="Unable to acquire security key") as crash:
        await MongoServer(binary, tmp_path, PASSWORD).start()
    assert any("too open" in line for line in crash.value.log)


async def test_it_listens_on_loopback_only(binary: Path, tmp_path: Path) -> None:
    async with _started(MongoServer(binary, tmp_path, PASSWORD)) as server:
        socket.create_connection((LOOPBACK, server.port)).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", server.port))


async def test_its_files_are_for_us_only_and_hold_no_password(binary: Path, tmp_path: Path) -> None:
    async with _started(MongoServer(binary, tmp_path / "mongo", PASSWORD)) as server:
        assert (tmp_path / "mongo").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "mongo" / "keyfile").stat().st_mode & 0o777 == 0o600
        assert PASSWORD.encode() not in (tmp_path / "mongo" / "mongod.log").read_bytes()
        assert PASSWORD not in repr(server)
        assert PASSWORD.encode() not in _command_line(server.process.pid)


def test_a_server_that_was_not_started_has_no_process(tmp_path: Path) -> None:
    server = MongoServer(Path("mongod"), tmp_path, PASSWORD)
    assert not server.running
    with pytest.raises(RuntimeError, match="not started"):
        _ = server.process
