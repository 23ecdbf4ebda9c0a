"""What REST handlers use to sign people in at identity providers, to set one and to test it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from actors.protocol.errors import ErrorCode, Refusal
from gateway.directory.people import Finding
from gateway.oidc.findings import findings
from gateway.oidc.providers import Providers
from gateway.oidc.settings import ProviderSettings
from gateway.oidc_sign_in import OidcSignIn


@dataclass(frozen=True, slots=True)
class OidcServices:
    """`testing` are the tenants whose provider is being tested."""

    providers: Providers
    sign_in: OidcSignIn
    testing: set[str] = field(default_factory=set)

    async def findings(self, tenant: str, settings: ProviderSettings) -> list[Finding]:
        """What is to be said of a provider of these settings.

        Raises:
            Refusal: `TOO_MANY`: a test of the tenant's is under way.
        """
        with self._one_test(tenant):
            provider = self.providers.made(settings)
            return await findings(provider, self.sign_in.redirect_uri(tenant))

    @contextmanager
    def _one_test(self, tenant: str) -> Iterator[None]:
        # Somebody else's server decides how long it takes.
        if tenant in self.testing:
            raise Refusal(ErrorCode.TOO_MANY, "a test is under way; wait for its end")
        self.testing.add(tenant)
        try:
            yield
        finally:
            self.testing.discard(tenant)
