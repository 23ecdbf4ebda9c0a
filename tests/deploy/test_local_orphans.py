"""Servers end with the process that started them, even when that is killed."""

import asyncio
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.binaries import MONGOD, NATS_SERVER, find_binary
from deploy.local.mongo import MongoServer
from deploy.local.nats import NatsServer

ROOT = Path(__file__).resolve().parents[2]
GONE_WITHIN_MS = 10_000
STARTS_NATS = """
import asyncio, pathlib, sys
from deploy.local.nats import NatsServer
async def main():
    server = NatsServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "jetstream {}")
    await server.start()
    print(server.process.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
STARTS_MONGO = """
import pathlib, sys, asyncio, uvloop
from deploy.local.mongo import MongoServer
async def main():
    server = MongoServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), "secret")
    await server.start()
    print(server.process.pid, flush=True)
    await asyncio.Event().wait()
uvloop.run(main())
"""

pytestmark = pytest.mark.servers


def _start_and_kill_the_parent(script: str, binary: Path, directory: Path) -> None:
    """Returns when the server is gone as well; fails when it stays."""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(binary), str(directory)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with parent:
        assert parent.stdout is not None
        server = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        gone = select.poll()
        gone.register(server, select.POLLIN)
        assert gone.poll(GONE_WITHIN_MS), "the server outlived its parent"
    finally:
        os.close(server)


async def test_nats_dies_with_its_parent_and_its_directory_serves_again(tmp_path: Path) -> None:
    binary = find_binary(NATS_SERVER).path
    await asyncio.to_thread(_start_and_kill_the_parent, STARTS_NATS, binary, tmp_path)
    async with NatsServer(binary, tmp_path, "jetstream {}") as server:
        assert server.process.returncode is None


async def test_mongod_dies_with_a_parent_on_uvloop_and_its_directory_serves_again(
    tmp_path: Path,
) -> None:
    binary = find_binary(MONGOD).path
    await asyncio.to_thread(_start_and_kill_the_parent, STARTS_MONGO, binary, tmp_path)
    async with MongoServer(binary, tmp_path, "secret") as server:
        assert server.process.returncode is None
