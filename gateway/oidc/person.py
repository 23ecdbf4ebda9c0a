"""Who somebody is by what a provider says of him. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from actors.protocol.limits import NAME_CHARS_MAX
from gateway.oidc.settings import ProviderSettings

GROUPS_MAX: Final = 2_000
"""Groups of one person that are looked at."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a provider knows; `subject` is all that he is known by, the rest may change."""

    subject: str
    username: str
    display_name: str
    email: str | None
    groups: tuple[str, ...]


def person_of(claims: Mapping[str, Any], settings: ProviderSettings) -> Person:
    """The person of whom the claims are."""
    subject = str(claims["sub"])
    email = _text(claims, settings.email_claim)
    if claims.get("email_verified") is False:
        # Anybody may have typed it.
        email = None
    username = _text(claims, settings.username_claim) or email or subject
    return Person(
        subject=subject,
        username=username,
        display_name=_text(claims, settings.display_name_claim) or username,
        email=email,
        groups=groups_of(claims, settings.groups_claim),
    )


def is_told(claims: Mapping[str, Any], settings: ProviderSettings) -> bool:
    """Whether the claims say all that is looked for, so that nothing more need be asked."""
    wanted = [settings.username_claim, settings.display_name_claim, settings.email_claim]
    if settings.roles:
        wanted.append(settings.groups_claim)
    return all(_claim(claims, name) is not None for name in wanted if name)


def groups_of(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The groups in a claim."""
    value = _claim(claims, name)
    items = value if isinstance(value, list) else [value]
    return tuple(item for item in items[:GROUPS_MAX] if isinstance(item, str))


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = _claim(claims, name)
    text = value.strip()[:NAME_CHARS_MAX].strip() if isinstance(value, str) else ""
    return text or None
