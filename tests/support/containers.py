"""Both servers in containers, on the host's own network: a third way to servers for the tests.

The host's network, because a replica set's member is reached under one address by itself and by its
clients. That needs an engine on this very machine, running Linux.
"""

import asyncio
import base64
import secrets as random
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, OperationFailure
from testcontainers.core.container import DockerContainer

from deploy.local.process import LOOPBACK, free_port, polled, port_is_free
from deploy.local.stack import GivenServers
from deploy.provision.nats_config import server_config
from deploy.provision.secrets import Secrets

NATS_IMAGE: Final = "nats:2.12"
MONGO_IMAGE: Final = "mongo:7.0"
ENGINE_SOCKET: Final = Path("/var/run/docker.sock")
REPLICA_SET: Final = "wardroom"
READY_TIMEOUT_S: Final = 120.0
"""The images may have to be pulled first."""


class NoEngine(Exception):
    """There is no container engine to ask."""


@asynccontextmanager
async def container_servers(
    secrets: Secrets, directory: Path, environment: Mapping[str, str]
) -> AsyncIterator[GivenServers]:
    """nats-server and mongod with the configuration and passwords of `secrets`.

    Raises:
        NoEngine: no engine can be reached; says what to start.
    """
    if not environment.get("DOCKER_HOST") and not ENGINE_SOCKET.is_socket():
        raise NoEngine(
            f"WARDROOM_TEST_SERVERS=containers needs a container engine, and {ENGINE_SOCKET} is not"
            " there: start Docker (Debian: apt install docker.io) or Podman's API socket and set"
            " DOCKER_HOST; or unset WARDROOM_TEST_SERVERS to use the embedded servers"
        )
    nats_port, mongo_port = free_port(), free_port()
    with ExitStack() as running:
        for container in (
            _nats(secrets, directory, nats_port),
            _mongo(secrets, directory, mongo_port),
        ):
            await asyncio.to_thread(running.enter_context, container)
        password = secrets.mongo_password("admin")
        url = f"mongodb://admin:{password}@{LOOPBACK}:{mongo_port}/?authSource=admin"
        async with asyncio.timeout(READY_TIMEOUT_S):
            await _listening(nats_port)
            await _replica_set(url, f"{LOOPBACK}:{mongo_port}")
        yield GivenServers(f"nats://{LOOPBACK}:{nats_port}", f"{url}&replicaSet={REPLICA_SET}")


def _nats(secrets: Secrets, directory: Path, port: int) -> DockerContainer:
    config = server_config(secrets, Path("/data/accounts"), store_dir=Path("/data/jetstream"))
    file = _private(directory / "container-nats.conf", f'listen: "{LOOPBACK}:{port}"\n{config}')
    return (
        DockerContainer(NATS_IMAGE)
        .with_kwargs(network_mode="host")
        .with_volume_mapping(file, "/given/nats.conf")
        .with_command(["--config", "/given/nats.conf"])
    )


def _mongo(secrets: Secrets, directory: Path, port: int) -> DockerContainer:
    key = base64.b64encode(random.token_bytes(96)).decode()
    file = _private(directory / "container-mongo.key", key)
    # mongod insists on a key file of its own user and of mode 0400, which a mount does not have.
    script = (
        "install -m 400 -o mongodb -g mongodb /given/keyfile /data/keyfile && exec"
        f" docker-entrypoint.sh mongod --replSet {REPLICA_SET} --keyFile /data/keyfile"
        f" --bind_ip {LOOPBACK} --port {port}"
    )
    return (
        DockerContainer(MONGO_IMAGE)
        .with_kwargs(network_mode="host", entrypoint="bash")
        .with_volume_mapping(file, "/given/keyfile")
        .with_envs(
            MONGO_INITDB_ROOT_USERNAME="admin",
            MONGO_INITDB_ROOT_PASSWORD=secrets.mongo_password("admin"),
        )
        .with_command(["-c", script])
    )


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


async def _listening(port: int) -> None:
    async def ask() -> Literal[True] | None:
        return None if port_is_free(port) else True

    await polled(ask)


async def _replica_set(url: str, address: str) -> None:
    """Make the one-member set; the image restarts mongod once while it makes the administrator."""
    members = [{"_id": 0, "host": address}]
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        url, directConnection=True, serverSelectionTimeoutMS=1_000
    )

    async def ask() -> Literal[True] | None:
        with suppress(ConnectionFailure, OperationFailure):
            hello = await client.admin.command("hello")
            if hello.get("isWritablePrimary"):
                return True
            config = {"_id": REPLICA_SET, "members": members}
            await client.admin.command("replSetInitiate", config)
        return None

    async with client:
        await polled(ask)
