"""Users' rows follow the chain through takeovers: what was taken away does not come back."""

from typing import Final

import pytest

from actors.protocol.commands import DeleteUser, DisableUser, EnableUser, EndSessions, UpdateUser
from actors.protocol.events import UserChanged, UserCreated
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from actors.runtime.projector import project
from deploy.local.stack import LocalStack
from store.reader import Reader
from store.rows import LoginCandidate
from tests.actors.by_hand import Owner, Stream, owner
from tests.actors.people import AT_MS, SYSTEM, Person
from tests.actors.test_takeover import CutOff
from tests.actors.test_tenant_rules import new_user, opening

pytestmark = pytest.mark.servers

BOB: Final = Person("u2", Role.ANALYST)


def asks_system(number: int) -> Person:
    """The operator; each of his commands needs a name of its own."""
    return Person(f"operator-{number}", SYSTEM.role)


async def logins(one: Owner, name: str) -> list[LoginCandidate]:
    """Whom a name leads to in the tenant of an owner."""
    tenant = one.reader.tenant
    found = await Reader(one.services.connection, one.services.keys).logins(f"{name}@{tenant}")
    return [candidate for candidate in found if candidate.tenant == tenant]


async def test_an_owner_that_was_overtaken_lets_no_disabled_user_in_again(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as first:
        await first.do(TENANT_ROOM, new_user(SYSTEM))
        (overtaken,) = first.worker.mailboxes.active_since(float("-inf"))
        async with owner(stack, tenant, stream, epoch=2) as second:
            await second.do(TENANT_ROOM, asks_system(1).asks(DisableUser, user="u2"))
            row = await second.reader.user("u2")
            assert row is not None
            assert (row.disabled, row.applied) == (True, 2)
            # What the first had still under way when it was overtaken.
            facts = {"username": "Bob", "email": None, "display_name": "Bob"}
            late = UserCreated(user="u2", role=Role.ANALYST, password_hash="argon2", **facts)  # type: ignore[arg-type]
            await project(first.worker.mailboxes.projections, overtaken, [(1, late)])
            assert await second.reader.user("u2") == row


@pytest.mark.parametrize("point", ["records_written", "projected", "published"])
async def test_who_was_cut_off_in_the_middle_of_disabling_leaves_no_session_alive(
    stack: LocalStack, tenant: str, point: str
) -> None:
    stream, cut = Stream(), CutOff()
    async with owner(stack, tenant, stream, reach=cut) as one:
        await one.do(TENANT_ROOM, new_user(SYSTEM), opening(user="u2"))
        assert await one.reader.session_active("s1")
        cut.point = point
        await one.do(TENANT_ROOM, asks_system(1).asks(DisableUser, user="u2"))
        assert not await one.reader.session_active("s1")
        row = await one.reader.user("u2")
        assert row is not None
        assert row.disabled


async def test_names_follow_their_users_also_when_all_of_it_is_projected_again(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant, Stream()) as one:
        mail, other = f"bob@{tenant}.example", f"robert@{tenant}.example"
        await one.do(
            TENANT_ROOM,
            new_user(SYSTEM, email=mail),
            asks_system(1).asks(UpdateUser, user="u2", email=other),
            new_user(asks_system(2), user="u3", username="carl", email=mail),
            asks_system(3).asks(DeleteUser, user="u3"),
            new_user(asks_system(4), user="u4", username="carl", email=mail),
        )
        names = {"Bob": "u2", other: "u2", "carl": "u4", mail: "u4"}
        (mailbox,) = one.worker.mailboxes.active_since(float("-inf"))
        seen = await one.reader.entries(TENANT_ROOM)
        for _ in range(2):
            for name, user in names.items():
                assert await logins(one, name) == [LoginCandidate(tenant, user)], name
            events = [
                (entry.seq, model.model_validate_json(entry.content or b""))
                for entry in seen
                for model in (UserCreated, UserChanged)
                if entry.kind == model.kind
            ]
            await project(one.worker.mailboxes.projections, mailbox, events)  # type: ignore[arg-type]
        present = [row.user for row in await one.reader.users(after="", limit=9)]
        deleted = [row.user for row in await one.reader.users(after="", limit=9, deleted=True)]
        assert (present, deleted) == (["u2", "u4"], ["u3"])


async def test_a_user_who_signs_out_everywhere_signs_in_again(
    stack: LocalStack, tenant: str
) -> None:
    async with owner(stack, tenant, Stream()) as one:
        expires_ms = AT_MS + 10**9
        again = BOB.asks(EndSessions, user="u2").model_copy(update={"client_id": "c2"})
        await one.do(
            TENANT_ROOM,
            new_user(SYSTEM),
            opening(user="u2"),
            opening(user="u2", session="s2", expires_ms=expires_ms, client_id="c3"),
            again,
            opening(user="u2", session="s3", expires_ms=expires_ms, client_id="c4"),
        )
        alive = [await one.reader.session_active(name) for name in ("s1", "s2", "s3")]
        assert alive == [False, False, True]
        await one.do(
            TENANT_ROOM,
            asks_system(1).asks(DisableUser, user="u2"),
            asks_system(2).asks(EnableUser, user="u2"),
        )
        assert not await one.reader.session_active("s3")
        row = await one.reader.user("u2")
        assert row is not None
        assert not row.disabled
