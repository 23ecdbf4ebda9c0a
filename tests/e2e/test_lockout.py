"""Guessing passwords through the public surface: it takes longer and longer, and it shows."""

from typing import Final

import orjson

from actors.protocol.ids import TENANT_ROOM
from gateway.passwords import hash_password
from store.entries import StoredEntry
from tests.e2e.clients import Client, Json
from tests.e2e.system import ARGON2_MEMORY_KIB, PASSWORD, Company, Gateway
from tests.support.eventually import eventually

FREE: Final = 3
FREE_OF_TWO: Final = 8


async def guess(gateway: Gateway, name: str, password: str = "a guess") -> tuple[int, Json, str]:  # noqa: S107 -- it is wrong
    """Try to sign in; the answer, and when to come again."""
    body = {"username": name, "password": password}
    answer = await Client(gateway.http).ask("POST", "/auth/login", body)
    return answer.status_code, answer.json(), answer.headers.get("Retry-After", "")


async def guess_until_locked(gateway: Gateway, name: str) -> list[tuple[int, Json, str]]:
    """Guess until it must wait; all answers. A machine that is very busy may sit out a first wait."""
    answers = [await guess(gateway, name)]
    while answers[-1][0] == 401:
        assert len(answers) < FREE + 10, "nobody is ever told to wait"
        answers.append(await guess(gateway, name))
    return answers


async def recorded(company: Company, kind: str) -> list[StoredEntry]:
    """The records of a kind in the company's own chain."""
    async with company.system.reader() as reader:
        tenant = await reader.tenant(company.tenant)
        assert tenant is not None
        return await tenant.entries(TENANT_ROOM, kind=kind)


async def failures_of_ana(company: Company) -> list[StoredEntry]:
    """The failed sign-ins of hers; those of nobody who is known name no user."""
    return [
        entry
        for entry in await recorded(company, "sign_in_failed")
        if orjson.loads(entry.content or b"")["user"] == company.user("ana")
    ]


async def test_guesses_must_wait_alike_for_somebody_and_for_nobody(company: Company) -> None:
    async with company.system.another_gateway(WARDROOM_LOGIN_FAILURES_ACCOUNT=str(FREE)) as gateway:
        known = await guess_until_locked(gateway, company.username("ana"))
        unknown = await guess_until_locked(gateway, f"nobody.{company.tenant}")

        assert len(known) > FREE
        for answers in (known, unknown):
            assert {status for status, _, _ in answers[:-1]} == {401}
            assert (answers[-1][0], answers[-1][1]["code"]) == (429, "too_many")
            assert int(answers[-1][2]) >= 1
        assert known[0] == unknown[0]
        assert known[-1][1] == unknown[-1][1]
        await Client.sign_in(gateway.http, company.username("bob"), PASSWORD)

        async def told() -> list[StoredEntry] | None:
            return await failures_of_ana(company) or None

        [record] = await eventually(told, "the failure is in the chain")
        said = orjson.loads(record.content or b"")
        assert (said["user"], said["count"]) == (company.user("ana"), 1)
        assert (said["address"], said["reason"]) == ("127.0.0.1", "wrong_password")

    later = await failures_of_ana(company)
    assert [orjson.loads(entry.content or b"")["count"] for entry in later] == [1, len(known) - 1]


async def test_a_second_gateway_gives_no_second_set_of_tries(company: Company) -> None:
    free = {"WARDROOM_LOGIN_FAILURES_ACCOUNT": str(FREE_OF_TWO)}
    async with (
        company.system.another_gateway(**free) as first,
        company.system.another_gateway(**free) as second,
    ):
        name = company.username("ana")
        for _ in range(FREE_OF_TWO):
            assert (await guess(first, name))[0] == 401
        answers = await guess_until_locked(second, name)
        # By itself it would have let as many pass as the first; news may be a moment under way.
        assert len(answers) <= FREE_OF_TWO
        await Client.sign_in(second.http, company.username("bob"), PASSWORD)


async def test_a_sign_in_renews_a_hash_of_another_cost(company: Company) -> None:
    user = company.user("ana")
    async with company.system.another_gateway(WARDROOM_ARGON2_PASSES="2") as gateway:
        await Client.sign_in(gateway.http, company.username("ana"), PASSWORD)

        async def renewed() -> str | None:
            async with company.system.reader() as reader:
                tenant = await reader.tenant(company.tenant)
                row = await tenant.user(user) if tenant else None
            assert row is not None
            return row.password_hash if "t=2" in row.password_hash else None

        again = await eventually(renewed, "the user's row has the new hash")
        cost = hash_password("x", memory_kib=ARGON2_MEMORY_KIB, passes=2).split("$")[:4]
        assert again.split("$")[:4] == cost
        await Client.sign_in(gateway.http, company.username("ana"), PASSWORD)
    assert len(await recorded(company, "user_password_rehashed")) == 1
