"""An actor in memory: what it does with a command that comes again, and with refusals of systems."""

from collections.abc import Callable

import pytest

from actors.protocol.codec import fingerprint
from actors.protocol.commands import Command, CreateRoom, Post, RecordFinding
from actors.protocol.envelope import Receipt
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import CommandRefused, RoomCreated
from actors.protocol.limits import CONTENT_BYTES_MAX, RECENT_COMMANDS_PER_ROOM
from actors.protocol.roles import Role
from actors.runtime.author_limits import AUTHORS_KEPT_MAX, BURST_S, AuthorLimits
from actors.runtime.behaviour import ROOM
from actors.runtime.mailbox import Mailbox, Proposal
from store.chain import Head, Source, link
from store.record import SALT_BYTES, Record
from tests.actors.people import AT_MS, EXTERNAL, FINDING, MEMBER, OWNER, Person, room
from tests.support.chains import fresh_key


def decided(
    mailbox: Mailbox, command: Command, source: Source, now_ms: int
) -> Proposal | Receipt | Rejection:
    """What the mailbox makes of a command, whose fingerprint is taken when it is read."""
    return mailbox.decide(command, fingerprint(command), source, now_ms)


@pytest.fixture
def mailbox() -> Mailbox:
    """An open room that has no entry in its chain yet."""
    made = Mailbox("r1", ROOM, Head(), fresh_key())
    made.state = room()
    return made


@pytest.fixture
def commit(mailbox: Mailbox) -> Callable[[Command], Record]:
    """Does what a commit does to the actor."""

    def committed(command: Command) -> Record:
        proposal = decided(mailbox, command, Source(0, 1, 0), AT_MS)
        assert isinstance(proposal, Proposal), proposal
        scope = ("acme", mailbox.room, 1)
        record = link(scope, mailbox.head, proposal.draft, AT_MS, bytes(SALT_BYTES))
        mailbox.advance(record, mailbox.after(record, proposal.event), proposal.fingerprint)
        return record

    return committed


def post(number: int, body: str = "hello", who: Person = OWNER) -> Post:
    """A message with a client_id of its own."""
    return Post(client_id=f"m{number}", actor=who.name, role=who.role, body=body)


