"""The data directory of a local stack: private, and used by one process at a time.

The lock is flock(2) on a file in the directory, so it ends with its process, however that ends; what
the file says (`pid`, `url`, `started`) is only there to be shown to people.
"""

import fcntl
import json
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from deploy.local.errors import DataDirBusy, DataDirRefused

LOCK_FILE: Final = "wardroom.lock"
LOCK_TEXT_BYTES: Final = 1024
"""The text is padded to this and written at once, so that a reader never sees half of it."""
LOCK_ATTEMPTS: Final = 5
LOCK_PAUSE_S: Final = 0.02
"""`status` holds the lock for an instant too; that is no reason to refuse a start."""
PRIVATE: Final = 0o700
OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Running:
    """Who runs on a data directory; None for what is not known yet."""

    pid: int | None
    url: str | None
    started: datetime | None


class DataDir:
    """A data directory that this process holds until `close`."""

    def __init__(
        self, path: Path, lock: int, temporary: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        self.path = path
        self.ephemeral = temporary is not None
        self._lock = lock
        self._temporary = temporary
        self._started = datetime.now(UTC)
        self._say(None)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the directory if need be, and lock it.

        Raises:
            DataDirBusy: another process holds it; says where that runs.
            DataDirRefused: it is not ours, or holds other things and is open to other users.
        """
        path = path.absolute()
        _prepare(path)
        return cls(path, _lock(path))

    @classmethod
    def open_ephemeral(cls) -> Self:
        """A new directory that `close`, or the normal end of the process, removes."""
        temporary = tempfile.TemporaryDirectory(prefix="wardroom-", ignore_cleanup_errors=True)
        path = Path(temporary.name)
        return cls(path, _lock(path), temporary)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def directory(self, name: str) -> Path:
        """A private directory inside, made if need be."""
        path = self.path / name
        path.mkdir(mode=PRIVATE, exist_ok=True)
        return path

    def announce(self, url: str) -> None:
        """Tell whoever comes next where this one answers."""
        self._say(url)

    def close(self) -> None:
        """Let go of the directory; an ephemeral one is removed. Stop its servers before."""
        if self._lock < 0:
            return
        os.ftruncate(self._lock, 0)
        os.close(self._lock)
        self._lock = -1
        if self._temporary is not None:
            self._temporary.cleanup()

    def _say(self, url: str | None) -> None:
        said = {"pid": os.getpid(), "url": url, "started": self._started.isoformat()}
        text = json.dumps(said).encode().ljust(LOCK_TEXT_BYTES)
        os.pwrite(self._lock, text, 0)
        os.ftruncate(self._lock, len(text))


def status(path: Path) -> Running | None:
    """Who runs on a data directory; None when nobody does, whatever a crash has left there."""
    try:
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return None if _take(lock) else _said(lock)
    finally:
        os.close(lock)


def _prepare(path: Path) -> None:
    try:
        path.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        found = path.stat()
        in_use = any(path.iterdir())
    except FileExistsError:
        raise DataDirRefused(f"{path} is not a directory", "Give another one.") from None
    except OSError as error:
        raise DataDirRefused(
            f"{path} can't be used: {error.strerror}", "Give a directory that you may write."
        ) from None
    if found.st_uid != os.geteuid():
        raise DataDirRefused(
            f"{path} belongs to the user with number {found.st_uid}",
            "Run as that user, or give another directory.",
        )
    if stat.S_IMODE(found.st_mode) & OTHERS:
        if in_use and not (path / LOCK_FILE).exists():
            raise DataDirRefused(
                f"{path} holds other things and is open to other users",
                f"Give a new directory, or, if only Wardroom's data is in it: chmod 700 '{path}'",
            )
        path.chmod(PRIVATE)


def _lock(path: Path) -> int:
    lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(LOCK_ATTEMPTS):
        if _take(lock):
            return lock
        time.sleep(LOCK_PAUSE_S)
    try:
        running = _said(lock)
    finally:
        os.close(lock)
    raise DataDirBusy(path, running.pid, running.url)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _said(lock: int) -> Running:
    """What the holder has written; it may not have come to that yet."""
    try:
        said = json.loads(os.pread(lock, LOCK_TEXT_BYTES, 0))
        return Running(said["pid"], said["url"], datetime.fromisoformat(said["started"]))
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        return Running(None, None, None)
