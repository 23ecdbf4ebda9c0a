"""Every subject, by everybody who has credentials, published, asked and heard: what the policy says.

Nothing here knows a subject: what is tried, by whom, and what must come of it is made from the policy,
the names that the code has for subjects, and the permissions that the server is given.
"""

import ast
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

import pytest

from actors.protocol import subjects
from deploy.provision.nats_permissions import TENANT, USERS
from tests.deploy.nats_land import CORE, SYS, Caller, Land, land
from tests.deploy.nats_policy import (
    EXTERNAL,
    NARROW,
    NO_SUBJECTS,
    lines,
    patterns,
)
from tests.deploy.nats_wire import Told

KINDS: Final = (
    *((user, 0) for user in USERS),
    *((kind, tenant) for kind in (EXTERNAL, NARROW) for tenant in (0, 1)),
)
"""Everybody: our own users, and external systems of two tenants."""
ANSWERED_IN_PLACE: Final = ("$JS.API.DIRECT.GET.", "$JS.API.CONSUMER.MSG.NEXT.")
"""Requests to JetStream that stay in the account of the stream."""


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Land]:
    async with land(tmp_path_factory.mktemp("matrix")) as ready:
        yield ready


@pytest.fixture(params=KINDS, ids=lambda param: f"{param[0]}-{'ab'[param[1]]}")
def caller(stack: Land, request: pytest.FixtureRequest) -> Caller:
    kind, number = request.param
    return stack.caller(kind, stack.tenants[number] if kind in (EXTERNAL, NARROW) else "")


def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription gets what is published on a subject."""
    head, *rest = pattern.split(".", 1)
    token, *tail = subject.split(".", 1)
    if pattern == ">":
        return True
    if head not in ("*", token) or len(rest) != len(tail):
        return False
    return not rest or matches(rest[0], tail[0])


def places(caller: Caller, subject: str) -> set[tuple[str, str]]:
    """The accounts in which something that may be published arrives, and how it is called there."""
    found = {(caller.account, subject)}
    if caller.is_external:
        found.add((CORE, subject.replace("ingest.", f"ingest.{caller.tenant}.", 1)))
    if subject.startswith("$JS.API.") and not subject.startswith(ANSWERED_IN_PLACE):
        # The servers' own account answers for JetStream.
        found.add((SYS, subject))
    return found


def arrived(heard: dict[str, Told], mark: str) -> dict[int, set[tuple[str, str]]]:
    """For each number behind a mark where it was heard."""
    found: dict[int, set[tuple[str, str]]] = {}
    for account, told in heard.items():
        for message in told.heard:
            if message.body.startswith(mark):
                number = int(message.body.removeprefix(mark))
                found.setdefault(number, set()).add((account, message.subject))
    return found


# The policy has a line for everything ---------------------------------------------------------------


def spellers() -> set[str]:
    """The public names of the module that spells subjects."""
    with open(subjects.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    names = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")}


def test_whatever_spells_a_subject_has_a_line_in_the_policy() -> None:
    named = {name for line in (*lines("a"), *patterns("a")) for name in line.by}
    assert named | NO_SUBJECTS == spellers()
    assert not named & NO_SUBJECTS


def test_no_subject_has_two_lines() -> None:
    counted = Counter(line.subject for line in (*lines("a", "b"), *patterns("a", "b")))
    assert [subject for subject, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("user", USERS)
def test_every_permission_is_one_that_a_line_gives(user: str) -> None:
    permissions = next(given for name, given in USERS.items() if name == user)
    said, heard = lines("a"), (*lines("a"), *patterns("a"))
    for allowed in permissions.publish:
        assert any(matches(allowed, line.subject) and user in line.publish for line in said), (
            allowed
        )
    for allowed in permissions.subscribe:
        assert any(matches(allowed, line.subject) and user in line.hear for line in heard), allowed


def test_every_permission_of_external_systems_is_one_that_a_line_gives() -> None:
    assert (TENANT.publish, TENANT.subscribe) == (("ingest.>",), ("_INBOX.>",))


# And the server holds to it -------------------------------------------------------------------------


async def test_what_is_published_arrives_where_the_policy_says_or_nowhere(
    stack: Land, caller: Caller
) -> None:
    policy = lines(*stack.tenants)
    async with stack.let_in(caller.greeter) as speaker:
        for number, line in enumerate(policy):
            speaker.publish(line.subject, f"said {number}")
        told = await speaker.settled()
        assert told.alive
    refused = [line.subject for line in policy if caller.kind not in line.publish]
    assert told.refused("Publish") == refused
    assert len(told.errors) == len(refused)
    assert arrived(await stack.heard(), "said ") == {
        number: places(caller, line.subject)
        for number, line in enumerate(policy)
        if caller.kind in line.publish
    }


async def test_what_is_asked_is_answered_to_those_who_may_ask_it(
    stack: Land, caller: Caller
) -> None:
    policy = lines(*stack.tenants)
    inbox = f"_INBOX.{caller.kind}"
    async with stack.let_in(caller.greeter) as asker:
        asker.subscribe(f"{inbox}.*")
        for number, line in enumerate(policy):
            asker.publish(line.subject, f"asked {number}", reply=f"{inbox}.{number}")
        told = await asker.settled()
        heard = await stack.heard()
        for account in (CORE, SYS):
            for message in heard[account].heard:
                if message.body.startswith("asked "):
                    stack.ears[account].publish(message.reply, "answer")
        await stack.heard()
        later = await asker.settled()
    allowed = {n for n, line in enumerate(policy) if caller.kind in line.publish}
    answered = {message.subject for message in (*told.heard, *later.heard)}
    assert arrived(heard, "asked ").keys() == allowed
    assert answered == {f"{inbox}.{number}" for number in allowed}


async def test_what_is_said_in_any_account_is_heard_by_those_who_may(
    stack: Land, caller: Caller
) -> None:
    said, policy = lines(*stack.tenants), (*lines(*stack.tenants), *patterns(*stack.tenants))
    async with stack.let_in(caller.greeter) as listener:
        for number, line in enumerate(policy):
            listener.subscribe(line.subject)
            listener.subscribe(line.subject, f"queue-{number}")
        told = await listener.settled()
        for account, ear in stack.ears.items():
            for line in said:
                ear.publish(line.subject, f"{account} {line.subject}")
        await stack.heard()
        heard = (await listener.settled()).heard
    assert told.refused("Subscription") == [
        line.subject for line in policy if caller.kind not in line.hear for _ in range(2)
    ]
    assert len(told.errors) == len(told.refused("Subscription"))
    expected: Counter[tuple[str, bool, str]] = Counter(
        (line.subject, queue, f"{caller.account} {spoken.subject}")
        for line in policy
        if caller.kind in line.hear
        for spoken in said
        if matches(line.subject, spoken.subject)
        for queue in (False, True)
    )
    assert Counter((each.asked, bool(each.queue), each.body) for each in heard) == expected
