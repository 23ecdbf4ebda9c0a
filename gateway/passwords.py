"""Passwords: argon2id hashes, checked in a few threads.

Every check costs tens of megabytes and milliseconds by design, so checks wait in a bounded line
instead of taking the machine (Synapse and Mattermost were both brought down by sign-ins).
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from actors.protocol.errors import ErrorCode, Refusal
from gateway.limits import PASSWORD_CHARS_MAX, PASSWORD_THREADS, PASSWORD_WAITING_MAX

Result = TypeVar("Result")

MEMORY_KIB: Final = 46 * 1024
PASSES: Final = 1
"""OWASP password storage cheat sheet: argon2id with 46 MiB and one pass (or 19 MiB and two)."""


def _hasher(memory_kib: int, passes: int) -> PasswordHasher:
    return PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)


def hash_password(password: str, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES) -> str:
    """The argon2id string of a new password.

    Raises:
        ValueError: the password is empty or too long.
    """
    if not 1 <= len(password) <= PASSWORD_CHARS_MAX:
        raise ValueError(f"a password has 1 to {PASSWORD_CHARS_MAX} characters")
    return _hasher(memory_kib, passes).hash(password)


def _nothing() -> None:
    """Nobody need be asked or told."""


class PasswordCheck:
    """Checks passwords of one process; the cost is that of the hashes it expects to see."""

    def __init__(
        self,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        on_work: Callable[[], None] = _nothing,
    ) -> None:
        """`on_work` is told of every computation."""
        self._on_work = on_work
        self._hasher = _hasher(memory_kib, passes)
        self._threads = ThreadPoolExecutor(PASSWORD_THREADS, thread_name_prefix="password")
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._waiting = 0
        self._turn = asyncio.Semaphore(PASSWORD_THREADS)

    async def matches(
        self, password_hash: str | None, password: str, may_start: Callable[[], None] = _nothing
    ) -> bool:
        """Whether the password is the one of the hash.

        Without a hash (an unknown user) the work is the same and the answer no, so that time does
        not tell who exists.

        Args:
            password_hash: an argon2id string, or None.
            password: as typed.
            may_start: asked when the turn has come; it raises to give it up.

        Raises:
            Refusal: `TOO_MANY` checks wait already.
        """
        work = partial(self._verify, password_hash or self._nobody, password)
        right = await self._in_line(work, may_start)
        return right and password_hash is not None

    async def hashed(self, password: str, salt: bytes | None = None) -> str:
        """The argon2id string of a new password.

        Args:
            password: 1 to `PASSWORD_CHARS_MAX` characters.
            salt: for a request that may be repeated and must then make the same string; it must be
                another one for every request. None: random.

        Raises:
            Refusal: `TOO_MANY` wait already.
        """
        return await self._in_line(partial(self._hasher.hash, password, salt=salt))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether a hash has another cost than new ones."""
        try:
            return self._hasher.check_needs_rehash(password_hash)
        except InvalidHashError:
            return False

    async def _in_line(
        self, work: Callable[[], Result], may_start: Callable[[], None] = _nothing
    ) -> Result:
        if self._waiting >= PASSWORD_WAITING_MAX:
            raise Refusal(ErrorCode.TOO_MANY, "too many people are signing in; try again shortly")
        self._waiting += 1
        try:
            async with self._turn:
                may_start()
                self._on_work()
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def close(self) -> None:
        """Stop the threads once they are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)
