"""Which directory a name and password are shown to: one at most, and never one that a stranger chose.

A password goes to the directory of the tenant that was named (`ana@acme`), or of the one that the operator
has set; where there is a single tenant, that is the one. Asking all of them, or those in which somebody has
that name, would show the passwords of one tenant's people to whoever administers another.
"""

from actors.protocol.commands import Origin
from actors.protocol.ids import PLATFORM_TENANT, is_tenant_id
from gateway.directory_people import DirectoryPeople
from store.reader import Reader
from store.rows import UserRow
from store.tenant_reader import TenantReader


class DirectorySignIn:
    """The part of signing in that asks directories."""

    def __init__(self, reader: Reader, people: DirectoryPeople, default_tenant: str) -> None:
        self._reader = reader
        self._people = people
        self._default_tenant = default_tenant

    async def matching(
        self, name: str, password: str, local: frozenset[str], address: str
    ) -> list[tuple[str, UserRow]]:
        """The user of a directory who has this name and password, with his tenant; at most one.

        Args:
            name: as typed.
            password: as typed.
            local: tenants in which a local user has this name: his directory is not asked.
            address: where the request came from, for the record.

        Raises:
            Refusal: `UNAVAILABLE`: the directory can't be asked.
            OutcomeUnknown: no receipt in time.
        """
        asked = await self._asked(name)
        if asked is None or asked[0].tenant in local:
            return []
        reader, meant = asked
        origin = Origin(method="rest", address=address)
        user = await self._people.authenticated(reader, meant, password, origin)
        return [(reader.tenant, user)] if user is not None else []

    async def tenant_meant(self, name: str) -> str:
        """The tenant that somebody means who types this name, whether or not it has such a user; empty
        if it is none that can be told."""
        asked = await self._asked(name)
        return asked[0].tenant if asked is not None else ""

    async def confirmed(self, tenant: str, user: UserRow, password: str) -> bool:
        """Whether the directory still knows this user, who is signed in, by this password.

        Raises:
            Refusal: `UNAVAILABLE`: the directory can't be asked.
            OutcomeUnknown: no receipt in time.
        """
        reader = await self._reader.tenant(tenant)
        return reader is not None and await self._people.confirmed(reader, user, password)

    async def still_there(self, reader: TenantReader, user: UserRow) -> bool:
        """Whether a user of the directory may go on as he is; if not, his sessions have ended.

        Raises:
            Refusal: `UNAVAILABLE`: the directory can't be asked.
            OutcomeUnknown: no receipt in time.
        """
        return await self._people.still_there(reader, user)

    async def _asked(self, name: str) -> tuple[TenantReader, str] | None:
        """The tenant whose directory is asked, and the name without it."""
        meant, at, place = name.rpartition("@")
        place = place.strip().casefold()
        if at and meant and is_tenant_id(place):
            named = await self._reader.tenant(place)
            if named is not None:
                return named, meant
        default = self._default_tenant or await self._only_tenant()
        reader = await self._reader.tenant(default) if default else None
        return (reader, name) if reader is not None else None

    async def _only_tenant(self) -> str:
        tenants = [name for name in await self._reader.tenant_ids() if name != PLATFORM_TENANT]
        return tenants[0] if len(tenants) == 1 else ""
