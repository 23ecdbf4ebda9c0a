"""Failed sign-ins at the gateway: who must wait, what it costs, and what is recorded."""

import asyncio
import threading
from typing import Any

import httpx
import orjson
import pytest
from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from gateway.failed_sign_ins import FailureRecords
from gateway.limits import FAILURES_RECORDED_S, LOGIN_FAILURES_ACCOUNT
from gateway.passwords import PasswordCheck, hash_password
from gateway.tasks import Background
from tests.gateway.serving import PASSWORD, Served, peopled, served
from tests.gateway.test_lockout import Clock
from tests.gateway.world import World, eventually

LOGIN = "/api/v1/auth/login"
FREE = LOGIN_FAILURES_ACCOUNT
WRONG = "a guess"


async def login(it: Served, name: str, password: str = WRONG, address: str = "") -> httpx.Response:
    """Try to sign in, through a proxy if an address is given."""
    headers = {"X-Forwarded-For": address} if address else {}
    body = {"username": name, "password": password}
    return await it.http.post(LOGIN, json=body, headers=headers)


async def fail(it: Served, name: str, times: int = FREE, address: str = "") -> httpx.Response:
    """Fail to sign in; the last answer."""
    for _ in range(times):
        answer = await login(it, name, address=address)
    return answer


def failures(world: World, tenant: str = "acme") -> list[dict[str, Any]]:
    """What the tenant's chain says of failed sign-ins."""
    return [
        orjson.loads(entry.content or b"")
        for entry in world.at(tenant, TENANT_ROOM).entries
        if entry.kind == "sign_in_failed"
    ]


