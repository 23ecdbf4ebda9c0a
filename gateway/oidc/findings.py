"""Testing a provider: what an administrator wants to know before people sign in there."""

from gateway.directory.people import Finding, Level
from gateway.oidc.errors import TODO, ProviderError, Trouble
from gateway.oidc.metadata import BASIC, POST
from gateway.oidc.provider import Provider


async def findings(provider: Provider, redirect_uri: str) -> list[Finding]:
    """What is to be said of a provider. Trouble is a finding, never an exception."""
    found: list[Finding] = []
    if redirect_uri:
        text = f"Have the provider keep this redirect URI: {redirect_uri}"
        found.append(Finding(Level.OK, "redirect_uri", text))
    else:
        text = "The operator of this system has to set its public URL (WARDROOM_PUBLIC_URL)."
        found.append(Finding(Level.ERROR, "no_public_url", text))
    try:
        metadata = await provider.metadata()
        found.append(Finding(Level.OK, "discovery", f"{metadata.issuer} describes itself."))
        if not metadata.pkce:
            text = "The provider does not say that it understands PKCE with S256; it should."
            found.append(Finding(Level.WARNING, "no_pkce", text))
        if not metadata.names_itself:
            text = "The provider's answers do not say whose they are (RFC 9207)."
            found.append(Finding(Level.WARNING, "no_iss", text))
        if provider.settings.client_secret.get_secret_value() and not (
            metadata.client_auth & {BASIC, POST}
        ):
            text = "The provider takes a client's secret in none of the ways that are known here."
            found.append(Finding(Level.ERROR, "client_auth", text))
        keys = await provider.keys()
        if not keys.keys:
            raise ProviderError(Trouble.BAD_ANSWER, "The key set has no key that signs")
        found.append(Finding(Level.OK, "keys", f"{len(keys.keys)} keys were read."))
    except ProviderError as error:
        text = f"{error.happened}. {TODO[error.trouble]}"
        found.append(Finding(Level.ERROR, error.trouble, text[:1].upper() + text[1:]))
    return found
