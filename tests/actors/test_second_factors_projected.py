"""Spent codes stay spent when the actor is cut off, taken over, or reads its chain anew."""

from typing import Any, Final

import pytest

from actors.protocol.commands import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    OpenSession,
    ResetSecondFactor,
    SecondFactorProof,
    SetSecondFactorPolicy,
    TenantCommand,
)
from actors.protocol.errors import ErrorCode
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.roles import Role
from deploy.local.stack import LocalStack
from store.rows import SECOND_FACTOR, SecondFactorRow
from tests.actors.by_hand import Owner, Stream, owner
from tests.actors.people import AT_MS, SYSTEM, Person
from tests.actors.test_takeover import CutOff
from tests.actors.test_tenant_rules import new_user

pytestmark = pytest.mark.servers

BOB: Final = Person("u2", Role.ANALYST)
ONE, TWO = "1" * 64, "2" * 64


def entering(session: str, **proof: Any) -> TenantCommand:
    """A sign-in of bob's."""
    facts = {"user": "u2", "refresh": "0" * 64, "expires_ms": AT_MS + 3_600_000}
    return BOB.asks(OpenSession, client_id=session, session=session, **facts, **proof)


def totp(step: int) -> SecondFactorProof:
    """A code of a time step."""
    return SecondFactorProof(factor="f1", method="totp", step=step)


def recovery(digest: str) -> SecondFactorProof:
    """A recovery code."""
    return SecondFactorProof(factor="f1", method="recovery", recovery=digest)


async def enrol(one: Owner) -> None:
    """Bob, with a second factor of two recovery codes; step 100 is used."""
    begin = BOB.asks(BeginSecondFactor, client_id="b", user="u2", factor="f1", secret="SEALED")
    facts = {"user": "u2", "factor": "f1", "step": 100, "recovery": (ONE, TWO), "session": "s0"}
    confirm = BOB.asks(ConfirmSecondFactor, client_id="c", **facts)
    await one.do(TENANT_ROOM, new_user(SYSTEM), entering("s0"), begin, confirm)


async def refused(one: Owner, *commands: TenantCommand) -> set[ErrorCode | None]:
    """How commands are answered."""
    return {answer.code for answer in await one.ask(TENANT_ROOM, *commands)}


async def test_codes_that_one_owner_accepted_are_used_for_the_next(
    stack: LocalStack, tenant: str
) -> None:
    stream = Stream()
    async with owner(stack, tenant, stream) as first:
        await enrol(first)
        await first.do(TENANT_ROOM, entering("s1", proof=totp(105)))
        await first.do(TENANT_ROOM, entering("s2", proof=recovery(ONE)))
    async with owner(stack, tenant, stream, epoch=2) as second:
        again = (totp(105), totp(104), recovery(ONE))
        tries = [entering(f"t{n}", proof=proof) for n, proof in enumerate(again)]
        assert await refused(second, *tries) == {ErrorCode.SECOND_FACTOR_FAILED}
        await second.do(TENANT_ROOM, entering("s3", proof=totp(106)))
        await second.do(TENANT_ROOM, entering("s4", proof=recovery(TWO)))


@pytest.mark.parametrize("point", ["records_written", "projected", "published"])
async def test_a_sign_in_that_was_cut_off_in_the_middle_has_spent_its_code_once(
    stack: LocalStack, tenant: str, point: str
) -> None:
    cut = CutOff()
    async with owner(stack, tenant, Stream(), reach=cut) as one:
        await enrol(one)
        cut.point = point
        await one.do(TENANT_ROOM, entering("s1", proof=recovery(ONE)))
        assert await one.reader.session_active("s1")
        row = await one.reader.user("u2")
        assert row is not None
        assert row.second_factor == SecondFactorRow("f1", "SEALED", (TWO,))
        again = await refused(one, entering("s2", proof=recovery(ONE)))
        assert again == {ErrorCode.SECOND_FACTOR_FAILED}
        assert not await one.reader.session_active("s2")


async def test_rows_follow_a_second_factor_and_the_policy(stack: LocalStack, tenant: str) -> None:
    async with owner(stack, tenant, Stream()) as one:
        assert await one.reader.people.policy(SECOND_FACTOR) is None
        await enrol(one)
        row = await one.reader.user("u2")
        assert row is not None
        assert row.second_factor == SecondFactorRow("f1", "SEALED", (ONE, TWO))
        assert row.begun is None
        assert await one.reader.session_active("s0")
        await one.do(TENANT_ROOM, SYSTEM.asks(SetSecondFactorPolicy, client_id="p", required=True))
        assert await one.reader.people.policy(SECOND_FACTOR) == "required"
        reset = SYSTEM.asks(ResetSecondFactor, client_id="r", user="u2")
        await one.do(TENANT_ROOM, reset)
        row = await one.reader.user("u2")
        assert row is not None
        assert row.second_factor is None
        assert not await one.reader.session_active("s0")
