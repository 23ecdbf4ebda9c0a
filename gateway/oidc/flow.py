"""A sign-in on its way to the provider and back, and the ticket that its end is.

Both are carried by whoever signs in, sealed with the tenant's key, so that any gateway can go on with what
another one has begun.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

import orjson

from store.errors import SealBroken
from store.tenant_reader import TenantReader

SEALED_AS: Final = "oidc"
FLOW_S: Final = 600
"""Seconds for signing in at the provider."""
HANDOVER_S: Final = 30
"""Seconds for fetching the tokens: shorter than a used ticket is remembered."""
RETURN_CHARS_MAX: Final = 512
CARRIED_CHARS_MAX: Final = 4_096
"""Characters of what is carried: more does not fit into a cookie (RFC 6265, section 6.1)."""
CHALLENGE_PATTERN: Final = r"^[A-Za-z0-9_-]{43}$"
VERIFIER_PATTERN: Final = r"^[A-Za-z0-9._~-]{43,128}$"
"""RFC 7636, sections 4.1 and 4.2."""
_RANDOM_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that has begun. `challenge` is the client's own, `verifier` ours; `settings` are those of
    the provider it was begun with, by their digest. Times are Unix seconds."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    challenge: str
    return_to: str
    settings: str
    started_s: int

    @classmethod
    def begin(cls, challenge: str, return_to: str, settings: str, now_s: float) -> Self:
        """A new one."""
        state, nonce, verifier = (secrets.token_urlsafe(_RANDOM_BYTES) for _ in range(3))
        return cls(state, nonce, verifier, challenge, return_to, settings, int(now_s))

    def is_over(self, now_s: float) -> bool:
        """Whether it has taken too long."""
        return now_s - self.started_s > FLOW_S


@dataclass(frozen=True, slots=True)
class Handover:
    """Somebody who has signed in, and whose client has not fetched the tokens yet."""

    id: str
    user: str
    challenge: str
    issued_s: int

    def is_over(self, now_s: float) -> bool:
        """Whether it has taken too long."""
        return now_s - self.issued_s > HANDOVER_S

    def is_for(self, verifier: str) -> bool:
        """Whether whoever shows a verifier is the client that has begun."""
        return hmac.compare_digest(challenge_of(verifier), self.challenge)


def challenge_of(verifier: str) -> str:
    """What a verifier is shown as before it is shown itself (RFC 7636, section 4.2, S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def place_of(return_to: str, origins: frozenset[str]) -> str | None:
    """Where a browser is sent in the end; None if it may not be sent there.

    Args:
        return_to: a path here, or a URL of one of the origins.
        origins: pages that may call this gateway.
    """
    if not 0 < len(return_to) <= RETURN_CHARS_MAX or "\\" in return_to or "#" in return_to:
        return None
    if not (return_to.isascii() and return_to.isprintable()) or " " in return_to:
        return None
    if return_to.startswith("/"):
        # Browsers take two slashes for another host.
        return return_to if not return_to.startswith("//") else None
    try:
        parts = urlsplit(return_to)
    except ValueError:
        return None
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    wanted = {item.rstrip("/").lower() for item in origins}
    return return_to if parts.netloc and origin in wanted else None


async def sealed(reader: TenantReader, carried: Flow | Handover) -> str:
    """What goes along with whoever signs in."""
    text = orjson.dumps(asdict(carried)).decode()
    seal = await reader.secrets.sealed(SEALED_AS, _name(type(carried)), text)
    return seal.translate(str.maketrans("+/", "-_")).rstrip("=")


async def opened_flow(reader: TenantReader, text: str) -> Flow | None:
    """A flow; None if it is none of this tenant's."""
    fields = await _opened(reader, Flow, text)
    return Flow(**fields) if fields is not None else None


async def opened_handover(reader: TenantReader, text: str) -> Handover | None:
    """A handover; None if it is none of this tenant's."""
    fields = await _opened(reader, Handover, text)
    return Handover(**fields) if fields is not None else None


async def _opened(
    reader: TenantReader, kind: type[Flow] | type[Handover], text: str
) -> dict[str, Any] | None:
    if not 0 < len(text) <= CARRIED_CHARS_MAX or not text.isascii():
        return None
    seal = text.translate(str.maketrans("-_", "+/")) + "=" * (-len(text) % 4)
    try:
        plain = await reader.secrets.opened(SEALED_AS, _name(kind), seal)
    except (SealBroken, ValueError):
        return None
    fields: dict[str, Any] = orjson.loads(plain)
    return fields


def _name(kind: type[Flow] | type[Handover]) -> str:
    return kind.__name__.lower()
