"""Contents: what is committed to is read back, and the same command has the same fingerprint."""

import json
import os
import subprocess
import sys
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.codec import (
    body_of,
    content_of,
    event_of,
    fingerprint,
    recorded_fingerprint,
    target_of,
)
from actors.protocol.commands import CreateRoom, Post, RenameRoom
from actors.protocol.events import STRUCTURED, MessagePosted, RoomRenamed
from actors.protocol.roles import Role
from tests.actors.people import MEMBER, OWNER

FINGERPRINT_OF_A_CREATION: Final = """
from actors.protocol.codec import fingerprint
from actors.protocol.commands import CreateRoom
from actors.protocol.roles import Role
print(fingerprint(CreateRoom(
    client_id="c", actor="a", role=Role.ANALYST, name="n", open_to=frozenset(Role))))
"""


@given(st.text(max_size=50), st.none() | st.integers(1, 2**53 - 1))
def test_a_message_is_its_text(body: str, thread: int | None) -> None:
    command = OWNER.asks(Post, body=body, thread=thread)
    event = MessagePosted(body, thread)
    content = content_of(event, fingerprint(command))
    assert content == body.encode()
    assert event_of("message", content, target_of(event)) == event
    assert body_of("message", content) == body
    assert recorded_fingerprint("message", content, thread) == fingerprint(command)


def test_another_kind_is_an_object_that_remembers_its_command_and_does_not_show_it() -> None:
    command = OWNER.asks(RenameRoom, name="Other")
    content = content_of(RoomRenamed(name="Other"), fingerprint(command))
    event = event_of("room_renamed", content, None)
    assert isinstance(event, RoomRenamed)
    assert event.name == "Other"
    assert body_of("room_renamed", content) == {"name": "Other"}
    assert recorded_fingerprint("room_renamed", content, None) == fingerprint(command)


@pytest.mark.parametrize("kind", ["message", *STRUCTURED])
def test_of_an_erased_content_nothing_is_known(kind: str) -> None:
    assert body_of(kind, None) is None
    assert recorded_fingerprint(kind, None, None) is None


def test_a_kind_of_a_later_version_is_no_event_and_still_shown() -> None:
    content = orjson.dumps({"request": "0", "shade": "blue"})
    assert event_of("painted", content, None) is None
    assert body_of("painted", content) == {"shade": "blue"}


def test_a_field_of_a_later_version_does_not_hinder_reading() -> None:
    content = orjson.dumps({"request": "0", "name": "Other", "since": 5})
    assert event_of("room_renamed", content, None) == RoomRenamed(name="Other", request="0")


@pytest.mark.parametrize(
    ("kind", "content"), [("message", b"\xff"), ("room_renamed", b"{}"), ("room_renamed", b"")]
)
def test_a_content_that_is_not_of_its_kind_is_refused(kind: str, content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - decoding has its own kinds of it
        event_of(kind, content, None)


def test_who_asks_and_how_to_answer_do_not_change_what_is_asked() -> None:
    asked = OWNER.asks(RenameRoom, name="Other")
    repeated = asked.model_copy(update={"ref": "rq9", "quiet": True, "client_id": "c2"})
    assert fingerprint(asked) == fingerprint(repeated)
    assert fingerprint(asked) == fingerprint(MEMBER.asks(RenameRoom, name="Other"))


@pytest.mark.parametrize(
    "changed", [{"body": "b"}, {"thread": 1}, {"body": "a", "thread": 12}], ids=json.dumps
)
def test_another_body_or_thread_is_another_command(changed: dict[str, Any]) -> None:
    asked = OWNER.asks(Post, body="a", thread=None)
    assert fingerprint(asked) != fingerprint(asked.model_copy(update=changed))


def test_a_command_with_a_set_in_it_has_one_fingerprint_in_every_process() -> None:
    made = {
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT_OF_A_CREATION],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(made) == 1


def test_the_order_of_a_mapping_does_not_change_what_is_asked() -> None:
    def creation(*members: str) -> CreateRoom:
        return OWNER.asks(CreateRoom, name="n", members=dict.fromkeys(members, "member"))

    assert fingerprint(creation("a", "b")) == fingerprint(creation("b", "a"))
    assert fingerprint(creation("a", "b")) != fingerprint(creation("a"))


def test_every_role_can_stand_in_a_command() -> None:
    assert {OWNER.asks(CreateRoom, name="n", open_to=[role]).open_to for role in Role} == {
        frozenset({role}) for role in Role
    }
