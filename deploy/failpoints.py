"""Failpoints: named moments at which a test makes this process die or stand still.

Nothing is armed unless WARDROOM_FAILPOINTS says so: `point:action:nth`, by comma, where action is
`kill` (SIGKILL to this process) or `stop` (SIGSTOP) at the nth time the point is reached.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Final

ACTIONS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def reach_nothing(_: str) -> None:
    """What is reached when nothing is armed."""


def armed(text: str) -> Callable[[str], None]:
    """The function to call at every point.

    Raises:
        ValueError: `text` has another form.
    """
    if not text:
        return reach_nothing
    wanted: dict[tuple[str, int], signal.Signals] = {}
    for part in text.split(","):
        point, action, nth = part.split(":")
        wanted[(point, int(nth))] = ACTIONS[action]
    reached: Counter[str] = Counter()

    def reach(point: str) -> None:
        reached[point] += 1
        number = wanted.get((point, reached[point]))
        if number is not None:
            os.kill(os.getpid(), number)

    return reach
