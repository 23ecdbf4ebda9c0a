"""What can go wrong with the servers that Wardroom starts on this machine.

LocalError
  + BinaryMissing       no server program that can be used: not installed, too old, or libraries absent
  + DataDirBusy         another process runs on the data directory
  + DataDirRefused      the directory is not one to keep data in: not ours, not private, not a directory
  + ServerFailed        carries the server's last log lines
      + ServerCrashed   the server ended without being asked to
      + ServerNotReady  it runs, but did not answer in time
  + ServerStillRunning  an earlier server of the same directory has not ended
  + PortTaken           the port asked for is in use
  + AdminRefused        the database was made with another administrator password
"""

from collections.abc import Sequence
from pathlib import Path

CRASH_LOG_LINES = 20
"""How many of the last log lines an error carries."""


class LocalError(Exception):
    """Base of the local stack's errors: a stable code, what happened, and what to do."""

    code = "local_error"

    def __init__(self, happened: str, todo: str) -> None:
        super().__init__(f"{self.code}: {happened}. {todo}")
        self.happened = happened
        self.todo = todo


class BinaryMissing(LocalError):
    """No usable server program was found."""

    code = "server_missing"


class DataDirBusy(LocalError):
    """Another process holds the data directory."""

    code = "data_dir_busy"

    def __init__(self, path: Path, pid: int | None, url: str | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        where = "it is still starting" if url is None else f"it answers at {url}"
        super().__init__(
            f"{who} already runs on {path}; {where}",
            "Use that one, stop it first, or give another directory with --data-dir.",
        )
        self.path = path
        self.pid = pid
        self.url = url


class DataDirRefused(LocalError):
    """The directory can't hold Wardroom's data."""

    code = "data_dir_refused"


class ServerFailed(LocalError):
    """A server did not do its work; `log` holds its last lines, oldest first."""

    code = "server_failed"

    def __init__(self, happened: str, todo: str, log: Sequence[str]) -> None:
        super().__init__(happened, todo)
        self.log = tuple(log)[-CRASH_LOG_LINES:]

    def __str__(self) -> str:
        lines = "".join(f"\n  | {line}" for line in self.log) or "\n  | (nothing)"
        return f"{super().__str__()} Its last log lines:{lines}"


class ServerCrashed(ServerFailed):
    """A server ended without being asked; `status` as in `subprocess`: negative is a signal."""

    code = "server_crashed"

    def __init__(self, happened: str, todo: str, log: Sequence[str], *, status: int) -> None:
        super().__init__(happened, todo, log)
        self.status = status


class ServerNotReady(ServerFailed):
    """A server runs but was not ready in time."""

    code = "server_not_ready"


class ServerStillRunning(LocalError):
    """The server that last ran in this directory has not ended."""

    code = "server_still_running"


class PortTaken(LocalError):
    """The port that was asked for is in use."""

    code = "port_taken"


class AdminRefused(LocalError):
    """The database in the data directory has another administrator password."""

    code = "admin_refused"
