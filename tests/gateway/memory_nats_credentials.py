"""The NATS credentials of a tenant in memory, with a provisioner that is done when somebody looks."""

import asyncio
from collections.abc import Iterable
from secrets import token_hex
from typing import TYPE_CHECKING

from actors.protocol.commands import TENANT_COMMAND
from actors.protocol.ids import TENANT_ROOM
from actors.runtime.projector import nats_credential_row
from store.rows import NatsCredentialRow

if TYPE_CHECKING:
    from tests.gateway.world import World

NOW_MS = 1_795_000_000_000


class MemoryNatsCredentials:
    """As `store.nats_credentials.NatsCredentials`, with a provisioner that is done when somebody looks."""

    def __init__(self, world: "World", tenant: str) -> None:
        self._world = world
        self._tenant = tenant

    async def page(self, *, after: str, limit: int) -> list[NatsCredentialRow]:
        await asyncio.sleep(0)
        place = self._world.at(self._tenant, TENANT_ROOM)
        held = sorted(item for item in place.state.nats_credentials.items() if item[0] > after)
        rows = [nats_credential_row(self._tenant, name, each, place.head) for name, each in held]
        return rows[:limit]

    async def one(self, credential: str) -> NatsCredentialRow | None:
        self._provision(credential)
        rows = await self.page(after="", limit=1_000)
        return next((row for row in rows if row.credential == credential), None)

    async def last_uses(self, public_keys: Iterable[str]) -> dict[str, int]:
        await asyncio.sleep(0)
        return dict.fromkeys(public_keys, NOW_MS)

    def _provision(self, credential: str) -> None:
        held = self._world.at(self._tenant, TENANT_ROOM).state.nats_credentials.get(credential)
        done = {
            "pending": {"do": "sign", "token": "a.signed.token"},
            "revoking": {"do": "confirm_cut"},
        }
        action = done.get(held.status) if held is not None and self._world.provisioning else None
        if action is not None:
            named = {"type": "manage_nats_credential", "credential": credential}
            who = {"client_id": token_hex(8), "role": "system", "actor": "provisioner"}
            command = TENANT_COMMAND.validate_python({**who, **named, "action": action})
            self._world.commit(self._tenant, TENANT_ROOM, command)
