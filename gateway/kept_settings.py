"""Settings of a tenant as they are kept: without their secret, and the secret sealed.

The seal names where the secret goes. Whoever may change the settings could otherwise have the present one,
which he can't read, sent to a server of his own.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import orjson
from pydantic import BaseModel, SecretStr, ValidationError

from store.errors import SealBroken
from store.tenant_reader import TenantReader

SettingsT = TypeVar("SettingsT", bound=BaseModel)


class KeptRow(Protocol):
    """What the store has of them; without settings there are none any more."""

    @property
    def settings(self) -> dict[str, Any] | None: ...
    @property
    def secret(self) -> str: ...


@dataclass(frozen=True, slots=True)
class KeptSettings(Generic[SettingsT]):
    """How settings of one kind are kept.

    `sealed_field` is the secret, sealed as `sealed_as`. `where_it_goes` are the fields that say to whom
    it is shown, and whose it is. `not_kept` are fields of this machine, so not a tenant's to say.
    """

    model: type[SettingsT]
    sealed_as: str
    sealed_field: str
    where_it_goes: tuple[str, ...]
    not_kept: frozenset[str] = frozenset()

    def shown(self, settings: SettingsT) -> dict[str, Any]:
        """The settings as they are recorded and shown."""
        return settings.model_dump(mode="json", exclude={self.sealed_field, *self.not_kept})

    def destination(self, shown: Mapping[str, Any]) -> str:
        """Names where the secret of settings goes."""
        where = {name: shown[name] for name in self.where_it_goes}
        return hashlib.sha256(orjson.dumps(where, option=orjson.OPT_SORT_KEYS)).hexdigest()

    async def sealed(self, reader: TenantReader, settings: SettingsT) -> str:
        """The secret of settings, sealed; empty if they have none."""
        secret = self._secret_in(settings)
        if not secret:
            return ""
        destination = self.destination(self.shown(settings))
        return await reader.secrets.sealed(self.sealed_as, destination, secret)

    async def opened(self, reader: TenantReader, shown: Mapping[str, Any], sealed: str) -> str:
        """The secret; empty if there is none, or it was given for something else."""
        if not sealed:
            return ""
        try:
            return await reader.secrets.opened(self.sealed_as, self.destination(shown), sealed)
        except SealBroken:
            return ""

    async def is_sealed_in(self, reader: TenantReader, settings: SettingsT, sealed: str) -> bool:
        """Whether `sealed` is the secret of these very settings."""
        opened = await self.opened(reader, self.shown(settings), sealed)
        return opened == self._secret_in(settings)

    async def settings_of(self, reader: TenantReader, row: KeptRow | None) -> SettingsT | None:
        """The settings of a row, with the secret; None if there are none.

        Raises:
            ValueError: they are none that this version understands. The text holds nothing of them.
        """
        if row is None or row.settings is None:
            return None
        secret = await self.opened(reader, row.settings, row.secret)
        try:
            return self.model.model_validate({**row.settings, self.sealed_field: secret})
        except ValidationError as error:
            count, what = error.error_count(), self.sealed_as.replace("_", " ")
            raise ValueError(f"the settings of the {what} have {count} errors") from None

    def _secret_in(self, settings: SettingsT) -> str:
        secret: SecretStr = getattr(settings, self.sealed_field)
        return secret.get_secret_value()
