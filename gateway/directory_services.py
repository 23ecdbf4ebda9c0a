"""What REST handlers use to set a directory and to test it."""

from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import structlog

from actors.protocol.errors import ErrorCode, Refusal
from gateway.directories import Directories
from gateway.directory.errors import DirectoryError
from gateway.directory.people import Finding
from gateway.directory.settings import DirectorySettings
from gateway.directory_sync import DirectorySync
from gateway.one_test import OneTest
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DirectoryServices:
    """A tenant's directory is tested once at a time."""

    directories: Directories
    sync: DirectorySync
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    one_test: OneTest = field(default_factory=OneTest)

    async def findings(self, tenant: str, settings: DirectorySettings) -> list[Finding]:
        """What is to be said of a directory of these settings.

        Raises:
            Refusal: `TOO_MANY`: a test of the tenant's is under way; `UNAVAILABLE`: it was cut off.
        """
        with self.one_test.of(tenant), closing(self.directories.opened(settings)) as directory:
            try:
                return await directory.check()
            except DirectoryError as error:
                log.warning("directory.untested", tenant=tenant, trouble=error.trouble)
                raise Refusal(ErrorCode.UNAVAILABLE, "the test was cut off; try again") from None

    def synchronise(self, reader: TenantReader) -> None:
        """Have a tenant's users be as its directory says, soon."""
        self.spawn(self.sync.tenant(reader))
