"""The directories of all tenants, each opened when somebody of it signs in."""

import structlog

from gateway.directory.addresses import AddressesOf
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.settings import DirectorySettings
from gateway.directory.stored import KEPT
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)


class Directories:
    """Opens directories, and opens one anew when its settings were changed."""

    def __init__(self, addresses: AddressesOf) -> None:
        self._addresses = addresses
        self._open: dict[str, tuple[int, Directory]] = {}

    async def of(self, reader: TenantReader) -> Directory | None:
        """The directory of a reader's tenant; None if it has none.

        Raises:
            DirectoryError: its settings can't be used.
        """
        row = await reader.people.directory()
        known = self._open.get(reader.tenant)
        if known is not None and row is not None and known[0] == row.applied:
            return known[1]
        try:
            settings = await KEPT.settings_of(reader, row)
        except ValueError as error:
            log.warning("directory.settings_unusable", tenant=reader.tenant, error=str(error))
            raise DirectoryError(Trouble.NOT_AS_SET, "the settings can't be used") from None
        if settings is None or row is None:
            self._forget(reader.tenant)
            return None
        # Somebody else may have come this far in the meantime.
        known = self._open.get(reader.tenant)
        if known is not None and known[0] >= row.applied:
            return known[1]
        self._forget(reader.tenant)
        directory = self.opened(settings)
        self._open[reader.tenant] = (row.applied, directory)
        return directory

    def opened(self, settings: DirectorySettings) -> Directory:
        """A directory of these settings; the caller closes it."""
        return Directory(settings, self._addresses)

    def close(self) -> None:
        """Close them all."""
        for tenant in list(self._open):
            self._forget(tenant)

    def _forget(self, tenant: str) -> None:
        _, directory = self._open.pop(tenant, (0, None))
        if directory is not None:
            directory.close()