def test_the_same_command_again_gets_its_first_receipt(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    record = commit(post(1))
    commit(post(2))
    again = decided(mailbox, post(1), Source(0, 9, 9), AT_MS + 5)
    assert isinstance(again, Receipt)
    assert (again.seq, again.hash, again.duplicate) == (1, record.hash.hex(), True)


def test_the_same_client_id_with_another_body_is_a_conflict(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    commit(post(1))
    refused = decided(mailbox, post(1, "something else"), Source(0, 9, 9), AT_MS)
    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.CONFLICT
    assert "entry 1" in refused.detail


def test_the_client_ids_of_two_people_have_nothing_to_do_with_each_other(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    commit(post(1))
    assert isinstance(decided(mailbox, post(1, "mine", MEMBER), Source(0, 9, 9), AT_MS), Proposal)


def test_a_command_whose_content_was_erased_still_gets_its_receipt(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    record = commit(post(1))
    mailbox.remember(record, None)
    assert isinstance(decided(mailbox, post(1, "anything"), Source(0, 9, 9), AT_MS), Receipt)


def test_between_commits_the_last_receipts_are_kept_and_during_one_all_of_them(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    for number in range(2 * RECENT_COMMANDS_PER_ROOM):
        commit(post(number))
    assert len(mailbox.recent) == 2 * RECENT_COMMANDS_PER_ROOM
    mailbox.settle(mailbox.head, mailbox.state)
    mailbox.trim()
    assert len(mailbox.recent) == RECENT_COMMANDS_PER_ROOM
    assert mailbox.recall(post(2 * RECENT_COMMANDS_PER_ROOM - 1), "any") is not None
    assert mailbox.recall(post(RECENT_COMMANDS_PER_ROOM - 1), "any") is None


def test_a_refusal_to_an_external_system_is_a_record_once_there_is_a_chain(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    create = EXTERNAL.asks(CreateRoom, name="There already")
    assert isinstance(decided(mailbox, create, Source(0, 1, 0), AT_MS), Rejection)
    commit(post(1))
    refused = decided(mailbox, create, Source(0, 1, 0), AT_MS)
    assert isinstance(refused, Proposal)
    assert isinstance(refused.event, CommandRefused)
    assert refused.event.code == "room_exists"
    assert refused.event.command["name"] == "There already"


def test_a_system_that_reports_an_incident_again_in_other_words_gets_the_first_receipt(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    mailbox.state = ROOM.initial
    record = commit(EXTERNAL.asks(CreateRoom, name="Port scan", kind="incident"))
    again = decided(
        mailbox,
        EXTERNAL.asks(CreateRoom, name="Port scan of 9 hosts", kind="incident"),
        Source(0, 2, 0),
        AT_MS,
    )
    assert isinstance(again, Receipt)
    assert again.seq == record.seq


def test_a_person_who_repeats_a_creation_in_other_words_gets_a_conflict(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    mailbox.state = ROOM.initial
    commit(OWNER.asks(CreateRoom, name="Mine"))
    refused = decided(mailbox, OWNER.asks(CreateRoom, name="Ours"), Source(0, 2, 0), AT_MS)
    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.CONFLICT


@pytest.mark.parametrize(("room_for", "ok"), [(-1_000, True), (0, False)])
def test_a_content_has_its_limit_in_bytes(mailbox: Mailbox, room_for: int, ok: bool) -> None:
    raw = {"text": "x" * (CONTENT_BYTES_MAX + room_for)}
    command = EXTERNAL.asks(RecordFinding, finding=FINDING.model_copy(update={"raw": raw}))
    outcome = decided(mailbox, command, Source(0, 1, 0), AT_MS)
    assert isinstance(outcome, Proposal) is ok
    if isinstance(outcome, Rejection):
        assert outcome.code is ErrorCode.TOO_LARGE


def test_deciding_changes_nothing(mailbox: Mailbox) -> None:
    before = (mailbox.head, mailbox.state, dict(mailbox.recent))
    proposal = decided(mailbox, post(1), Source(0, 1, 0), AT_MS)
    assert isinstance(proposal, Proposal)
    assert (mailbox.head, mailbox.state, dict(mailbox.recent)) == before


def test_a_room_that_is_created_knows_it_at_once(
    mailbox: Mailbox, commit: Callable[[Command], Record]
) -> None:
    mailbox.state = ROOM.initial
    commit(OWNER.asks(CreateRoom, name="Mine"))
    assert mailbox.state.exists
    assert mailbox.state.role_of(OWNER.name, Role.ANALYST) == "owner"
    assert RoomCreated.kind in ROOM.state_kinds


def test_an_author_says_a_minutes_worth_at_once_and_then_at_the_permitted_rate() -> None:
    limits = AuthorLimits(per_second=2)
    taken = [limits.refusal(post(number), AT_MS) for number in range(int(2 * BURST_S) + 1)]
    assert [refused for refused in taken if refused] == taken[-1:]
    assert taken[-1] is not None
    assert taken[-1].code is ErrorCode.TOO_MANY

    assert limits.refusal(post(0), AT_MS + 499) is not None
    assert limits.refusal(post(0), AT_MS + 500) is None
    assert limits.refusal(post(0), AT_MS + 500) is not None


def test_one_authors_limit_is_nobody_elses_and_systems_have_none() -> None:
    limits = AuthorLimits(per_second=1 / BURST_S)
    assert limits.refusal(post(1, who=OWNER), AT_MS) is None
    assert limits.refusal(post(2, who=OWNER), AT_MS) is not None
    assert limits.refusal(post(3, who=MEMBER), AT_MS) is None
    for number in range(3):
        assert limits.refusal(post(number, who=EXTERNAL), AT_MS) is None


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    limits = AuthorLimits(per_second=2 / BURST_S)
    assert limits.refusal(post(1), AT_MS) is None
    assert limits.refusal(post(2), AT_MS - 3_600_000) is None
    assert limits.refusal(post(3), AT_MS - 3_600_000) is not None


def test_authors_beyond_a_number_are_forgotten_longest_silent_first() -> None:
    limits = AuthorLimits(per_second=1 / BURST_S)
    people = [Person(f"user{number}", Role.ANALYST) for number in range(AUTHORS_KEPT_MAX + 1)]
    for who in people:
        assert limits.refusal(post(1, who=who), AT_MS) is None
    assert limits.refusal(post(2, who=people[-1]), AT_MS) is not None
    assert limits.refusal(post(2, who=people[0]), AT_MS) is None


def test_a_message_that_comes_again_costs_nothing() -> None:
    room_of_few = Mailbox("r1", ROOM, Head(), fresh_key(), 1 / BURST_S)
    room_of_few.state = room()
    first = decided(room_of_few, post(1), Source(0, 1, 0), AT_MS)
    assert isinstance(first, Proposal)
    scope = ("acme", "r1", 1)
    record = link(scope, room_of_few.head, first.draft, AT_MS, bytes(SALT_BYTES))
    room_of_few.advance(record, room_of_few.state, first.fingerprint)

    assert isinstance(decided(room_of_few, post(1), Source(0, 2, 0), AT_MS), Receipt)
    refused = decided(room_of_few, post(2), Source(0, 3, 0), AT_MS)
    assert isinstance(refused, Rejection)
    assert refused.code is ErrorCode.TOO_MANY
