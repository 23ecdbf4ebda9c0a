"""One try to sign in: may it be made, and what is kept of it if it fails."""

from gateway.failed_sign_ins import LOCKED, WRONG_PASSWORD, FailureRecords
from gateway.lockout import Account, Lockout
from gateway.metrics import GatewayMetrics
from gateway.too_soon import TooSoon


class SignInGuard:
    """Lets tries pass, and counts and records those that fail."""

    def __init__(self, lockout: Lockout, records: FailureRecords, metrics: GatewayMetrics) -> None:
        self._lockout = lockout
        self._records = records
        self._metrics = metrics

    def attempt(self, name: str, address: str) -> "Attempt":
        """A try under this name from this address.

        Raises:
            TooSoon: the name or the address must wait.
        """
        self.admit(name, address)
        return Attempt(self, self._lockout, name, address)

    def admit(self, name: str, address: str) -> None:
        """Let somebody pass.

        Raises:
            TooSoon: the name or the address must wait.
        """
        try:
            self._lockout.admit(name, address)
        except TooSoon:
            self.note(LOCKED, self._lockout.users(name), address)
            raise

    def note(self, reason: str, users: tuple[Account, ...], address: str) -> None:
        """Count and record a refusal; `users` have the name that was tried. `reason` is a word of ours."""
        self._metrics.failed_sign_ins.labels(reason).inc()
        self._records.note(users, address, reason)


class Attempt:
    """A try that was let pass. It counts as failed from its start on, or many at once would all pass
    before the first of them has failed."""

    def __init__(self, guard: SignInGuard, lockout: Lockout, name: str, address: str) -> None:
        self._guard = guard
        self._lockout = lockout
        self._name = name
        self.address = address
        self._started = False

    def start(self) -> None:
        """Begin with the costly part, having waited in line for it; asked again, it is nothing new.

        Raises:
            TooSoon: the name or the address has failed too often meanwhile.
        """
        if not self._started:
            self._guard.admit(self._name, self.address)
            self._lockout.charge(self._name)
            self._started = True

    def failed(self, users: tuple[Account, ...], reason: str = WRONG_PASSWORD) -> None:
        """The password, or the code, was wrong; `users` have this name."""
        if not self._started:
            self._lockout.charge(self._name)
        self._lockout.failed(self._name, self.address, users)
        self._guard.note(reason, users, self.address)

    def abandoned(self) -> None:
        """Nobody could say whether the password was right, so it is not counted as wrong."""
        if self._started:
            self._lockout.refund(self._name)

    def succeeded(self, *, alone: bool) -> None:
        """The password was right.

        Args:
            alone: only one user has this name. Else somebody could wipe out what he failed in
                guessing another's password by signing in as himself. And it was all that is asked
                for: or whoever knows a password could wipe out what he failed in guessing codes.
        """
        if alone:
            self._lockout.forget(self._name)
        else:
            self._lockout.refund(self._name)
