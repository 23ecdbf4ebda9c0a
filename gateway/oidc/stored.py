"""A tenant's identity provider as it is kept."""

from typing import Final

from gateway.kept_settings import KeptSettings
from gateway.oidc.settings import ProviderSettings

KEPT: Final = KeptSettings(
    ProviderSettings,
    sealed_as="identity_provider",
    sealed_field="client_secret",
    where_it_goes=("issuer", "client_id", "ca_pem"),
)
