"""The embedded mongod: a replica set of one member, with authentication, on loopback.

A replica set, because majority writes, sessions and retryable writes need one. The set's own
configuration holds its address; so the port of the first start is kept, and when another program has
taken it, the set is moved to a new one. (mongod first asks the old address whether that is itself, so
a program there that accepts and never answers makes that one start 30 s long.)
"""

import base64
import json
import os
import secrets
import signal
from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, OperationFailure

from deploy.local.errors import AdminRefused, PortTaken, ServerCrashed
from deploy.local.process import (
    LOOPBACK,
    PORT_ATTEMPTS,
    Launch,
    ServerProcess,
    free_port,
    polled,
    port_is_free,
)

REPLICA_SET: Final = "wardroom"
ADMIN_USER: Final = "admin"
CACHE_GB: Final = 0.5
ENGINE: Final = "eviction_dirty_target=20,eviction_dirty_trigger=40"
"""Per cent of the cache that may wait to be written (WiredTiger's defaults are 5 and 20). What is
dirty here are mostly the ends of chains and indexes, which are written anew as long as they grow."""
SLOW_OPERATION_MS: Final = 10_000
"""Slower operations are logged with their documents; nothing normal should come near."""
KEY_FILE_BYTES: Final = 96
READY_TIMEOUT_S: Final = 60.0
"""After a crash the journal is replayed first."""
STOP_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_MS: Final = 5_000

LISTENING: Final = b'"id":23016'
"""mongod's log id of "Waiting for connections": said only by the one that has got the port."""
EXIT_NET_ERROR: Final = 48
"""mongod could not listen (MongoDB manual, "Exit Codes and Statuses")."""
UNAUTHORIZED: Final = 13
AUTHENTICATION_FAILED: Final = 18
ALREADY_INITIALIZED: Final = 23
NOT_YET_INITIALIZED: Final = 94

Client = AsyncMongoClient[dict[str, Any]]


