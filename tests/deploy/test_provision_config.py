"""The server's configuration: complete, durable, encrypted, and silent about seeds."""

import asyncio
import json
import os
import subprocess
import urllib.request
from pathlib import Path

import pytest

from deploy.local.binaries import NATS_SERVER, find_binary
from deploy.provision.nats_config import server_config, server_environment
from deploy.provision.nats_streams import ensure_stream, room_config
from deploy.provision.secrets import Secrets
from tests.deploy.provisioned import nats_stack


def accepted(config: str, directory: Path, environment: dict[str, str]) -> bool:
    """Whether nats-server takes a configuration; it is not started."""
    file = directory / "nats.conf"
    file.write_text(config)
    command = [str(find_binary(NATS_SERVER).path), "-t", "-c", str(file)]
    path = {"PATH": os.environ["PATH"]}
    tested = subprocess.run(command, env=path | environment, capture_output=True, check=False)
    return tested.returncode == 0


def test_the_configuration_holds_no_seed_and_one_key(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    private = server_config(secrets, tmp_path / "accounts")
    public = server_config(secrets, tmp_path / "accounts", key_in_environment=True)
    for seed in (secrets.operator_seed(), secrets.system_seed(), secrets.core_seed()):
        assert seed.decode() not in private
    assert secrets.jetstream_key() in private
    assert secrets.jetstream_key() not in public


def test_the_server_takes_it_with_the_key_in_the_text_or_in_its_environment(
    tmp_path: Path,
) -> None:
    secrets = Secrets(tmp_path / "secrets")
    directory = tmp_path / 'a "quoted" name'
    directory.mkdir()
    private = server_config(secrets, directory / "accounts", store_dir=directory / "store")
    public = server_config(
        secrets, directory / "accounts", store_dir=directory / "store", key_in_environment=True
    )
    assert accepted(private, tmp_path, {})
    assert accepted(public, tmp_path, server_environment(secrets))
    assert not accepted(public, tmp_path, {}), "without its key it must not start unencrypted"


@pytest.mark.servers
async def test_every_acknowledged_message_is_synced_and_requests_are_strict(
    tmp_path: Path,
) -> None:
    async with nats_stack(tmp_path) as stack:
        address = f"{stack.server.monitoring_url}/varz"
        facts = json.loads(await asyncio.to_thread(_fetched, address))
        assert facts["jetstream"]["config"]["sync_always"] is True
        assert facts["jetstream"]["config"]["strict"] is True
        assert facts["max_payload"] == 1024 * 1024
        assert facts["write_deadline"] == 10_000_000_000


@pytest.mark.servers
async def test_what_is_published_is_not_readable_on_disk(tmp_path: Path) -> None:
    marker = b"the-attacker-came-by-mail" * 4
    async with nats_stack(tmp_path) as stack:
        async with stack.sign_in("provisioner") as provisioner:
            await ensure_stream(provisioner.client.jetstream(), room_config("acme", 4, 1, 1))
        async with stack.sign_in("gateway") as gateway:
            await gateway.client.jetstream().publish("room.acme.r1.message", marker)
    stored = [path for path in (tmp_path / "nats").rglob("*") if path.is_file()]
    assert any(path.suffix == ".blk" and path.stat().st_size for path in stored)
    assert [path for path in stored if marker in path.read_bytes()] == []


def _fetched(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own server
        body: bytes = answer.read()
    return body
