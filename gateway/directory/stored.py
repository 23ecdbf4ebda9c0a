"""A tenant's directory as it is kept."""

from typing import Final

from gateway.directory.settings import DirectorySettings
from gateway.kept_settings import KeptSettings

KEPT: Final = KeptSettings(
    DirectorySettings,
    sealed_as="directory",
    sealed_field="bind_password",
    where_it_goes=("servers", "tls", "ca_pem", "bind_dn"),
    not_kept=frozenset({"ca_file", "allow_plain"}),
)
