"""Failpoints: named moments at which a test makes this process die or stand still.

Nothing is armed unless WARDROOM_FAILPOINTS says so: `point:action:nth`, by comma. At the nth time the
point is reached, `kill` sends this process SIGKILL and `stop` SIGSTOP; `hold=PATH` lets only the
thread that got there wait until PATH exists, and says by PATH.reached that it does.
"""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

HOLD_POLL_S: Final = 0.01
SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def reach_nothing(_: str) -> None:
    """What is reached when nothing is armed."""


def armed(text: str) -> Callable[[str], None]:
    """The function to call at every point.

    Raises:
        ValueError: `text` has another form.
    """
    if not text:
        return reach_nothing
    wanted: dict[tuple[str, int], Callable[[], None]] = {}
    for part in text.split(","):
        point, action, nth = part.split(":")
        wanted[(point, int(nth))] = _action(action)
    reached: Counter[str] = Counter()

    def reach(point: str) -> None:
        reached[point] += 1
        act = wanted.get((point, reached[point]))
        if act is not None:
            act()

    return reach


def _action(name: str) -> Callable[[], None]:
    if name.startswith("hold="):
        return partial(_hold, Path(name.removeprefix("hold=")))
    if name not in SIGNALS:
        raise ValueError(f"{name!r} is no action: use kill, stop or hold=PATH")
    return partial(_signal, SIGNALS[name])


def _signal(number: signal.Signals) -> None:
    # To this very thread: one that is sent to the process may be taken by another, and this goes on.
    signal.pthread_kill(threading.get_ident(), number)


def _hold(path: Path) -> None:
    path.with_name(f"{path.name}.reached").touch()
    while not path.exists():
        time.sleep(HOLD_POLL_S)
