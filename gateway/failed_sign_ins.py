"""Failed sign-ins of known users become records of their tenant: one a user and minute, with a count.

So an attacker can't make a chain grow without end, and the first failure shows at once all the same.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

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

Reason = Literal["wrong_password", "locked", "wrong_code"]
FLUSH_S: Final = 3.0
"""How long the end of a gateway may wait for records."""
RECORDER: Final = "gateway"
"""In whose name they are recorded: nobody has proved to be the user."""


@dataclass(slots=True)
class _Waiting:
    """What was not yet recorded of a user. `recorded_at` is when it was last tried to."""

    recorded_at: float
    count: int = 0
    address: str = ""
    reason: Reason = "wrong_password"


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
        self._waiting: dict[Account, _Waiting] = {}

    def note(self, users: tuple[Account, ...], address: str, reason: Reason) -> None:
        """Take note of a failure; the first one of a user is recorded at once."""
        for user in users:
            waiting = self._waiting.get(user)
            is_first = waiting is None
            if waiting is None:
                if len(self._waiting) >= FAILED_USERS_MAX:
                    continue
                waiting = self._waiting[user] = _Waiting(self._clock())
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
        for user, waiting in list(self._waiting.items()):
            if now - waiting.recorded_at < FAILURES_RECORDED_S:
                continue
            if waiting.count:
                await self._record(user, waiting)
            else:
                del self._waiting[user]

    async def flush(self) -> None:
        """Record all that waits, as far as there is time: the gateway ends."""
        waiting = [item for item in self._waiting.items() if item[1].count]
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
