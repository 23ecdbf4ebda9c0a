"""Makes so what tenants' chains say of NATS credentials: signs tokens, has servers refuse revoked keys.

As with tenants, what shall be is compared with what is, and every step may be done again: a key that was
revoked is in the account's token before the word that it is refused, and one that is killed in between is
followed by one that goes on.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from actors.client import ActorClient
from actors.protocol.commands import ManageNatsCredential
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM, derived_id
from actors.protocol.nats_credentials import (
    AdoptKey,
    ConfirmCut,
    CredentialAction,
    Retire,
    Sign,
)
from deploy.provision.nats_identity import external_user_token, file_key
from deploy.provision.provisioner import FAILURES, system_marks
from deploy.provision.tenants import Platform, push_account_of_stage, stage_of
from store.driver import MongoConnection
from store.keys import KeyRing
from store.mongo import DESTROYED
from store.nats_credentials import NatsCredentials, due_nats_credentials, forget_nats_credentials
from store.reader import Reader
from store.rows import NatsCredentialRow

log = structlog.get_logger(__name__)

DUE_AT_ONCE_MAX: Final = 1_024
"""Credentials that one pass sees to."""
AT_ONCE_MAX: Final = 16
"""How many of them side by side."""
ANSWER_S: Final = 3.0
"""How long an actor may take for one of them before the next pass asks again."""
RETRY_S: Final = 10.0
"""After how long something is tried again that failed."""
FILE_NAME: Final = "made with the tenant"


class CredentialKeeper:
    """One pass after the other. `now_ms` is the wall clock in Unix milliseconds."""

    def __init__(
        self,
        connection: MongoConnection,
        keys: KeyRing,
        client: ActorClient,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._reader = Reader(connection, keys)
        self._client = client
        self._now_ms = now_ms
        self._known: set[str] = set()
        self._retry_at: dict[tuple[str, str], float] = {}

    async def is_settled(self) -> bool:
        """Whether there is nothing to do now.

        Raises:
            pymongo.errors.PyMongoError: MongoDB can't be reached.
        """
        return not await self._waiting()

    async def settle(self, platform: Platform) -> None:
        """Do what there is to do; what can't be done now is logged, and tried again after a while.

        Side by side: a tenant whose actor does not answer must not hold up another's revocation.
        """
        gate = asyncio.Semaphore(AT_ONCE_MAX)
        waiting = await self._waiting()
        await asyncio.gather(*(self._guarded(platform, gate, *each) for each in waiting))

    async def _waiting(self) -> list[tuple[str, str]]:
        """Tenant and credential of what is to be done; tenants this process has not looked at yet come
        with the empty text."""
        now = time.monotonic()
        self._retry_at = {each: at for each, at in self._retry_at.items() if at > now}
        due = await due_nats_credentials(self._connection, self._now_ms(), DUE_AT_ONCE_MAX)
        new = [(tenant, "") for tenant in await self._strangers()]
        return [each for each in (*due, *new) if each not in self._retry_at]

    async def _guarded(
        self, platform: Platform, gate: asyncio.Semaphore, tenant: str, credential: str
    ) -> None:
        try:
            async with gate:
                if credential:
                    await self._see_to(platform, tenant, credential)
                else:
                    await self._acquaint(platform, tenant)
        except FAILURES as error:
            self._retry_at[tenant, credential] = time.monotonic() + RETRY_S
            log.warning("nats_credential.not_settled", tenant=tenant, error=repr(error))
        else:
            log.info("nats_credential.settled", tenant=tenant, credential=credential)

    async def _strangers(self) -> list[str]:
        """Tenants that this process has not looked at yet."""
        tenants = {tenant.id for tenant in await self._reader.tenants()}
        self._known &= tenants
        return sorted(tenants - self._known)

    async def _acquaint(self, platform: Platform, tenant: str) -> None:
        # One that died between an account's token and the word of it may have left an older one.
        await push_account_of_stage(platform, tenant, await stage_of(platform, tenant))
        public_key = file_key(platform.secrets, tenant)
        credential = derived_id("nat", tenant, public_key or "")
        if (
            public_key
            and await NatsCredentials(self._connection, self._keys, tenant).one(credential) is None
        ):
            adoption = AdoptKey(name=FILE_NAME, public_key=public_key)
            await self._tell(tenant, credential, adoption)
        self._known.add(tenant)

    async def _see_to(self, platform: Platform, tenant: str, credential: str) -> None:
        if await stage_of(platform, tenant) == DESTROYED:
            await forget_nats_credentials(self._connection, tenant)
            return
        row = await NatsCredentials(self._connection, self._keys, tenant).one(credential)
        match row:
            case NatsCredentialRow(status="pending"):
                token = external_user_token(platform.secrets, row, int(time.time()))
                platform.reach("credential_signed")
                await self._tell(tenant, credential, Sign(token=token))
            case NatsCredentialRow(status="revoking"):
                await push_account_of_stage(platform, tenant, await stage_of(platform, tenant))
                platform.reach("credential_cut")
                await self._tell(tenant, credential, ConfirmCut())
            case NatsCredentialRow(status="active", until_ms=int()):
                await self._tell(tenant, credential, Retire())
            case _:
                return

    async def _tell(self, tenant: str, credential: str, action: CredentialAction) -> None:
        command = ManageNatsCredential(**system_marks(), credential=credential, action=action)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._client.send(tenant, TENANT_ROOM, command)
        except Refusal as refusal:
            # It is so already: another one was faster, or somebody has revoked it meanwhile.
            if refusal.code is not ErrorCode.CONFLICT:
                raise
