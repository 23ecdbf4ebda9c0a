"""What a tenant's administrator sets to have people sign in at an identity provider."""

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from actors.protocol.roles import Role
from gateway.directory.roles import RANK

ISSUER_CHARS_MAX: Final = 512
URL_CHARS_MAX: Final = 2_048
SCOPES_MAX: Final = 16
RULES_MAX: Final = 500
SESSION_HOURS_DEFAULT: Final = 12
"""A working day (NIST SP 800-63B, section 2.2.3: twelve hours at the second level)."""
SESSION_HOURS_MAX: Final = 14 * 24
PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
LOCAL: Final = frozenset({"127.0.0.1", "::1"})
"""Hosts that may be asked without TLS where the operator allows this very machine."""

Scope = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,64}$")]
"""RFC 6749, section 3.3."""
Claim = Annotated[str, StringConstraints(max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=512)]
GivenRole = Literal[Role.VIEWER, Role.ANALYST, Role.TENANT_ADMIN]


class GroupRule(BaseModel):
    """Whoever has `group` among his groups has `role`. Groups are compared to the letter: some providers
    give ids, some names, and only they know which of them are alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    group: Text
    role: GivenRole


class ProviderSettings(BaseModel):
    """An identity provider and what is believed of what it says.

    Attributes:
        issuer: as in the provider's discovery document, to the letter.
        client_id: under which the provider knows this system.
        client_secret: empty for a public client.
        scopes: what is asked for; `openid` is always among it.
        ca_pem: the only authority that is trusted; empty: the public ones.
        username_claim: of the first sign-in; without it in the token, e-mail, or the subject.
        groups_claim: a list of texts, or one; a.b is b inside a where there is no claim a.b.
        roles: which group gives which role; the highest wins.
        default_role: of whom no group gives one; None: he may not come in.
        required_acr: the class of authentication that is asked for and must be told in the token (OpenID
            Connect Core 1.0, section 2, `acr`); empty: any. The provider's second factors are asked for so.
        session_hours_max: after which whoever signed in there must do it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, StringConstraints(max_length=ISSUER_CHARS_MAX)]
    client_id: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,255}$")]
    client_secret: SecretStr = SecretStr("")
    scopes: tuple[Scope, ...] = Field(default=("openid", "profile", "email"), max_length=SCOPES_MAX)
    ca_pem: str = Field(default="", max_length=32_768, repr=False)
    username_claim: Claim = "preferred_username"
    display_name_claim: Claim = "name"
    email_claim: Claim = "email"
    groups_claim: Claim = "groups"
    roles: tuple[GroupRule, ...] = Field(default=(), max_length=RULES_MAX)
    default_role: GivenRole | None = None
    required_acr: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{0,255}$")] = ""
    session_hours_max: int = Field(default=SESSION_HOURS_DEFAULT, ge=1, le=SESSION_HOURS_MAX)

    @field_validator("issuer")
    @classmethod
    def _is_an_issuer(cls, issuer: str) -> str:
        # OpenID Connect Core 1.0, section 2: no query, no fragment.
        fault = url_fault(issuer, loopback=True)
        if fault is not None or "?" in issuer:
            raise ValueError(fault or "an issuer has no query")
        return issuer

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if "openid" not in self.scopes:
            raise ValueError("scopes: openid is missing")
        if not self.roles and self.default_role is None:
            raise ValueError("roles: nobody could come in; give a group a role, or a default_role")
        return self

    def role_of(self, groups: Iterable[str]) -> Role | None:
        """The highest role that any of the groups gives; None: he may not come in."""
        wanted = frozenset(groups)
        given = [Role(rule.role) for rule in self.roles if rule.group in wanted]
        return max(given, key=RANK.index, default=self.default_role)


def url_fault(url: str, *, loopback: bool) -> str | None:
    """Why a URL is none of an identity provider; None if it may be one.

    Args:
        url: as it was set, or as the provider gave it.
        loopback: whether it may be of this very machine, without TLS.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "not a URL"
    if len(url) > URL_CHARS_MAX or not PRINTABLE.fullmatch(url) or "\\" in url:
        return "not a URL"
    if not host or "@" in parts.netloc or "#" in url:
        return "a URL here has a host, no user and no fragment"
    if parts.scheme == "https" or (loopback and parts.scheme == "http" and host in LOCAL):
        return None
    return "only https is asked"
