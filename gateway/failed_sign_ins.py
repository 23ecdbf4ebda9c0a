"""Failed sign-ins become records of their tenant: one a user and minute, with a count; and one a reason
and minute for all tries that mean nobody whom the tenant knows.

So an attacker can't make a chain grow without end, and the first failure shows at once all the same. What
was typed in the place of a name is never kept: it may be a password, in the wrong field or of a manager
that filled it in, and the chain forgets nothing.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import structlog

from actors.client import ActorClient
from actors.protocol.commands import Origin, RecordFailedSignIns
from actors.protocol.errors import OutcomeUnknown, Refusal
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.limits import ADDRESS_CHARS_MAX, FAILED_SIGN_INS_MAX
from actors.protocol.roles import Role
from gateway.limits import FAILED_USERS_MAX, FAILURES_RECORDED_S, FAILURES_SWEPT_S
from gateway.lockout import Account

log = structlog.get_logger(__name__)

WRONG_PASSWORD: Final = "wrong_password"  # noqa: S105 -- the name of a reason
LOCKED: Final = "locked"
NOT_ACTIVE: Final = "not_active"
UNKNOWN_USER: Final = "unknown_user"
NOBODY: Final = ""
"""In the place of a user: nobody whom the tenant knows."""
FLUSH_S: Final = 3.0
"""How long the end of a gateway may wait for records."""
RECORDER: Final = "gateway"
"""In whose name they are recorded: nobody has proved to be the user."""


@dataclass(slots=True)
class _Waiting:
    """What was not yet recorded of a user, or of nobody. `recorded_at` is when it was last tried to."""

    recorded_at: float
    count: int = 0
    address: str = ""
    reason: str = WRONG_PASSWORD


class FailureRecords:
    """Has failed sign-ins recorded. `clock` tells seconds that never run backwards."""

    def __init__(
        self,
        actors: ActorClient,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._actors = actors
        self._spawn = spawn
        self._clock = clock
        self._waiting: dict[tuple[Account, str], _Waiting] = {}

    def note(self, users: tuple[Account, ...], address: str, reason: str) -> None:
        """Take note of a failure; the first one of a user is recorded at once. `reason` is a word of
        ours."""
        for user in users:
            key = user, "" if user[1] else reason
            waiting = self._waiting.get(key)
            is_first = waiting is None
            if waiting is None:
                if len(self._waiting) >= FAILED_USERS_MAX:
                    continue
                waiting = self._waiting[key] = _Waiting(self._clock())
            waiting.count = min(waiting.count + 1, FAILED_SIGN_INS_MAX)
            waiting.address, waiting.reason = address[:ADDRESS_CHARS_MAX], reason
            if is_first:
                self._spawn(self._record(user, waiting))

    async def look_after(self) -> None:
        """Record what is due, for ever."""
        while True:
            await asyncio.sleep(FAILURES_SWEPT_S)
            await self.sweep()

    async def sweep(self) -> None:
        """Record what is due now, and forget users that were left alone."""
        now = self._clock()
        for key, waiting in list(self._waiting.items()):
            if now - waiting.recorded_at < FAILURES_RECORDED_S:
                continue
            if waiting.count:
                await self._record(key[0], waiting)
            else:
                del self._waiting[key]

    async def flush(self) -> None:
        """Record all that waits, as far as there is time: the gateway ends."""
        waiting = [(user, item) for (user, _), item in self._waiting.items() if item.count]
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await asyncio.gather(*(self._record(*item) for item in waiting))

    async def _record(self, user: Account, waiting: _Waiting) -> None:
        tenant, name = user
        count, waiting.count, waiting.recorded_at = waiting.count, 0, self._clock()
        command = RecordFailedSignIns(
            client_id=secrets.token_urlsafe(16),
            actor=RECORDER,
            role=Role.SYSTEM,
            origin=Origin(method="rest", address=waiting.address),
            user=name,
            address=waiting.address,
            reason=waiting.reason,
            count=count,
        )
        try:
            await self._actors.send(tenant, TENANT_ROOM, command)
        except (Refusal, OutcomeUnknown) as error:
            # The user is gone, or the record waits in the line; counting again could say it twice.
            log.warning("failed_sign_ins.unrecorded", tenant=tenant, user=name, error=repr(error))
        except Exception as error:
            log.warning("failed_sign_ins.later", tenant=tenant, user=name, error=repr(error))
            waiting.count = min(waiting.count + count, FAILED_SIGN_INS_MAX)