class MongoServer:
    """One mongod over one directory.

    The first start makes the replica set and the administrator (`ADMIN_USER`, with the password
    given here) through MongoDB's localhost exception, which closes with that. `port` 0 means that of
    the last start, or a free one.
    """

    def __init__(self, binary: Path, directory: Path, password: str, *, port: int = 0) -> None:
        self._binary = binary
        self._directory = directory
        self._password = password
        self._given_port = port
        self._port = port
        self._process: ServerProcess | None = None

    def __repr__(self) -> str:
        return f"MongoServer({str(self._directory)!r}, port={self._port})"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def process(self) -> ServerProcess:
        """The process of the last start: pid, returncode, kill, wait, watch, last_lines."""
        if self._process is None:
            raise RuntimeError("mongod was not started")
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
        """For the administrator. Holds the password: never log it."""
        return self.url_for(ADMIN_USER, self._password)

    def url_for(self, user: str, password: str) -> str:
        """For another user, one of the database `admin`."""
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        where = f"{LOOPBACK}:{self._port}"
        return f"mongodb://{who}@{where}/?replicaSet={REPLICA_SET}&authSource=admin"

    async def start(self) -> None:
        """Start, wait until the server is primary, and make what the first start has to make.

        Raises:
            PortTaken: the given port is in use, or so was every free one that was tried.
            AdminRefused: the data was made with another administrator password.
            ServerCrashed, ServerNotReady: see there. Nothing is left running after any of these.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._directory / "data").mkdir(mode=0o700, exist_ok=True)
        self._make_key_file()
        for _ in range(PORT_ATTEMPTS):
            self._port = self._given_port or self._kept_port() or free_port()
            try:
                return await self._start_on_port()
            except ServerCrashed as crash:
                if crash.status != EXIT_NET_ERROR:
                    raise
                if self._given_port:
                    break
        raise PortTaken(
            f"port {self._port} of {LOOPBACK} is in use",
            "Stop what listens there, or give another port.",
        )

    async def stop(self) -> int:
        """End the server in order; returns its exit status."""
        return await self.process.stop(STOP_TIMEOUT_S)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, as a test of faults does."""
        self.process.kill(number)

    async def _start_on_port(self) -> None:
        self._process = await ServerProcess.start(
            Launch("mongod", self._command(), self._directory, _explain)
        )
        try:
            await self._process.until(self._become_primary(self._process), READY_TIMEOUT_S)
        except BaseException:
            await self._process.stop(STOP_TIMEOUT_S)
            raise

    def _command(self) -> tuple[str, ...]:
        return (
            *(str(self._binary), "--dbpath", "data", "--port", str(self._port)),
            *("--bind_ip", LOOPBACK, "--nounixsocket"),
            *("--replSet", REPLICA_SET, "--auth", "--keyFile", "keyfile"),
            *("--wiredTigerCacheSizeGB", str(CACHE_GB), "--wiredTigerEngineConfigString", ENGINE),
            # The driver's compression is off by default; CVE-2025-14847 was in the server's zlib.
            *("--networkMessageCompressors", "disabled"),
            *("--quiet", "--slowms", str(SLOW_OPERATION_MS)),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        )

    def _make_key_file(self) -> None:
        """The secret that members of a replica set share; mongod insists on one with --auth."""
        if not (self._directory / "keyfile").exists():
            self._replace("keyfile", base64.b64encode(secrets.token_bytes(KEY_FILE_BYTES)).decode())

    def _kept_port(self) -> int:
        """The port of the last start if it is free now, else 0."""
        try:
            port = int((self._directory / "port").read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return port if port_is_free(port) else 0

    def _replace(self, name: str, text: str) -> None:
        """Write a private file in one step: a crash leaves the old one or the new one."""
        draft = self._directory / f"{name}.new"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.replace(self._directory / name)

    async def _become_primary(self, process: ServerProcess) -> None:
        await polled(partial(_listening, process))
        address = f"{LOOPBACK}:{self._port}"
        url = f"mongodb://{address}/?directConnection=true"
        async with (
            _client(url) as anonymous,
            _client(url, username=ADMIN_USER, password=self._password) as admin,
        ):
            await polled(partial(_settled, address, anonymous, admin, self._password))
        self._replace("port", str(self._port))


def _client(url: str, **options: Any) -> Client:
    return AsyncMongoClient(url, serverSelectionTimeoutMS=ANSWER_TIMEOUT_MS, **options)


async def _listening(process: ServerProcess) -> Literal[True] | None:
    return True if LISTENING in process.log() else None


async def _settled(
    address: str, anonymous: Client, admin: Client, password: str
) -> Literal[True] | None:
    """True when the member at this address is primary and has its administrator."""
    try:
        hello = await anonymous.admin.command("hello")
        if hello.get("isWritablePrimary") and hello.get("me") == address:
            await _ensure_administrator(anonymous, admin, password)
            return True
        if hello.get("isreplicaset"):  # it runs as a member, but knows no set that holds it
            await _configure(address, anonymous, admin)
    except AutoReconnect:  # it closes connections when its state changes
        return None
    return None


async def _configure(address: str, anonymous: Client, admin: Client) -> None:
    """Make the replica set, or move it to this address when there is one already."""
    config: dict[str, Any] = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": address}]}
    if await _done(anonymous.admin.command("replSetInitiate", config), ALREADY_INITIALIZED):
        return
    config["version"] = 1  # the server raises it, as it is forced
    # Anonymous: an earlier first start may have ended before there was an administrator.
    for client in (anonymous, admin):
        if await _done(
            client.admin.command("replSetReconfig", config, force=True), NOT_YET_INITIALIZED
        ):
            return


async def _ensure_administrator(anonymous: Client, admin: Client, password: str) -> None:
    await _done(anonymous.admin.command("createUser", ADMIN_USER, pwd=password, roles=["root"]))
    await _done(admin.admin.command("ping"))


async def _done(command: Awaitable[dict[str, Any]], *harmless: int) -> bool:
    """Whether the command was carried out; False when it was refused for want of rights, or with
    one of the `harmless` codes.

    Raises:
        AdminRefused: the server does not know this password.
    """
    try:
        await command
    except OperationFailure as refused:
        if refused.code == AUTHENTICATION_FAILED:
            raise _wrong_password() from None
        if refused.code not in (UNAUTHORIZED, *harmless):
            raise
        return False
    return True


def _wrong_password() -> AdminRefused:
    return AdminRefused(
        "the database in the data directory does not accept the administrator's password",
        "Give the password it was made with, or start with another data directory.",
    )


def _explain(_status: int, lines: Sequence[str]) -> str:
    """The first error or fatal line of the log: what follows it is the shutdown."""
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # cut, or not from mongod itself
            continue
        if entry.get("s") in ("E", "F"):
            return f"It said: {entry.get('msg')} {json.dumps(entry.get('attr', {}))}"
    return "Start it again; its data is on disk."
