"""What REST handlers use to sign people in at identity providers, to set one and to test it."""

from dataclasses import dataclass, field

from gateway.directory.people import Finding
from gateway.oidc.findings import findings
from gateway.oidc.providers import Providers
from gateway.oidc.settings import ProviderSettings
from gateway.oidc_sign_in import OidcSignIn
from gateway.one_test import OneTest


@dataclass(frozen=True, slots=True)
class OidcServices:
    """A tenant's provider is tested once at a time."""

    providers: Providers
    sign_in: OidcSignIn
    one_test: OneTest = field(default_factory=OneTest)

    async def findings(self, tenant: str, settings: ProviderSettings) -> list[Finding]:
        """What is to be said of a provider of these settings.

        Raises:
            Refusal: `TOO_MANY`: a test of the tenant's is under way.
        """
        with self.one_test.of(tenant):
            provider = self.providers.made(settings)
            return await findings(provider, self.sign_in.redirect_uri(tenant))
