"""Ties the life of a server to that of the process that started it, then becomes the server.

Run as a program: `python tether.py PARENT_PID PROGRAM [ARGUMENT...]`. Doing this in a program of its
own, and not between fork and exec in the parent (`preexec_fn`), keeps Python code out of a copy of a
process with many threads, where any lock may be held for ever.

prctl(2): the setting survives execve; the signal comes when the *thread* that forked ends.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1
SIGKILL = 9  # importing signal would cost more than all the rest here
CANNOT_RUN = 127


def main(arguments: Sequence[str]) -> int:
    """Become the server; returns an exit status only when that failed."""
    parent, command = int(arguments[0]), list(arguments[1:])
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        rest = [ctypes.c_ulong(value) for value in (SIGKILL, 0, 0, 0)]
        if libc.prctl(PR_SET_PDEATHSIG, *rest) != 0:
            sys.stderr.write(f"prctl: {os.strerror(ctypes.get_errno())}\n")
            return CANNOT_RUN
    if os.getppid() != parent:  # it died before the signal was asked for
        return CANNOT_RUN
    try:
        os.execv(command[0], command)  # noqa: S606 - that is what this is for
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
    return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
