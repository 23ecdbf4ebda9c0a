"""Recorded histories: commands at fixed times, and what they must make for ever.

To record a new one, write its commands as `[{"at_ms": ..., "command": {...}}, ...]` and run
`python -m tests.actors.replay room commands.json > tests/actors/histories/<name>.json`. A history that is
there is never recorded again: if it fails, old chains would be read differently than they were written.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from actors.protocol.codec import content_of, event_of, fingerprint, target_of
from actors.protocol.errors import Rejection
from actors.protocol.events import EventType
from actors.room.state import Moment
from actors.runtime.behaviour import ROOM, TENANT, Behaviour
from store.chain import Draft, Head, Source, head_of, link
from store.record import SALT_BYTES

BEHAVIOURS: Final[dict[str, Behaviour[Any]]] = {"room": ROOM, "tenant": TENANT}
DIRECTORY: Final = Path(__file__).parent / "histories"
SALT: Final = bytes(SALT_BYTES)


@dataclass(frozen=True)
class Step:
    """One command done: what came of it as JSON, the event as it is read back, the state after it."""

    outcome: dict[str, Any]
    event: EventType | None
    actor: str
    at_ms: int
    state: Any
    head: Head


def replay(actor: str, asked: list[dict[str, Any]]) -> Iterator[Step]:
    """Decide and evolve, through the bytes that would be stored."""
    behaviour = BEHAVIOURS[actor]
    state, head = behaviour.initial, Head()
    for position, item in enumerate(asked):
        command, at_ms = behaviour.parse(item["command"]), item["at_ms"]
        decided = behaviour.decide(state, command, Moment(head.seq, at_ms))
        if isinstance(decided, Rejection):
            yield Step({"refused": str(decided.code)}, None, command.actor, at_ms, state, head)
            continue
        content, target = content_of(decided, fingerprint(command)), target_of(decided)
        source = Source(0, 1, position)
        draft = Draft(decided.kind, command.actor, command.client_id, target, content, source)
        head = head_of(link(("history", actor, 1), head, draft, at_ms, SALT))
        event = event_of(decided.kind, content, target)
        assert event is not None
        state = behaviour.evolve(state, event, command.actor, at_ms)
        outcome = {
            "kind": decided.kind,
            "content": content.decode(),
            "target": target,
            "state": hashlib.sha256(behaviour.to_bytes(state)).hexdigest(),
        }
        yield Step(outcome, event, command.actor, at_ms, state, head)


def recorded(actor: str, asked: list[dict[str, Any]]) -> dict[str, Any]:
    """A history with its outcomes."""
    steps = list(replay(actor, asked))
    return {
        "actor": actor,
        "head": steps[-1].head.hash.hex(),
        "steps": [
            {**item, "outcome": step.outcome} for item, step in zip(asked, steps, strict=True)
        ],
    }


if __name__ == "__main__":
    json.dump(
        recorded(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())), sys.stdout, indent=1
    )
