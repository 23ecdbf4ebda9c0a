"""Three mongod as one replica set, to take the primary away in the middle of a commit."""

import asyncio
import base64
import os
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.local.binaries import MONGOD, find_binary
from deploy.local.process import LOOPBACK, Launch, ServerProcess, free_port, polled

MEMBERS: Final = 3
ELECTION_TIMEOUT_MS: Final = 1_500
HEARTBEAT_MS: Final = 300
READY_TIMEOUT_S: Final = 60.0


@dataclass
class ReplicaSet:
    """A replica set over a directory."""

    directory: Path
    password: str
    ports: list[int] = field(default_factory=lambda: [free_port() for _ in range(MEMBERS)])
    members: dict[int, ServerProcess] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """For the administrator."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self.ports)
        return f"mongodb://admin:{self.password}@{hosts}/?replicaSet=wardroom&authSource=admin"

    async def __aenter__(self) -> Self:
        key = base64.b64encode(secrets.token_bytes(64)).decode()
        for port in self.ports:
            home = self.directory / str(port)
            (home / "data").mkdir(parents=True)
            key_file = os.open(home / "keyfile", os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(key_file, "w") as file:
                file.write(key)
            await self.start(port)
        async with asyncio.timeout(READY_TIMEOUT_S):
            await self._initiate()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.members.values():
            process.kill(signal.SIGCONT)
            await process.stop(timeout_s=5)

    async def start(self, port: int) -> None:
        """Start one member, again after its end."""
        command = (
            *(str(find_binary(MONGOD).path), "--dbpath", "data", "--port", str(port)),
            *("--bind_ip", LOOPBACK, "--nounixsocket", "--replSet", "wardroom", "--auth"),
            *("--keyFile", "keyfile", "--wiredTigerCacheSizeGB", "0.25", "--quiet"),
        )
        launch = Launch("mongod", command, self.directory / str(port), _explain)
        self.members[port] = await ServerProcess.start(launch)

    async def primary(self) -> int:
        """The port of the primary, once there is one that a majority agrees on."""
        async with asyncio.timeout(READY_TIMEOUT_S):
            return await polled(self._ask_primary)

    def url_of(self, port: int) -> str:
        """For the administrator, of one member alone, whatever the others say."""
        host = f"{LOOPBACK}:{port}"
        return f"mongodb://admin:{self.password}@{host}/?directConnection=true&authSource=admin"

    async def _ask_primary(self) -> int | None:
        for port, process in self.members.items():
            if process.returncode is None and await _says_primary(port):
                return port
        return None

    async def _initiate(self) -> None:
        config = {
            "_id": "wardroom",
            "members": [
                {"_id": number, "host": f"{LOOPBACK}:{port}"}
                for number, port in enumerate(self.ports)
            ],
            "settings": {
                "electionTimeoutMillis": ELECTION_TIMEOUT_MS,
                "heartbeatIntervalMillis": HEARTBEAT_MS,
            },
        }
        await polled(lambda: _commanded(self.ports[0], {"replSetInitiate": config}))
        user = {"createUser": "admin", "pwd": self.password, "roles": ["root"]}
        primary = await self.primary()
        await polled(lambda: _commanded(primary, user))


async def _says_primary(port: int) -> bool:
    hello = await asyncio.to_thread(_run, port, {"hello": 1})
    return bool(hello and hello.get("isWritablePrimary"))


async def _commanded(port: int, command: dict[str, Any]) -> Literal[True] | None:
    return True if await asyncio.to_thread(_run, port, command) else None


def _run(port: int, command: dict[str, Any]) -> dict[str, Any] | None:
    url = f"mongodb://{LOOPBACK}:{port}/?directConnection=true"
    with MongoClient[dict[str, Any]](
        url, serverSelectionTimeoutMS=500, socketTimeoutMS=5_000
    ) as client:
        try:
            return client.admin.command(command)
        except OperationFailure as refused:
            # The set or the user is there already: the answer of an earlier try got lost.
            return {} if refused.code not in (23, 13) else {"ok": 1}
        except PyMongoError:
            return None


def _explain(_status: int, _lines: Sequence[str]) -> str:
    return "See the lines above."
