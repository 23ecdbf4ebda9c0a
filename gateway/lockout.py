"""Failed sign-ins make the next one wait: for a name, and for an address. Nobody is locked out for good.

A name counts as it is typed, whether somebody has it or not, and before anybody is looked up: so
neither an answer nor its time tells who exists. Counting by user instead would tell it, because
failures of one spelling would then lock the other spellings of somebody who exists, and of nobody else.
"""

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.limits import (
    FAILURES_KEPT_MAX,
    LOCK_ACCOUNT_S_MAX,
    LOCK_ADDRESS_S_MAX,
    LOCK_FIRST_S,
    LOGIN_FAILURES_ACCOUNT,
    LOGIN_FAILURES_ADDRESS,
    LOGIN_FORGIVEN_ACCOUNT_S,
    LOGIN_FORGIVEN_ADDRESS_S,
)
from gateway.too_soon import TooSoon

IPV6_HOST_BITS: Final = 64
"""A subscriber is usually given a whole /64 (RFC 6177), so that is what counts as one address."""


Account = tuple[str, str]
"""A tenant and a user."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What is said of a try: that it failed, from this address, and who has the name; or, without an
    address, that its name is cleared. Name and address are keys of their counts."""

    name: str
    address: str | None
    users: tuple[Account, ...] = ()


def _nobody_else(_: Heard) -> None:
    return


@dataclass(frozen=True, slots=True)
class Patience:
    """How failures count: `free` cost nothing; one is forgiven every `forgiven_s` seconds; each beyond
    doubles the wait up to `wait_s_max` seconds."""

    free: int
    forgiven_s: float
    wait_s_max: float

    def wait_s(self, failures: float) -> float:
        """How long to wait after so many failures."""
        # One that is partly forgiven counts in full, or `free` would mean one more in practice.
        beyond = math.ceil(failures) - self.free
        if beyond < 0:
            return 0.0
        # Past the maximum the power would only overflow.
        return min(LOCK_FIRST_S * 2.0 ** min(beyond, 64), self.wait_s_max)


@dataclass(slots=True)
class _Count:
    """`users` are those who have the name: what is known when it failed need not be looked up later."""

    failures: float
    at: float
    locked_until: float
    users: tuple[Account, ...]


class FailureCounts:
    """Failures by key, forgotten with time; beyond `FAILURES_KEPT_MAX` keys the longest quiet goes."""

    def __init__(self, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def wait_s(self, key: str) -> float:
        """Seconds until this key may try again; 0 if it may now."""
        count = self._counts.get(key)
        return max(0.0, count.locked_until - self._clock()) if count else 0.0

    def users(self, key: str) -> tuple[Account, ...]:
        """Who had this name when it failed last."""
        count = self._counts.get(key)
        return count.users if count else ()

    def remember(self, key: str, users: tuple[Account, ...]) -> None:
        """Keep who has this name, as long as its failures count."""
        count = self._counts.get(key)
        if count is not None:
            count.users = users

    def failed(self, key: str) -> None:
        """Count a failure."""
        now = self._clock()
        count = self._counts.pop(key, None) or _Count(0.0, now, now, ())
        failures = self._left(count, now) + 1
        self._counts[key] = _Count(
            failures, now, now + self._patience.wait_s(failures), count.users
        )
        while len(self._counts) > FAILURES_KEPT_MAX:
            self._counts.popitem(last=False)

    def refund(self, key: str) -> None:
        """Take back the last failure."""
        count = self._counts.get(key)
        if count is not None:
            now = self._clock()
            count.failures, count.at = max(0.0, self._left(count, now) - 1), now
            count.locked_until = now

    def forget(self, key: str) -> float:
        """Forget the failures of a key; how many there were."""
        count = self._counts.pop(key, None)
        return self._left(count, self._clock()) if count is not None else 0.0

    def _left(self, count: _Count, now: float) -> float:
        return max(0.0, count.failures - (now - count.at) / self._patience.forgiven_s)


class Lockout:
    """Decides whether a sign-in may be tried. `clock` tells seconds that never run backwards; `tell` is
    told what other gateways should know."""

    def __init__(
        self,
        account_failures: int = LOGIN_FAILURES_ACCOUNT,
        address_failures: int = LOGIN_FAILURES_ADDRESS,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[Heard], None] = _nobody_else,
    ) -> None:
        self._tell = tell
        self.names = FailureCounts(
            Patience(account_failures, LOGIN_FORGIVEN_ACCOUNT_S, LOCK_ACCOUNT_S_MAX), clock
        )
        self.addresses = FailureCounts(
            Patience(address_failures, LOGIN_FORGIVEN_ADDRESS_S, LOCK_ADDRESS_S_MAX), clock
        )

    def admit(self, name: str, address: str) -> None:
        """Let a try pass.

        Raises:
            TooSoon: the name or the address must wait; which of them is not told.
        """
        wait_s = max(
            self.names.wait_s(_name_key(name)), self.addresses.wait_s(address_key(address))
        )
        if wait_s > 0:
            raise TooSoon("too many failed sign-ins; wait before you try again", wait_s)

    def users(self, name: str) -> tuple[Account, ...]:
        """Who had this name when it failed last."""
        return self.names.users(_name_key(name))

    def charge(self, name: str) -> None:
        """Count a try under this name as failed, until something else is known."""
        self.names.failed(_name_key(name))

    def failed(self, name: str, address: str, users: tuple[Account, ...] = ()) -> None:
        """A try that was charged did fail, and its address has it counted too; `users` have this name."""
        failed = Heard(_name_key(name), address_key(address), users)
        self.names.remember(failed.name, users)
        self.addresses.failed(address_key(address))
        self._tell(failed)

    def refund(self, name: str) -> None:
        """A try that was charged did not fail."""
        self.names.refund(_name_key(name))

    def forget(self, name: str) -> None:
        """Forget the failures of a name; its address may be trying others."""
        key = _name_key(name)
        # One is the charge of the try that has just succeeded, of which nobody else knows.
        if self.names.forget(key) > 1:
            self._tell(Heard(key, None))

    def heard(self, heard: Heard) -> None:
        """Count what happened at another gateway."""
        if heard.address is None:
            self.names.forget(heard.name)
            return
        self.names.failed(heard.name)
        self.names.remember(heard.name, heard.users)
        self.addresses.failed(heard.address)


def _name_key(name: str) -> str:
    # As names are looked up: spaces and capitals around the parts make no other name.
    user, at, place = name.rpartition("@")
    meant = f"{user.strip().casefold()}{at}{place.strip().casefold()}"
    # A digest: people type passwords there, and it is kept and told to other gateways.
    return hashlib.sha256(meant.encode("utf-8", "surrogatepass")).hexdigest()


def address_key(address: str) -> str:
    """What counts as one address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, IPV6_HOST_BITS), strict=False))
    return str(parsed)
