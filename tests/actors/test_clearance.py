"""Clearance: what a room takes, who may ask for it, who may give it; and that nothing else grants it."""

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.codec import (
    body_of,
    clearance_of,
    content_of,
    fingerprint,
    recorded_fingerprint,
    target_of,
)
from actors.protocol.commands import (
    CloseRoom,
    Command,
    CreateRoom,
    MarkRoom,
    OpenSession,
    Post,
    PutDirectory,
    PutMember,
    RecordFinding,
    RefreshSession,
    RemoveMember,
    RenameRoom,
    SetPassword,
    SynchroniseUser,
    UpdateUser,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import (
    MarkedMessagePosted,
    MessagePosted,
    RoomCreated,
    RoomMarked,
    UserChanged,
)
from actors.protocol.markings import CLEARANCES, HIGHEST, LOWEST, UNMARKED, Marking, Pap, Tlp
from actors.protocol.roles import Role, RoomRole
from actors.room.decide import decide
from actors.room.evolve import evolve
from actors.room.state import RoomState, state_from_bytes, state_to_bytes
from actors.tenant.decide import decide as decide_tenant
from actors.tenant.evolve import evolve as evolve_tenant
from actors.tenant.state import Session, TenantState, User
from tests.actors.people import (
    ADMIN,
    AT_MS,
    EXTERNAL,
    FINDING,
    MEMBER,
    NOW,
    OWNER,
    SYSTEM,
    Person,
    room,
)

ASKED: Final[tuple[tuple[type[Command], dict[str, Any]], ...]] = (
    (Post, {"body": "hello"}),
    (CreateRoom, {"name": "New"}),
    (RenameRoom, {"name": "Other"}),
    (MarkRoom, {"room_clearance": LOWEST}),
    (PutMember, {"user": "nina"}),
    (RemoveMember, {"user": MEMBER.name}),
    (CloseRoom, {}),
)
levels = st.integers(LOWEST, HIGHEST)
people = st.builds(
    Person,
    st.sampled_from([OWNER.name, MEMBER.name, "otto", "stan"]),
    st.sampled_from([Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER]),
)
open_to_all: Final = frozenset({Role.TENANT_ADMIN, Role.ANALYST, Role.VIEWER})


def marked(level: int, **fields: Any) -> RoomState:
    """A room that takes a clearance."""
    return room(marking=Marking(clearance=level), **fields)


def code(outcome: object) -> ErrorCode | None:
    """The code of a refusal."""
    return outcome.code if isinstance(outcome, Rejection) else None


# Rooms ------------------------------------------------------------------------------------------


@given(levels, levels, people, st.sampled_from(ASKED))
def test_below_its_clearance_a_room_is_none_for_whoever_asks_for_whatever(
    required: int, own: int, who: Person, asked: tuple[type[Command], dict[str, Any]]
) -> None:
    command, fields = asked
    state = marked(required, open_to=open_to_all)
    outcome = decide(state, who.asks(command, clearance=own, **fields), NOW)  # type: ignore[arg-type]
    if own < required:
        nowhere = decide(RoomState(), who.asks(Post, body="hello"), NOW)
        assert outcome == nowhere
    elif command is Post and who.role is not Role.VIEWER:
        assert code(outcome) is not ErrorCode.NOT_FOUND


@pytest.mark.parametrize("system", [EXTERNAL, SYSTEM])
def test_systems_report_into_a_room_of_any_clearance(system: Person) -> None:
    outcome = decide(marked(HIGHEST), system.asks(RecordFinding, finding=FINDING), NOW)
    assert code(outcome) is None


@given(levels, levels, levels)
def test_nobody_asks_for_more_than_he_has(before: int, own: int, wanted: int) -> None:
    opened = decide(
        RoomState(), OWNER.asks(CreateRoom, name="x", clearance=own, room_clearance=wanted), NOW
    )
    assert code(opened) is (ErrorCode.FORBIDDEN if wanted > own else None)
    changed = decide(
        marked(before), OWNER.asks(MarkRoom, clearance=own, room_clearance=wanted), NOW
    )
    if own < before:
        assert code(changed) is ErrorCode.NOT_FOUND
    elif wanted > own:
        assert code(changed) is ErrorCode.FORBIDDEN
    elif wanted == before:
        assert code(changed) is ErrorCode.CONFLICT
    else:
        assert isinstance(changed, RoomMarked)
        assert (changed.before.clearance, changed.after.clearance) == (before, wanted)
        state = evolve(marked(before), changed, OWNER.name, AT_MS)
        assert state.marking.clearance == wanted
        assert state_from_bytes(state_to_bytes(state)) == state


def test_only_who_manages_a_room_marks_it_and_what_is_not_named_stays() -> None:
    by_member = MEMBER.asks(MarkRoom, tlp=Tlp.GREEN)
    assert code(decide(room(), by_member, NOW)) is ErrorCode.FORBIDDEN
    assert code(decide(room(), ADMIN.asks(MarkRoom, tlp=Tlp.GREEN), NOW)) is ErrorCode.NOT_FOUND
    state = room(status="closed", marking=Marking(clearance=0, tlp=Tlp.RED, pap=Pap.RED))
    changed = decide(state, OWNER.asks(MarkRoom, pap=Pap.CLEAR), NOW)
    assert isinstance(changed, RoomMarked)
    assert changed.after == Marking(clearance=0, tlp=Tlp.RED, pap=Pap.CLEAR)


def test_a_room_begins_as_it_is_marked_and_unmarked_ones_as_before() -> None:
    asked = OWNER.asks(CreateRoom, name="x", clearance=2, room_clearance=2, tlp=Tlp.RED)
    opened = decide(RoomState(), asked, NOW)
    assert isinstance(opened, RoomCreated)
    state = evolve(RoomState(), opened, OWNER.name, AT_MS)
    assert state.marking == Marking(clearance=2, tlp=Tlp.RED, pap=UNMARKED.pap)
    plain = decide(RoomState(), OWNER.asks(CreateRoom, name="x"), NOW)
    assert isinstance(plain, RoomCreated)
    assert "marking" not in plain.model_dump()


def test_with_which_clearance_something_is_asked_is_no_part_of_what_is_asked() -> None:
    low, high = (OWNER.asks(RenameRoom, name="x", clearance=level) for level in (0, 2))
    assert fingerprint(low) == fingerprint(high)
    one, other = (OWNER.asks(MarkRoom, room_clearance=level) for level in (0, 2))
    assert fingerprint(one) != fingerprint(other)


def test_the_scales_are_those_of_their_standards_in_order() -> None:
    assert [str(tlp) for tlp in Tlp] == ["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"]
    assert [str(pap) for pap in Pap] == ["RED", "AMBER", "GREEN", "CLEAR"]
    assert CLEARANCES[LOWEST] == "standard"


# Users ------------------------------------------------------------------------------------------

TOM: Final = Person("tom", Role.TENANT_ADMIN)
ANA: Final = Person("ana", Role.ANALYST)


def tenant(tom: int, ana: int) -> TenantState:
    """An administrator and an analyst of these clearances, both signed in."""
    users = {
        "tom": User("tom", None, "Tom", Role.TENANT_ADMIN, "h", clearance=tom),
        "ana": User("ana", None, "Ana", Role.ANALYST, "h", clearance=ana),
    }
    ends = AT_MS + 3_600_000
    sessions = {f"{name}-1": Session(name, "0" * 64, ends) for name in users}
    return TenantState(users, sessions)


@given(levels, levels, levels)
def test_an_administrator_gives_no_more_than_he_has_and_takes_from_everybody(
    own: int, before: int, wanted: int
) -> None:
    state = tenant(own, before)
    # What his command carries is not asked: it can be minutes old.
    asked = TOM.asks(UpdateUser, user="ana", user_clearance=wanted, clearance=HIGHEST)
    outcome = decide_tenant(state, asked, AT_MS)
    if wanted > before and wanted > own:
        assert code(outcome) is ErrorCode.FORBIDDEN
        return
    assert isinstance(outcome, UserChanged)
    assert outcome.sessions == (("ana-1",) if wanted != before else ())
    told = (outcome.before.clearance, outcome.after.clearance)
    assert told == ((before, wanted) if before or wanted else (None, None))
    assert evolve_tenant(state, outcome, "tom", AT_MS).users["ana"].clearance == wanted


def test_nobody_gives_himself_more_and_only_administrators_give() -> None:
    own = ANA.asks(UpdateUser, user="ana", user_clearance=1)
    assert code(decide_tenant(tenant(3, 0), own, AT_MS)) is ErrorCode.FORBIDDEN
    himself = TOM.asks(UpdateUser, user="tom", user_clearance=1)
    assert code(decide_tenant(tenant(0, 0), himself, AT_MS)) is ErrorCode.FORBIDDEN
    operator = SYSTEM.asks(UpdateUser, user="tom", user_clearance=HIGHEST)
    assert code(decide_tenant(tenant(0, 0), operator, AT_MS)) is None


@given(levels, levels)
def test_nobody_sets_the_password_of_a_user_of_a_higher_clearance(own: int, theirs: int) -> None:
    asked = TOM.asks(SetPassword, user="ana", password_hash="other")
    outcome = decide_tenant(tenant(own, theirs), asked, AT_MS)
    assert code(outcome) is (ErrorCode.FORBIDDEN if theirs > own else None)
    mine = ANA.asks(SetPassword, user="ana", password_hash="h", keep="ana-1")
    assert code(decide_tenant(tenant(own, theirs), mine, AT_MS)) is None


@given(levels, levels)
def test_no_session_begins_or_goes_on_with_a_clearance_that_was_lost(now: int, said: int) -> None:
    state = tenant(0, now)
    times = {"refresh": "1" * 64, "expires_ms": AT_MS + 3_600_000}
    opening = ANA.asks(OpenSession, user="ana", session="s", clearance=said, **times)
    lost = code(decide_tenant(state, opening, AT_MS))
    assert lost is (ErrorCode.LOGIN_FAILED if said != now else None)
    again = ANA.asks(RefreshSession, session="ana-1", presented="0" * 64, clearance=said, **times)
    lost = code(decide_tenant(state, again, AT_MS))
    assert lost is (ErrorCode.SESSION_ENDED if said > now else None)


def test_a_member_of_a_room_is_listed_whatever_his_clearance() -> None:
    added = decide(marked(2), OWNER.asks(PutMember, user="nina", clearance=2), NOW)
    state = evolve(marked(2), added, OWNER.name, AT_MS)  # type: ignore[arg-type]
    assert state.members["nina"] is RoomRole.MEMBER
    nina = Person("nina", Role.ANALYST)
    assert code(decide(state, nina.asks(Post, body="x", clearance=1), NOW)) is ErrorCode.NOT_FOUND


# Entries ----------------------------------------------------------------------------------------

markings = st.builds(Marking, clearance=levels, tlp=st.sampled_from(Tlp), pap=st.sampled_from(Pap))


@given(markings, markings, levels)
def test_an_entry_is_marked_as_strictly_as_its_room_or_more_and_not_beyond_its_author(
    of_room: Marking, of_entry: Marking, own: int
) -> None:
    marks = {"entry_clearance": of_entry.clearance, "tlp": of_entry.tlp, "pap": of_entry.pap}
    asked = OWNER.asks(Post, body="hello", thread=3, clearance=own, **marks)
    outcome = decide(room(marking=of_room), asked, NOW)
    stricter = (
        of_entry.clearance >= of_room.clearance
        and list(Tlp).index(of_entry.tlp) <= list(Tlp).index(of_room.tlp)
        and list(Pap).index(of_entry.pap) <= list(Pap).index(of_room.pap)
    )
    if own < of_room.clearance:
        assert code(outcome) is ErrorCode.NOT_FOUND
    elif not stricter:
        assert code(outcome) is ErrorCode.INVALID
    elif of_entry.clearance > own:
        assert code(outcome) is ErrorCode.FORBIDDEN
    else:
        assert isinstance(outcome, MarkedMessagePosted)
        assert outcome.marking == of_entry
        content = content_of(outcome, fingerprint(asked))
        assert target_of(outcome) == 3
        body = body_of(outcome.kind, content)
        assert body == {"text": "hello", "marking": of_entry.model_dump(mode="json")}
        assert recorded_fingerprint(outcome.kind, content, 3) == fingerprint(asked)
        assert clearance_of(outcome.kind, body) == of_entry.clearance


def test_a_message_that_is_not_marked_is_what_it_always_was() -> None:
    plain = OWNER.asks(Post, body="hello", clearance=2)
    outcome = decide(marked(2), plain, NOW)
    assert isinstance(outcome, MessagePosted)
    assert clearance_of(outcome.kind, "hello") == LOWEST
    same = OWNER.asks(Post, body="hello", tlp=Tlp.RED)
    assert fingerprint(plain) != fingerprint(same)


def test_of_an_entry_that_was_erased_the_strictest_is_believed() -> None:
    assert clearance_of(MarkedMessagePosted.kind, None) == HIGHEST


# Users of a directory ---------------------------------------------------------------------------


def with_directory(tom: int, ana: int) -> TenantState:
    """Ana comes from the tenant's directory."""
    state = tenant(tom, ana)
    users = {**state.users, "ana": replace(state.users["ana"], directory_key="guid-1")}
    return replace(state, users=users)


def test_the_directory_keeps_a_users_facts_and_not_his_clearance() -> None:
    given_one = TOM.asks(UpdateUser, user="ana", user_clearance=2)
    outcome = decide_tenant(with_directory(2, 0), given_one, AT_MS)
    assert isinstance(outcome, UserChanged)
    renamed = TOM.asks(UpdateUser, user="ana", user_clearance=2, display_name="Other")
    assert code(decide_tenant(with_directory(2, 0), renamed, AT_MS)) is ErrorCode.CONFLICT
    said = {"display_name": "Ana Two", "email": None, "user_role": Role.VIEWER, "present": True}
    asked = SYSTEM.asks(SynchroniseUser, user="ana", **said)
    state = with_directory(2, 2)
    synchronised = decide_tenant(state, asked, AT_MS)
    assert not isinstance(synchronised, Rejection)
    assert evolve_tenant(state, synchronised, "system", AT_MS).users["ana"].clearance == 2


@given(levels, levels)
def test_nobody_chooses_the_directory_that_vouches_for_a_higher_clearance(
    own: int, theirs: int
) -> None:
    asked = TOM.asks(PutDirectory, settings={}, secret="sealed")
    outcome = decide_tenant(with_directory(own, theirs), asked, AT_MS)
    assert code(outcome) is (ErrorCode.FORBIDDEN if theirs > own else None)
    assert code(decide_tenant(tenant(own, theirs), asked, AT_MS)) is None
