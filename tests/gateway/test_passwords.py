"""Password checks: right, wrong, of nobody, and too many at once."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from actors.protocol.errors import ErrorCode, Refusal
from gateway.limits import PASSWORD_CHARS_MAX, PASSWORD_THREADS, PASSWORD_WAITING_MAX
from gateway.passwords import PasswordCheck, hash_password

HASH = hash_password("right", memory_kib=8)


@pytest.fixture
def check() -> Iterator[PasswordCheck]:
    it = PasswordCheck(memory_kib=8)
    yield it
    it.close()


async def test_only_the_right_password_of_somebody_matches(check: PasswordCheck) -> None:
    assert await check.matches(HASH, "right")
    assert not await check.matches(HASH, "wrong")
    assert not await check.matches(HASH, "")
    assert not await check.matches(None, "right")


async def test_a_hash_that_is_none_matches_nothing(check: PasswordCheck) -> None:
    assert not await check.matches("not an argon2 string", "right")


async def test_an_unknown_user_costs_a_check_too(
    check: PasswordCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = check._verify

    def counted(password_hash: str, password: str) -> bool:
        checked.append(password_hash)
        return verify(password_hash, password)

    monkeypatch.setattr(check, "_verify", counted)
    await check.matches(None, "anything")

    assert len(checked) == 1
    assert checked[0].split("$")[:4] == HASH.split("$")[:4]


async def test_a_few_checks_run_and_a_few_wait_and_the_rest_are_sent_away(
    check: PasswordCheck, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    running = 0
    most = 0
    lock = threading.Lock()

    def slow(_hash: str, _password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        release.wait(5)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(check, "_verify", slow)
    waiting = [asyncio.create_task(check.matches(HASH, "x")) for _ in range(PASSWORD_WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as caught:
        await check.matches(HASH, "x")
    release.set()
    await asyncio.gather(*waiting)

    assert caught.value.code is ErrorCode.TOO_MANY
    assert most == PASSWORD_THREADS
    assert await check.matches(HASH, "x")


@pytest.mark.parametrize("password", ["", "x" * (PASSWORD_CHARS_MAX + 1)])
def test_a_password_of_no_or_of_too_many_letters_is_not_hashed(password: str) -> None:
    with pytest.raises(ValueError, match="password"):
        hash_password(password)
