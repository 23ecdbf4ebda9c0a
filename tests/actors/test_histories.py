"""Today's code makes of yesterday's commands what yesterday's code made, to the byte."""

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from actors.protocol.codec import event_of
from tests.actors.replay import BEHAVIOURS, DIRECTORY, Step, recorded, replay

HISTORIES = sorted(DIRECTORY.glob("*.json"))


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A history, and the commands in it."""
    history = json.loads(path.read_text())
    asked = [{"at_ms": step["at_ms"], "command": step["command"]} for step in history["steps"]]
    return history, asked


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_history_makes_the_same_records_and_states_for_ever(path: Path) -> None:
    history, asked = read(path)
    assert recorded(history["actor"], asked) == history


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_contents_that_were_written_then_are_read_to_the_same_states_now(path: Path) -> None:
    history, _ = read(path)
    behaviour = BEHAVIOURS[history["actor"]]
    state = behaviour.initial
    for step in history["steps"]:
        outcome = step["outcome"]
        if "kind" in outcome:
            event = event_of(outcome["kind"], outcome["content"].encode(), outcome["target"])
            assert event is not None
            state = behaviour.evolve(state, event, step["command"]["actor"], step["at_ms"])
            digest = hashlib.sha256(behaviour.to_bytes(state)).hexdigest()
            assert digest == outcome["state"]


def test_the_histories_hold_every_kind_that_changes_a_state() -> None:
    for name, behaviour in BEHAVIOURS.items():
        seen = {
            step["outcome"].get("kind")
            for path in HISTORIES
            for step in read(path)[0]["steps"]
            if read(path)[0]["actor"] == name
        }
        assert behaviour.state_kinds <= seen


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_snapshot_and_the_events_after_it_make_the_state_of_every_later_moment(
    path: Path,
) -> None:
    history, asked = read(path)
    behaviour = BEHAVIOURS[history["actor"]]
    steps = list(replay(history["actor"], asked))
    for start, snapshot in enumerate(steps):
        state = behaviour.from_bytes(behaviour.to_bytes(snapshot.state))
        assert state == snapshot.state
        for before, step in pairwise(steps[start:]):
            state = _resumed(behaviour.state_kinds, behaviour.evolve, state, step)
            assert state == step.state, (before, step)


def _resumed(state_kinds: Any, evolve: Any, state: Any, step: Step) -> Any:
    """As a reload does: it opens only the kinds that change the state."""
    if step.event is None or step.event.kind not in state_kinds:
        return state
    return evolve(state, step.event, step.actor, step.at_ms)
