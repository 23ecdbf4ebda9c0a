"""What becomes of the credentials with which a tenant's external systems sign in to NATS."""

from typing import ClassVar

from pydantic import Field

from actors.protocol.event import Structured


class NatsCredentialMade(Structured):
    """A key that an external system is to sign in with; the token is signed by the provisioner."""

    kind: ClassVar[str] = "nats_credential_made"
    credential: str
    name: str
    public_key: str
    sources: tuple[str, ...]
    expires_ms: int | None


class NatsCredentialAdopted(Structured):
    """The key that provisioning made with the tenant; its token is signed already."""

    kind: ClassVar[str] = "nats_credential_adopted"
    credential: str
    name: str
    public_key: str


class NatsCredentialRotated(Structured):
    """`successor` is in the place of `credential`, which works until `until_ms`."""

    kind: ClassVar[str] = "nats_credential_rotated"
    credential: str
    successor: str
    public_key: str
    until_ms: int
    expires_ms: int | None


class NatsCredentialSigned(Structured):
    kind: ClassVar[str] = "nats_credential_signed"
    credential: str
    token: str = Field(repr=False)


class NatsCredentialRevoked(Structured):
    kind: ClassVar[str] = "nats_credential_revoked"
    credential: str
    reason: str


class NatsCredentialCut(Structured):
    """The servers refuse the revoked key, and have cut off who used it."""

    kind: ClassVar[str] = "nats_credential_cut"
    credential: str


NatsCredentialEvent = (
    NatsCredentialMade
    | NatsCredentialAdopted
    | NatsCredentialRotated
    | NatsCredentialSigned
    | NatsCredentialRevoked
    | NatsCredentialCut
)
