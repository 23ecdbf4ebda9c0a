"""When external systems last used their credentials, as the NATS servers themselves tell.

Every server is asked for its connections: the open ones with their last activity, and the ones that were
closed last. That costs one question for all tenants, is true of connections that stay open for weeks, and
needs nobody to have listened when they were opened. What is noted is at most a minute old for one in
steady use, so a busy system costs one small write a minute.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

from deploy.provision.nats_identity import tenant_of_account_name
from store.driver import MongoConnection
from store.nats_credentials import note_nats_use

CONNECTIONS: Final = "$SYS.REQ.SERVER.PING.CONNZ"
ANSWER_WAIT_S: Final = 0.5
"""How long another server's answer is waited for after the last that came."""
PAGE: Final = 256
"""Connections in one answer; with their tokens about half a MiB."""
PAGES_MAX: Final = 64
OPEN: Final = 0
CLOSED: Final = 1
NOTED_EVERY_MS: Final = 60_000
NEVER: Final = "0001-01-01"


class NatsUses:
    """Looks at the servers' connections, and notes the uses of tenants' credentials."""

    def __init__(self, connection: MongoConnection) -> None:
        self._connection = connection
        self._noted: dict[str, int] = {}

    async def look(self, system: Client) -> None:
        """Look once. `system` is a connection as the user `system`.

        Raises:
            nats.errors.Error: NATS can't be reached.
            pymongo.errors.PyMongoError: MongoDB can't be reached.
        """
        seen: dict[tuple[str, str], int] = {}
        async for connection in self._connections(system):
            for tenant, public_key, at_ms in _uses(connection):
                key = (tenant, public_key)
                seen[key] = max(at_ms, seen.get(key, 0))
        for (tenant, public_key), at_ms in seen.items():
            noted = self._noted.get(public_key)
            if noted is None or at_ms >= noted + NOTED_EVERY_MS:
                await note_nats_use(self._connection, tenant, public_key, at_ms)
                self._noted[public_key] = at_ms
        # Whoever was not seen any more is noted anew should he come again.
        present = {public_key for _, public_key in seen}
        self._noted = {key: at for key, at in self._noted.items() if key in present}

    async def _connections(self, system: Client) -> Any:
        for page in range(PAGES_MAX):
            answers = await _asked(system, OPEN, "start", page * PAGE)
            for answer in answers:
                for connection in answer["connections"]:
                    yield connection
            if all(answer["total"] <= (page + 1) * PAGE for answer in answers):
                break
        for answer in await _asked(system, CLOSED, "stop", 0):
            for connection in answer["connections"]:
                yield connection


async def _asked(system: Client, state: int, order: str, offset: int) -> list[dict[str, Any]]:
    """The answers of all servers."""
    inbox = system.new_inbox()
    subscription = await system.subscribe(inbox)
    wanted = {"auth": True, "state": state, "sort": order, "offset": offset, "limit": PAGE}
    answers: list[dict[str, Any]] = []
    try:
        await system.publish(CONNECTIONS, json.dumps(wanted).encode(), reply=inbox)
        while True:
            message = await subscription.next_msg(timeout=ANSWER_WAIT_S)
            # Empty where nobody answers.
            data = json.loads(message.data or b"{}").get("data") or {}
            answers.append(
                {"total": data.get("total", 0), "connections": data.get("connections") or []}
            )
    except nats.errors.TimeoutError:
        return answers
    finally:
        await subscription.unsubscribe()


def _uses(connection: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Tenant, public key and time of the last use that a connection shows."""
    tenant = tenant_of_account_name(str(connection.get("name_tag", "")))
    user = connection.get("authorized_user")
    if tenant is None or not isinstance(user, str):
        return
    times = [connection.get(name) for name in ("start", "last_activity", "stop")]
    moments = [_ms(text) for text in times if isinstance(text, str) and not text.startswith(NEVER)]
    if moments:
        yield tenant, user, max(moments)


def _ms(text: str) -> int:
    # Nanoseconds, which Python does not read: what is behind the second is cut to its milliseconds.
    return int(datetime.fromisoformat(text).timestamp() * 1000)