def hashes_checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that are checked from now on."""
    done: list[str] = []
    verify = PasswordCheck._verify

    def counted(self: PasswordCheck, password_hash: str, password: str) -> bool:
        done.append(password)
        return verify(self, password_hash, password)

    monkeypatch.setattr(PasswordCheck, "_verify", counted)
    return done


async def test_after_a_few_failures_the_right_password_must_wait_too() -> None:
    clock = Clock()
    async with served(clock=clock) as it:
        assert (await fail(it, "ana")).status_code == 401

        locked = await login(it, "ana", PASSWORD)

        assert (locked.status_code, locked.json()["code"]) == (429, "too_many")
        assert locked.headers["Retry-After"] == "1"
        assert (await login(it, "bob", PASSWORD)).status_code == 200
        clock.now += 1
        assert (await login(it, "ana", PASSWORD)).status_code == 200
        assert (await fail(it, "ana", FREE - 1)).status_code == 401
        assert (await login(it, "ana", PASSWORD)).status_code == 200


async def test_a_lock_does_not_tell_who_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = hashes_checked(monkeypatch)
    async with served(clock=Clock()) as it:
        answers = [
            [await login(it, name) for _ in range(FREE + 2)]
            for name in ("ana", "ana@acme", "nobody", "nobody@acme")
        ]

        seen = {
            tuple((answer.status_code, answer.content, answer.headers["Retry-After"])
                  if answer.status_code == 429 else (answer.status_code, answer.content)
                  for answer in each)
            for each in answers
        }  # fmt: skip
        assert len(seen) == 1
        assert len(checked) == 4 * FREE


async def test_many_tries_at_once_pass_no_better_than_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = hashes_checked(monkeypatch)
    async with served(clock=Clock()) as it:
        answers = await asyncio.gather(*(login(it, "ana", f"guess {n}") for n in range(40)))

        assert len(checked) == FREE
        assert sorted(answer.status_code for answer in answers) == [401] * FREE + [429] * 35


async def test_one_who_is_right_many_times_at_once_is_not_taken_for_a_guesser() -> None:
    async with served(clock=Clock()) as it:
        answers = await asyncio.gather(*(login(it, "ana", PASSWORD) for _ in range(20)))

        assert {answer.status_code for answer in answers} == {200}


async def test_an_address_that_tries_many_names_must_wait() -> None:
    async with served(clock=Clock(), trusted_proxies="127.0.0.1", login_failures_address=3) as it:
        for name in ("a", "b", "c"):
            await login(it, name, address="192.0.2.7")

        assert (await login(it, "ana", PASSWORD, "192.0.2.7")).status_code == 429
        assert (await login(it, "ana", PASSWORD, "192.0.2.8")).status_code == 200
        assert (await login(it, "ana", PASSWORD, "192.0.2.7")).status_code == 429


async def test_an_address_that_a_stranger_claims_is_not_believed() -> None:
    async with served(clock=Clock(), login_failures_address=3) as it:
        for number in range(3):
            await login(it, f"user{number}", address=f"192.0.2.{number}")

        assert (await login(it, "ana", PASSWORD, "192.0.2.8")).status_code == 429


async def test_a_namesake_can_not_wipe_out_failures_by_signing_in_as_himself() -> None:
    world = peopled("acme", "globex")
    mallory = "the password of globex's ana"
    users = world.at("globex", TENANT_ROOM).state.users
    users["usr_ana"] = type(users["usr_ana"])(
        *("ana", None, "Ana", "analyst", hash_password(mallory, memory_kib=8))
    )
    async with served(world, Clock()) as it:
        for _ in range(FREE - 1):
            assert (await login(it, "ana", "a guess")).status_code == 401
            assert (await login(it, "ana", mallory)).status_code == 200

        assert (await login(it, "ana", "a guess")).status_code == 401
        assert (await login(it, "ana", mallory)).status_code == 429


async def test_failures_are_recorded_with_a_user_if_he_is_known_and_counted() -> None:
    async with served(clock=Clock()) as it:
        await fail(it, "nobody", FREE + 1)
        await login(it, "ana", "hunter2")

        await eventually(lambda: len(failures(it.world)) == 3)
        reasons = {(one["user"], one["reason"]) for one in failures(it.world)}
        assert reasons == {
            ("", "unknown_user"),
            ("", "locked"),
            ("usr_ana", "wrong_password"),
        }
        [said] = [one for one in failures(it.world) if one["user"]]
        assert (said["user"], said["address"]) == ("usr_ana", "127.0.0.1")
        assert (said["reason"], said["count"]) == ("wrong_password", 1)
        assert "hunter2" not in str(said)
        assert it.metrics.failed_sign_ins.labels("unknown_user")._value.get() == FREE
        assert it.metrics.failed_sign_ins.labels("wrong_password")._value.get() == 1
        assert it.metrics.failed_sign_ins.labels("locked")._value.get() == 1


async def test_a_gateway_that_ends_records_what_it_has_counted() -> None:
    async with served(clock=Clock()) as it:
        await fail(it, "ana", FREE + 3)
        await eventually(lambda: len(failures(it.world)) == 1)

    assert [said["count"] for said in failures(it.world)] == [1, FREE + 2]
    assert failures(it.world)[-1]["reason"] == "locked"


async def test_an_attacker_makes_one_record_a_minute() -> None:
    clock, world = Clock(), peopled("acme")
    users = (("acme", "usr_ana"),)
    async with Background() as background:
        records = FailureRecords(world.actors, background.spawn, clock)
        for _ in range(1_000):
            records.note(users, "192.0.2.1", "wrong_password")
        await eventually(lambda: len(failures(world)) == 1)
        clock.now += FAILURES_RECORDED_S - 1
        await records.sweep()
        assert len(failures(world)) == 1
        clock.now += 1
        await records.sweep()

        assert [said["count"] for said in failures(world)] == [1000]
        records.note(users, "192.0.2.2", "locked")
        await records.sweep()
        assert len(failures(world)) == 1
        clock.now += FAILURES_RECORDED_S
        await records.sweep()
        assert [said["address"] for said in failures(world)] == ["192.0.2.1", "192.0.2.2"]


async def test_failures_that_can_not_be_recorded_now_are_recorded_later(
    logged: list[EventDict],
) -> None:
    clock, world = Clock(), peopled("acme")
    async with Background() as background:
        records = FailureRecords(world.actors, background.spawn, clock)
        world.broken_commit = ConnectionError("no server")
        records.note((("acme", "usr_ana"),), "192.0.2.1", "wrong_password")
        await eventually(lambda: "failed_sign_ins.later" in str(logged))
        world.broken_commit = None
        clock.now += FAILURES_RECORDED_S
        await records.sweep()

    assert [said["count"] for said in failures(world)] == [1]


async def test_a_password_with_another_cost_gets_a_new_hash_when_it_is_shown() -> None:
    async with served(argon2_passes=2) as it:
        await login(it, "ana", "wrong")
        assert _hash(it.world).startswith("$argon2id$v=19$m=8,t=1,")

        assert (await login(it, "ana", PASSWORD)).status_code == 200

        assert _hash(it.world).startswith("$argon2id$v=19$m=8,t=2,")
        assert (await login(it, "ana", PASSWORD)).status_code == 200
        kinds = [entry.kind for entry in it.world.at("acme", TENANT_ROOM).entries]
        assert kinds.count("user_password_rehashed") == 1


async def test_a_password_that_is_changed_meanwhile_is_not_brought_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with served(argon2_passes=2) as it:
        release, reached = threading.Event(), threading.Event()
        make = PasswordCheck.hashed

        async def slow(self: PasswordCheck, password: str, salt: bytes | None = None) -> str:
            reached.set()
            await asyncio.to_thread(release.wait, 5)
            return await make(self, password, salt)

        monkeypatch.setattr(PasswordCheck, "hashed", slow)
        signing_in = asyncio.create_task(login(it, "ana", PASSWORD))
        await asyncio.to_thread(reached.wait, 5)
        room = it.world.at("acme", TENANT_ROOM)
        user = room.state.users["usr_ana"]
        changed = hash_password("another", memory_kib=8)
        room.state.users["usr_ana"] = type(user)(
            *(user.username, user.email, user.display_name, user.role, changed)
        )
        release.set()

        assert (await signing_in).status_code == 200
        assert _hash(it.world) == changed


def _hash(world: World) -> str:
    password_hash: str = world.at("acme", TENANT_ROOM).state.users["usr_ana"].password_hash
    return password_hash
