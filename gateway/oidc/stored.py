"""A tenant's identity provider as it is kept: settings without a secret, and the secret sealed.

The seal names where the secret goes. Whoever may change the settings could otherwise have the present one,
which he can't read, sent to a server of his own.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
from pydantic import ValidationError

from gateway.oidc.settings import ProviderSettings
from store.errors import SealBroken
from store.reader import TenantReader
from store.rows import IdentityProviderRow

SEALED_AS: Final = "identity_provider"
NOT_KEPT: Final = frozenset({"client_secret"})
WHERE_IT_GOES: Final = ("issuer", "client_id", "ca_pem")
"""Settings that say to whom a secret is shown, and whose it is."""


def kept(settings: ProviderSettings) -> dict[str, Any]:
    """The settings as they are recorded and shown."""
    return settings.model_dump(mode="json", exclude=set(NOT_KEPT))


def secret_key(settings: Mapping[str, Any]) -> str:
    """Under which key the secret of kept settings is sealed."""
    where = {name: settings[name] for name in WHERE_IT_GOES}
    return hashlib.sha256(orjson.dumps(where, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def opened_client_secret(
    reader: TenantReader, settings: Mapping[str, Any], secret: str
) -> str:
    """The client's secret; empty if there is none, or it was given for something else."""
    if not secret:
        return ""
    try:
        return await reader.secrets.opened(SEALED_AS, secret_key(settings), secret)
    except SealBroken:
        return ""


async def settings_of(
    reader: TenantReader, row: IdentityProviderRow | None
) -> ProviderSettings | None:
    """The settings of a row, with the secret; None if there is no provider.

    Raises:
        ValueError: they are none that this version understands. The text holds nothing of them.
    """
    if row is None or row.settings is None:
        return None
    secret = await opened_client_secret(reader, row.settings, row.secret)
    try:
        return ProviderSettings.model_validate({**row.settings, "client_secret": secret})
    except ValidationError as error:
        count = error.error_count()
        raise ValueError(f"the settings of the identity provider have {count} errors") from None
