"""Refresh tokens: what is in one, and what is stored of it."""

import hashlib
from dataclasses import dataclass, field

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import (
    is_tenant_id,
    is_token,
)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token taken apart."""

    tenant: str
    session: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.tenant}.{self.session}.{self.secret}"

    @property
    def digest(self) -> str:
        """What is stored of it. The secret is random, so a plain hash is enough."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def read_refresh_token(text: str) -> RefreshToken:
    """A refresh token taken apart.

    Raises:
        Refusal: `SESSION_ENDED`: it is none.
    """
    tenant, _, rest = text.partition(".")
    session, _, secret = rest.partition(".")
    if not (is_tenant_id(tenant) and is_token(session) and is_token(secret)):
        raise session_ended()
    return RefreshToken(tenant, session, secret)


def session_ended() -> Refusal:
    """What is told whoever has no session to go on with."""
    return Refusal(ErrorCode.SESSION_ENDED, "the session has ended; sign in again")
