"""What a provider says of itself (OpenID Connect Discovery 1.0; RFC 8414). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.oidc.errors import ProviderError, Trouble
from gateway.oidc.settings import url_fault

WELL_KNOWN: Final = "/.well-known/openid-configuration"
REQUIRED: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")
BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where what is asked, and how.

    `userinfo_endpoint` is empty where there is none. `names_itself`: answers carry `iss` (RFC 9207).
    `pkce`: whether it says that it understands S256 (RFC 7636).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    names_itself: bool
    pkce: bool
    client_auth: frozenset[str]


def discovery_url(issuer: str) -> str:
    """Where a provider describes itself (OpenID Connect Discovery 1.0, section 4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


def metadata_of(document: Mapping[str, Any], issuer: str, *, loopback: bool) -> Metadata:
    """The description of the provider `issuer`.

    Raises:
        ProviderError: it is that of another one, or something is missing.
    """
    if document.get("issuer") != issuer:
        # Section 4.3: else one provider could have answers of another taken for its own.
        raise ProviderError(Trouble.NOT_AS_SET, "the discovery document is of another issuer")
    urls: dict[str, str] = {}
    for name in (*REQUIRED, "userinfo_endpoint"):
        url = document.get(name)
        if url is None and name not in REQUIRED:
            url = ""
        elif not isinstance(url, str) or url_fault(url, loopback=loopback) is not None:
            raise ProviderError(Trouble.BAD_ANSWER, f"{name} is missing, or no https URL")
        urls[name] = url
    return Metadata(
        issuer=issuer,
        **urls,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        pkce="S256" in _texts(document.get("code_challenge_methods_supported")),
        # Without a word of it, the first is meant (OpenID Connect Discovery 1.0, section 3).
        client_auth=_texts(document.get("token_endpoint_auth_methods_supported", [BASIC])),
    )


def _texts(value: Any) -> frozenset[str]:
    items = value if isinstance(value, list) else []
    return frozenset(item for item in items if isinstance(item, str))
