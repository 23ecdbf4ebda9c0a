"""A tenant's directory as it is kept: settings without a secret, and the secret sealed.

The seal names where the password goes. Whoever may change the settings could otherwise have the present
password, which he can't read, sent to a server of his own.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from gateway.directory.settings import DirectorySettings
from store.errors import SealBroken
from store.reader import TenantReader
from store.rows import DirectoryRow

SEALED_AS: Final = "directory"
NOT_KEPT: Final = frozenset({"bind_password", "ca_file", "allow_plain"})
"""A secret; and what is of this machine, so not a tenant's to say."""
WHERE_IT_GOES: Final = ("servers", "tls", "ca_pem", "bind_dn")
"""Settings that say to whom a password is shown, and whose it is."""


def kept(settings: DirectorySettings) -> dict[str, Any]:
    """The settings as they are recorded and shown."""
    return settings.model_dump(mode="json", exclude=set(NOT_KEPT))


def secret_key(settings: Mapping[str, Any]) -> str:
    """Under which key the password of kept settings is sealed."""
    where = {name: settings[name] for name in WHERE_IT_GOES}
    return hashlib.sha256(orjson.dumps(where, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def opened_password(reader: TenantReader, settings: Mapping[str, Any], secret: str) -> str:
    """The password in a sealed secret; empty if there is none, or it was given for something else."""
    if not secret:
        return ""
    try:
        return await reader.secrets.opened(SEALED_AS, secret_key(settings), secret)
    except SealBroken:
        return ""


async def settings_of(reader: TenantReader, row: DirectoryRow | None) -> DirectorySettings | None:
    """The settings of a row, with the password; None if there is no directory.

    Raises:
        ValueError: they are none that this version understands. The text holds nothing of them.
    """
    if row is None or row.settings is None:
        return None
    password = await opened_password(reader, row.settings, row.secret)
    try:
        return DirectorySettings.model_validate({**row.settings, "bind_password": password})
    except ValidationError as error:
        count = error.error_count()
        raise ValueError(f"the settings of the directory have {count} errors") from None
