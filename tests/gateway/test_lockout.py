"""How failures add up to waits, and how both go away again."""

import pytest

from gateway import lockout as module
from gateway.limits import (
    LOCK_ACCOUNT_S_MAX,
    LOGIN_FAILURES_ACCOUNT,
    LOGIN_FAILURES_ADDRESS,
    LOGIN_FORGIVEN_ACCOUNT_S,
)
from gateway.lockout import Lockout
from gateway.too_soon import TooSoon

HERE = "192.0.2.1"


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def it(clock: Clock) -> Lockout:
    return Lockout(clock=clock)


def fail(it: Lockout, times: int, name: str = "ana", address: str = HERE) -> None:
    """Fail to sign in."""
    for _ in range(times):
        it.charge(name)
        it.failed(name, address)


def wait(it: Lockout, name: str = "ana", address: str = "198.51.100.9") -> int:
    """How long a name must wait, from an address that has failed at nothing unless it is given."""
    try:
        it.admit(name, address)
    except TooSoon as refused:
        return refused.wait_s
    return 0


def test_a_few_failures_cost_nothing_and_each_more_doubles_the_wait_up_to_a_limit(
    it: Lockout,
) -> None:
    waits = []
    for _ in range(LOGIN_FAILURES_ACCOUNT + 15):
        fail(it, 1)
        waits.append(wait(it))

    free = LOGIN_FAILURES_ACCOUNT - 1
    assert waits[: free + 5] == [0] * free + [1, 2, 4, 8, 16]
    assert waits[-1] == LOCK_ACCOUNT_S_MAX


def test_a_failure_that_is_partly_forgiven_counts_in_full(it: Lockout, clock: Clock) -> None:
    for _ in range(LOGIN_FAILURES_ACCOUNT):
        clock.now += 0.001
        fail(it, 1)

    assert wait(it) == 1


def test_a_wait_is_over_when_it_is_over(it: Lockout, clock: Clock) -> None:
    fail(it, LOGIN_FAILURES_ACCOUNT + 3)
    assert wait(it) == 8

    clock.now += 7.5
    assert wait(it) == 1
    clock.now += 0.5
    assert wait(it) == 0


def test_failures_are_forgiven_with_time(it: Lockout, clock: Clock) -> None:
    fail(it, LOGIN_FAILURES_ACCOUNT + 3)

    clock.now += LOGIN_FORGIVEN_ACCOUNT_S * 4
    fail(it, 1)
    assert wait(it) == 1
    clock.now += LOGIN_FORGIVEN_ACCOUNT_S * 100
    fail(it, LOGIN_FAILURES_ACCOUNT - 1)
    assert wait(it) == 0


def test_who_guesses_for_ever_has_few_guesses_an_hour_and_is_never_locked_out_for_good(
    it: Lockout, clock: Clock
) -> None:
    for _ in range(100):
        clock.now += wait(it)
        fail(it, 1)
    began, guesses = clock.now, 0
    while clock.now < began + 24 * 3600:
        clock.now += wait(it)
        assert wait(it) == 0
        fail(it, 1)
        guesses += 1

    assert 24 <= guesses <= 24 * 3600 / LOGIN_FORGIVEN_ACCOUNT_S + 1


def test_an_address_that_tries_many_names_must_wait_and_others_need_not(it: Lockout) -> None:
    for number in range(LOGIN_FAILURES_ADDRESS):
        fail(it, 1, name=f"user{number}")

    assert wait(it, "nobody", HERE) == 1
    assert wait(it, "nobody") == 0


def test_a_success_forgets_the_name_and_not_the_address(it: Lockout) -> None:
    fail(it, LOGIN_FAILURES_ADDRESS)
    it.forget("ana")

    assert wait(it) == 0
    assert wait(it, "ana", HERE) > 0


@pytest.mark.parametrize("name", ["Ana@Acme", " ana@acme", "ana @acme", "ana@ ACME ", "ANA@acme\t"])
def test_another_way_to_write_a_name_is_no_fresh_start(it: Lockout, name: str) -> None:
    fail(it, LOGIN_FAILURES_ACCOUNT, "ana@acme")

    assert wait(it, name) > 0


@pytest.mark.parametrize("name", ["ana", "ana@globex", "bob@acme"])
def test_another_name_is_another_name(it: Lockout, name: str) -> None:
    fail(it, LOGIN_FAILURES_ACCOUNT, "ana@acme")

    assert wait(it, name) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_a_subscriber_of_ipv6_is_one_address(
    it: Lockout, one: str, other: str, *, same: bool
) -> None:
    for number in range(LOGIN_FAILURES_ADDRESS):
        fail(it, 1, f"user{number}", one)

    assert (wait(it, "nobody", other) > 0) is same


def test_memory_is_bounded_and_the_longest_quiet_is_forgotten(
    it: Lockout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILURES_KEPT_MAX", 3)
    for name in ("a", "b", "c", "a", "d"):
        fail(it, LOGIN_FAILURES_ACCOUNT, name, name)

    assert (len(it.names), len(it.addresses)) == (3, 3)
    assert [wait(it, name) > 0 for name in "abcd"] == [True, False, True, True]


def test_a_name_that_never_ends_waiting_does_not_overflow(it: Lockout) -> None:
    fail(it, 5_000)

    assert wait(it) == LOCK_ACCOUNT_S_MAX
