"""Who may do what in a room: every command, by every role, in every kind of room."""

from typing import Any

import pytest

from actors.protocol.commands import (
    CloseRoom,
    Command,
    CreateRoom,
    Post,
    PutMember,
    RecordFinding,
    RemoveMember,
    RenameRoom,
    ReopenRoom,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import RoomCreated
from actors.protocol.limits import MEMBERS_MAX, MESSAGE_BYTES_MAX
from actors.protocol.roles import Role, RoomRole
from actors.room.decide import decide
from actors.room.state import RoomState
from tests.actors.people import (
    ADMIN,
    EXTERNAL,
    FINDING,
    MEMBER,
    NOW,
    OBSERVER,
    OWNER,
    STRANGER,
    SYSTEM,
    VIEWER,
    Person,
    room,
)

EVERYBODY = (OWNER, MEMBER, OBSERVER, STRANGER, ADMIN, VIEWER, EXTERNAL, SYSTEM)
ASKED: dict[str, tuple[type[Command], dict[str, Any]]] = {
    "post": (Post, {"body": "hello"}),
    "create": (CreateRoom, {"name": "New"}),
    "rename": (RenameRoom, {"name": "Other"}),
    "put": (PutMember, {"user": "nina"}),
    "remove": (RemoveMember, {"user": MEMBER.name}),
    "close": (CloseRoom, {}),
    "reopen": (ReopenRoom, {}),
    "finding": (RecordFinding, {"finding": FINDING}),
}


def outcome(state: RoomState, who: Person, asked: str) -> str:
    """The kind of the event that follows, or the code of the refusal."""
    command, fields = ASKED[asked]
    decided = decide(state, who.asks(command, **fields), NOW)  # type: ignore[arg-type]
    return f"refused: {decided.code}" if isinstance(decided, Rejection) else decided.kind


def outcomes(state: RoomState, asked: str) -> dict[str, str]:
    """What each of the cast gets."""
    return {who.name: outcome(state, who, asked) for who in EVERYBODY}


def row(*answers: str) -> dict[str, str]:
    """Answers in the order of `EVERYBODY`."""
    return dict(zip((who.name for who in EVERYBODY), answers, strict=True))


NO = "refused: not_found"
STOP = "refused: forbidden"
THERE = "refused: room_exists"
SHUT = "refused: room_closed"
OPEN = "refused: conflict"
#                 owner            member           observer  stranger  admin  viewer  external   system
STANDING = {
    "post": row("message", "message", STOP, NO, NO, NO, "message", "message"),
    "create": row(THERE, THERE, STOP, THERE, THERE, STOP, THERE, THERE),
    "rename": row("room_renamed", STOP, STOP, NO, NO, NO, STOP, "room_renamed"),
    "put": row("member_added", STOP, STOP, NO, NO, NO, STOP, "member_added"),
    "remove": row("member_removed", "member_removed", STOP, NO, NO, NO, STOP, "member_removed"),
    "close": row("room_closed", STOP, STOP, NO, NO, NO, STOP, "room_closed"),
    "reopen": row(OPEN, STOP, STOP, NO, NO, NO, STOP, OPEN),
    "finding": row(STOP, STOP, STOP, STOP, STOP, STOP, "finding", "finding"),
}
CLOSED = {
    **STANDING,
    "post": row(SHUT, SHUT, STOP, NO, NO, NO, SHUT, SHUT),
    "close": row(SHUT, STOP, STOP, NO, NO, NO, STOP, SHUT),
    "reopen": row("room_reopened", STOP, STOP, NO, NO, NO, STOP, "room_reopened"),
}
OPEN_TO_ALL = {
    "post": row("message", "message", STOP, "message", "message", STOP, "message", "message"),
    "rename": row("room_renamed", STOP, STOP, STOP, "room_renamed", STOP, STOP, "room_renamed"),
}
INCIDENT = {
    "rename": row("room_renamed", "room_renamed", STOP, NO, NO, NO, STOP, "room_renamed"),
    "close": row("room_closed", "room_closed", STOP, NO, NO, NO, STOP, "room_closed"),
}
NOTHING_THERE = {
    **{asked: row(*(NO,) * 8) for asked in ("post", "rename", "put", "remove", "close", "reopen")},
    "create": row(
        *("room_created",) * 2, STOP, *("room_created",) * 2, STOP, *("room_created",) * 2
    ),
    "finding": row(STOP, STOP, STOP, STOP, STOP, STOP, NO, NO),
}


@pytest.mark.parametrize("asked", STANDING)
def test_in_a_standing_room_each_role_gets_its_due(asked: str) -> None:
    assert outcomes(room(), asked) == STANDING[asked]


@pytest.mark.parametrize("asked", CLOSED)
def test_in_a_closed_room_nobody_speaks_and_facts_still_arrive(asked: str) -> None:
    assert outcomes(room(status="closed"), asked) == CLOSED[asked]


@pytest.mark.parametrize("asked", OPEN_TO_ALL)
def test_roles_that_a_room_is_open_to_enter_unlisted_and_viewers_only_read(asked: str) -> None:
    state = room(open_to=frozenset({Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER}))
    assert outcomes(state, asked) == OPEN_TO_ALL[asked]


@pytest.mark.parametrize("asked", INCIDENT)
def test_in_an_incident_room_every_analyst_in_it_may_manage(asked: str) -> None:
    assert outcomes(room(kind="incident"), asked) == INCIDENT[asked]


@pytest.mark.parametrize("asked", NOTHING_THERE)
def test_where_no_room_is_everybody_is_told_so_and_only_creating_works(asked: str) -> None:
    assert outcomes(RoomState(), asked) == NOTHING_THERE[asked]


def test_a_person_who_opens_a_room_owns_it_and_a_system_does_not() -> None:
    asked = {"name": "New", "members": {MEMBER.name: RoomRole.MEMBER}, "open_to": [Role.VIEWER]}
    by_person = decide(RoomState(), OWNER.asks(CreateRoom, **asked), NOW)
    by_system = decide(RoomState(), EXTERNAL.asks(CreateRoom, **asked), NOW)
    assert isinstance(by_person, RoomCreated)
    assert isinstance(by_system, RoomCreated)
    assert by_person.model_dump(mode="json", exclude={"request"}) == {
        "name": "New",
        "room_kind": "standing",
        "incident": None,
        "members": {MEMBER.name: "member", OWNER.name: "owner"},
        "open_to": ["viewer"],
    }
    assert by_system.members == {MEMBER.name: RoomRole.MEMBER}


def test_a_viewer_of_the_platform_only_reads_whatever_a_room_lists_him_as() -> None:
    vic = Person("vic", Role.PLATFORM_VIEWER)
    open_to = frozenset({Role.PLATFORM_VIEWER})
    for state in (room(open_to=open_to), room(members={"vic": RoomRole.OWNER})):
        for command in (vic.asks(Post, body="hello"), vic.asks(RenameRoom, name="His")):
            outcome = decide(state, command, NOW)
            assert isinstance(outcome, Rejection)
            assert outcome.code is ErrorCode.FORBIDDEN


def test_a_listed_role_counts_before_what_the_room_is_open_to() -> None:
    state = room(open_to=frozenset({Role.ANALYST}), members={STRANGER.name: RoomRole.OBSERVER})
    assert outcome(state, STRANGER, "post") == STOP


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "invalid"),
        ("x" * MESSAGE_BYTES_MAX, "message"),
        ("x" * (MESSAGE_BYTES_MAX + 1), "too_large"),
        ("é" * (MESSAGE_BYTES_MAX // 2), "message"),
        ("é" * (MESSAGE_BYTES_MAX // 2 + 1), "too_large"),
        ("\0", "message"),
    ],
    ids=["empty", "full", "over", "full-in-bytes", "over-in-bytes", "nul"],
)
def test_a_message_is_measured_in_bytes(body: str, expected: str) -> None:
    decided = decide(room(), OWNER.asks(Post, body=body), NOW)
    assert (decided.code if isinstance(decided, Rejection) else decided.kind) == expected


@pytest.mark.parametrize(
    ("thread", "ok"), [(1, True), (10, True), (0, False), (11, False), (-1, False)]
)
def test_only_an_entry_that_is_there_can_be_answered(thread: int, ok: bool) -> None:
    decided = decide(room(), OWNER.asks(Post, body="re", thread=thread), NOW)
    assert isinstance(decided, Rejection) is not ok
    if isinstance(decided, Rejection):
        assert decided.code is ErrorCode.INVALID


@pytest.mark.parametrize("who", [MEMBER, OBSERVER])
@pytest.mark.parametrize("status", ["open", "closed"])
def test_everybody_may_leave(who: Person, status: str) -> None:
    decided = decide(room(status=status), who.asks(RemoveMember, user=who.name), NOW)
    assert not isinstance(decided, Rejection)


@pytest.mark.parametrize(
    "command",
    [
        OWNER.asks(RemoveMember, user=OWNER.name),
        OWNER.asks(PutMember, user=OWNER.name, room_role=RoomRole.MEMBER),
        SYSTEM.asks(RemoveMember, user=OWNER.name),
    ],
    ids=["leaving", "stepping-down", "removed"],
)
def test_a_room_keeps_an_owner(command: RemoveMember | PutMember) -> None:
    decided = decide(room(), command, NOW)
    assert isinstance(decided, Rejection)
    assert decided.code is ErrorCode.CONFLICT
    two_owners = room(members={OWNER.name: RoomRole.OWNER, MEMBER.name: RoomRole.OWNER})
    assert not isinstance(decide(two_owners, command, NOW), Rejection)


def test_nobody_is_removed_who_is_not_there() -> None:
    decided = decide(room(), OWNER.asks(RemoveMember, user="nobody"), NOW)
    assert isinstance(decided, Rejection)
    assert decided.code is ErrorCode.NOT_FOUND


def test_a_full_room_takes_no_new_member_and_still_changes_the_role_of_one() -> None:
    crowd = {f"u{number}": RoomRole.MEMBER for number in range(MEMBERS_MAX - 1)}
    state = room(members={OWNER.name: RoomRole.OWNER, **crowd})
    refused = decide(state, OWNER.asks(PutMember, user="one-more"), NOW)
    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.TOO_MANY
    changed = OWNER.asks(PutMember, user="u1", room_role=RoomRole.OBSERVER)
    assert not isinstance(decide(state, changed, NOW), Rejection)
