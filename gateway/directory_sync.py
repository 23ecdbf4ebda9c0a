"""Looking from time to time whether the users of the directories are still there.

One gateway does it for a tenant and time: whoever first uses up that time's mark (`redeem_once`).
"""

import asyncio
import time
from typing import Final

import structlog

from actors.client import ActorClient
from actors.protocol.errors import OutcomeUnknown, Refusal
from gateway.directories import Directories
from gateway.directory.errors import DirectoryError
from gateway.directory_people import NO_DIRECTORY, DirectoryPeople
from gateway.limits import DIRECTORY_TENANTS_AT_ONCE, DIRECTORY_USERS_AT_ONCE, PAGE_ITEMS_MAX
from store.reader import Reader
from store.rows import UserRow
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)

UNDONE: Final = (DirectoryError, Refusal, OutcomeUnknown)


class DirectorySync:
    """Ends what people still have here whom their directory has disabled or removed."""

    def __init__(
        self,
        reader: Reader,
        actors: ActorClient,
        directories: Directories,
        people: DirectoryPeople,
        every_s: float,
    ) -> None:
        self._reader = reader
        self._actors = actors
        self._directories = directories
        self._people = people
        self._every_s = every_s
        self._tenants_at_once = asyncio.Semaphore(DIRECTORY_TENANTS_AT_ONCE)

    async def look_after(self) -> None:
        """Do it for ever, at the same times in every gateway."""
        while True:
            await asyncio.sleep(self._every_s - time.time() % self._every_s)
            try:
                await self.look(int(time.time() // self._every_s))
            except Exception as error:
                log.warning("directory.sync_failed", error=repr(error))

    async def look(self, slot: int) -> None:
        """Look after all tenants for one mark of time, but for those that another gateway has taken. Of a
        suspended one nobody is in, and its servers are not asked."""
        known = await self._reader.tenant_ids()
        stages = await self._reader.tenant_stages(known)
        tenants = [tenant for tenant in known if not stages.get(tenant)]
        await asyncio.gather(*(self._in_turn(tenant, slot) for tenant in tenants))

    async def _in_turn(self, tenant: str, slot: int) -> None:
        async with self._tenants_at_once:
            try:
                reader = await self._reader.tenant(tenant)
                if reader is None or await reader.people.directory() is None:
                    return
                if await self._actors.redeem_once(f"directory-{tenant}-{slot}"):
                    await self.tenant(reader)
            except Exception as error:
                # The next tenant's people are not to stay in because of this one's trouble.
                log.warning("directory.sync_failed", tenant=tenant, error=repr(error))

    async def tenant(self, reader: TenantReader) -> None:
        """Have all users of one tenant's directory be as it says. One that can't be asked says nothing
        about anybody: then everybody stays as he is."""
        count, turn = 0, asyncio.Semaphore(DIRECTORY_USERS_AT_ONCE)
        after = ""
        try:
            while page := await reader.users(after=after, limit=PAGE_ITEMS_MAX):
                after = page[-1].user
                theirs = [row for row in page if row.directory_key and not row.disabled]
                count += len(theirs)
                async with asyncio.TaskGroup() as group:
                    for row in theirs:
                        group.create_task(self._one(reader, row, turn))
        except* UNDONE as errors:
            first = errors.exceptions[0]
            trouble = first.trouble if isinstance(first, DirectoryError) else type(first).__name__
            log.warning("directory.sync_stopped", tenant=reader.tenant, trouble=trouble)
        else:
            log.info("directory.synchronised", tenant=reader.tenant, users=count)

    async def _one(self, reader: TenantReader, row: UserRow, turn: asyncio.Semaphore) -> None:
        async with turn:
            # Asked for each of them: settings may change, or go, while this runs.
            directory = await self._directories.of(reader)
            if directory is None:
                await self._people.suspend(reader.tenant, row, NO_DIRECTORY)
            else:
                await self._people.follow(reader, row, directory)
