"""The identity providers of all tenants, each made when somebody of it signs in."""

import time
from collections.abc import Callable

import structlog

from actors.protocol.fetching import Fetch
from gateway.oidc.errors import ProviderError, Trouble
from gateway.oidc.provider import Provider
from gateway.oidc.settings import ProviderSettings
from gateway.oidc.stored import KEPT
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)


class Providers:
    """Makes providers, and makes one anew when its settings were changed."""

    def __init__(
        self,
        fetch: Fetch,
        *,
        loopback: bool,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetch = fetch
        self._loopback = loopback
        self._clock = clock
        self._wall_clock = wall_clock
        self._known: dict[str, tuple[int, Provider]] = {}

    async def of(self, reader: TenantReader) -> Provider | None:
        """The provider of a reader's tenant; None if it has none.

        Raises:
            ProviderError: its settings can't be used.
        """
        row = await reader.people.identity_provider()
        if row is None or row.settings is None:
            self._known.pop(reader.tenant, None)
            return None
        known = self._known.get(reader.tenant)
        if known is not None and known[0] == row.applied:
            return known[1]
        try:
            settings = await KEPT.settings_of(reader, row)
        except ValueError as error:
            log.warning("oidc.settings_unusable", tenant=reader.tenant, error=str(error))
            raise ProviderError(Trouble.NOT_AS_SET, "the settings can't be used") from None
        if settings is None:
            return None
        # Somebody else may have come this far in the meantime.
        known = self._known.get(reader.tenant)
        if known is None or known[0] < row.applied:
            known = (row.applied, self.made(settings))
            self._known[reader.tenant] = known
        return known[1]

    def made(self, settings: ProviderSettings) -> Provider:
        """A provider of these settings that nothing is remembered of."""
        return Provider(
            settings,
            self._fetch,
            loopback=self._loopback,
            clock=self._clock,
            wall_clock=self._wall_clock,
        )
