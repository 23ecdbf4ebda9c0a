"""The directory of secrets: made on first use, read afterwards, never printed.

A file is written elsewhere and then linked to its name, which only one of several provisioners can
do; the others read what that one wrote. A reader never meets a file half written.
"""

import base64
import os
import string
from collections.abc import Callable
from pathlib import Path
from secrets import choice, token_bytes, token_hex, token_urlsafe
from typing import Final, Literal

from actors.protocol.ids import is_tenant_id
from deploy.provision.errors import ProvisionError
from deploy.provision.nats_jwt import KeyRole, new_seed

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
ROOT_KEY_BYTES: Final = 32
JETSTREAM_KEY_LETTERS: Final = 64
"""Letters only, about 360 bits: the key passes through the server's own configuration syntax, which
reads a leading digit as a number."""
PASSWORD_BYTES: Final = 32

MongoUser = Literal["admin", "actors", "gateway", "auditor", "provisioner"]
NatsUser = Literal["system", "provisioner", "gateway", "actors", "connectors"]


class Secrets:
    """The secrets of one installation. Whatever is missing is made when it is first asked for."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __repr__(self) -> str:
        return f"Secrets({str(self._directory)!r})"

    @property
    def directory(self) -> Path:
        """Where the files are."""
        return self._directory

    @property
    def root_key_file(self) -> Path:
        """The file of the root key, which is made if it is missing."""
        self.root_key()
        return self._directory / "root.key"

    def root_key(self) -> bytes:
        """The key above all tenant keys, 32 bytes. Losing it loses every content for ever."""
        text = self._once("root.key", lambda: base64.b64encode(token_bytes(ROOT_KEY_BYTES)))
        return base64.b64decode(text, validate=True)

    def operator_seed(self) -> bytes:
        """Signs every NATS account; the NATS server never sees it."""
        return self._once("nats/operator.seed", lambda: new_seed(KeyRole.OPERATOR))

    def system_seed(self) -> bytes:
        """Signs the users of the system account."""
        return self._once("nats/system.seed", lambda: new_seed(KeyRole.ACCOUNT))

    def core_seed(self) -> bytes:
        """Signs the users of the account in which Wardroom's own processes talk."""
        return self._once("nats/core.seed", lambda: new_seed(KeyRole.ACCOUNT))

    def tenant_seed(self, tenant: str) -> bytes:
        """Signs the users of a tenant's account."""
        name = f"nats/tenants/{_checked(tenant)}.seed"
        return self._once(name, lambda: new_seed(KeyRole.ACCOUNT))

    def jetstream_key(self) -> str:
        """Encrypts what JetStream writes to disk."""
        return self._once("nats/jetstream.key", _letters).decode()

    def mongo_password(self, user: MongoUser) -> str:
        """The password of a MongoDB user; URL-safe characters only."""
        name = f"mongo/{user}.password"
        return self._once(name, lambda: token_urlsafe(PASSWORD_BYTES).encode()).decode()

    def credentials_file(self, user: NatsUser) -> Path:
        """Where the NATS credentials of one of our own processes are."""
        return self._directory / "nats" / "creds" / f"{user}.creds"

    def tenant_credentials_file(self, tenant: str) -> Path:
        """Where the NATS credentials of a tenant's external systems are."""
        return self._directory / "nats" / "creds" / "tenants" / f"{_checked(tenant)}.creds"

    def forget_tenant(self, tenant: str) -> None:
        """Remove what a tenant's account and its systems signed with."""
        seed = self._directory / "nats" / "tenants" / f"{_checked(tenant)}.seed"
        for path in (self.tenant_credentials_file(tenant), seed):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_directory(path.parent)

    def create_once(self, path: Path, make: Callable[[], bytes]) -> bytes:
        """The content of a file of this directory, made by `make` if there is none yet."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            self._make_directory(path.parent)
        temporary = _written_beside(path, make())
        try:
            os.link(temporary, path)
        except FileExistsError:
            # Another provisioner was first, and its file is the one that counts.
            pass
        finally:
            temporary.unlink()
        _sync_directory(path.parent)
        return path.read_bytes()

    def replace(self, path: Path, content: bytes) -> None:
        """Put other content in a file of this directory; a reader sees the old or the new."""
        _written_beside(path, content).replace(path)
        _sync_directory(path.parent)

    def _once(self, name: str, make: Callable[[], bytes]) -> bytes:
        return self.create_once(self._directory / name, make)

    def _make_directory(self, directory: Path) -> None:
        inner = directory.relative_to(self._directory)
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        for depth in range(len(inner.parts) + 1):
            part = self._directory.joinpath(*inner.parts[:depth])
            part.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            if part.stat().st_mode & 0o077:
                raise ProvisionError(
                    "secrets_exposed",
                    f"other users of this machine may look into {part}",
                    f"run 'chmod 700 {part}'",
                )


def _checked(tenant: str) -> str:
    if not is_tenant_id(tenant):
        raise ProvisionError(
            "bad_tenant_id",
            f"{tenant!r} can't name a tenant",
            "use 1 to 32 of a-z 0-9 -, with no hyphen at either end",
        )
    return tenant


def _letters() -> bytes:
    return "".join(choice(string.ascii_letters) for _ in range(JETSTREAM_KEY_LETTERS)).encode()


def _written_beside(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
