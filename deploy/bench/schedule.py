"""Sending on a fixed schedule, to the microsecond, in the thread of the event loop.

uvloop's timers count in whole milliseconds, which is the size of what is measured, and a thread with a
clock of its own has to wake up before it can wake the loop. The kernel's timer wakes the loop itself
(Linux, timerfd_create(2)); Python has no call for it before 3.13.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable
from typing import Final

CLOCK_MONOTONIC: Final = time.CLOCK_MONOTONIC
"""What `time.perf_counter` reads on Linux."""
FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
ABSOLUTE: Final = 1
EXPIRATIONS_BYTES: Final = 8
NANOSECONDS: Final = 1_000_000_000


class _Times(ctypes.Structure):
    """`struct itimerspec`: interval and first expiry, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    )


class Schedule:
    """Calls `send` with a number and the time it is due, `rate_per_s` times a second.

    What is due is never skipped: whoever waits behind a slow one waits in the figures. `late_s` tells how
    late each call was.
    """

    def __init__(self, send: Callable[[int, float], None], rate_per_s: float) -> None:
        self.late_s: list[float] = []
        self._send = send
        self._interval_s = 1 / rate_per_s
        self._loop = asyncio.get_running_loop()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = -1
        self._start_s = 0.0
        self._number = 0

    def start(self) -> None:
        """Begin with the first one now.

        Raises:
            OSError: the kernel gives no timer.
        """
        self._timer = _checked(self._libc.timerfd_create(CLOCK_MONOTONIC, FLAGS))
        self._loop.add_reader(self._timer, self._on_time)
        self._start_s = time.perf_counter()
        self._arm(self._start_s)

    def stop(self) -> None:
        """Send nothing that is due after this."""
        self._loop.remove_reader(self._timer)
        os.close(self._timer)

    def _arm(self, due_s: float) -> None:
        due_ns = int(due_s * NANOSECONDS)
        times = _Times(0, 0, *divmod(due_ns, NANOSECONDS))
        _checked(self._libc.timerfd_settime(self._timer, ABSOLUTE, ctypes.byref(times), None))

    def _on_time(self) -> None:
        os.read(self._timer, EXPIRATIONS_BYTES)
        due_s = self._start_s + self._number * self._interval_s
        while due_s <= time.perf_counter():
            self.late_s.append(time.perf_counter() - due_s)
            self._send(self._number, due_s)
            self._number += 1
            due_s = self._start_s + self._number * self._interval_s
        self._arm(due_s)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
