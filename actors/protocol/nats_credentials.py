"""With what a tenant's external systems sign in to NATS, and what can be asked about it.

A credential is one key pair. Its private half, the seed, is made where it is shown, and shown once: only
the public half is in commands, records and rows. Whoever is let in is who has the seed and a token that
the provisioner has signed for its public half; the token alone is good for nothing.
"""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from actors.protocol.ids import TOKEN_PATTERN
from actors.protocol.limits import (
    NAME_CHARS_MAX,
    NATS_CREDENTIAL_LIFE_S_MAX,
    NATS_OVERLAP_S_MAX,
    NATS_SOURCES_MAX,
    NATS_TOKEN_CHARS_MAX,
    REASON_CHARS_MAX,
)

CredentialId = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
CredentialName = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX, strip_whitespace=True)
]
PublicKey = Annotated[str, StringConstraints(pattern=r"^U[A-Z2-7]{55}$")]
"""The public key of a user in the text form of NATS: a letter for what it is of, and base 32."""
Source = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
Sources = Annotated[tuple[Source, ...], Field(max_length=NATS_SOURCES_MAX)]
"""The sources in whose name a system may publish; none named is any."""
LifeS = Annotated[int, Field(ge=1, le=NATS_CREDENTIAL_LIFE_S_MAX)]
OverlapS = Annotated[int, Field(ge=0, le=NATS_OVERLAP_S_MAX)]

ALL_SOURCES: Final = "ingest.>"


def publish_subjects(sources: tuple[str, ...]) -> tuple[str, ...]:
    """The subjects, inside its own account, on which a credential of these sources may publish."""
    return tuple(f"ingest.{source}.>" for source in sorted(sources)) or (ALL_SOURCES,)


def credentials_text(token: str, seed: str) -> str:
    """A token and a seed in the form of a NATS credentials file. The result is a secret."""
    return (
        "-----BEGIN NATS USER JWT-----\n"
        f"{token}\n"
        "------END NATS USER JWT------\n\n"
        "-----BEGIN USER NKEY SEED-----\n"
        f"{seed}\n"
        "------END USER NKEY SEED------\n"
    )


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Make(_Model):
    """Ask for a credential; the provisioner signs its token. Without `life_s` it has no end."""

    do: Literal["make"] = "make"
    name: CredentialName
    public_key: PublicKey
    sources: Sources = ()
    life_s: LifeS | None = None


class AdoptKey(_Model):
    """Take note of the key that provisioning made with the tenant."""

    do: Literal["adopt"] = "adopt"
    name: CredentialName
    public_key: PublicKey


class Rotate(_Model):
    """Put another key in a credential's place; the old one works for `overlap_s` seconds more.

    Without `life_s` the successor is meant to live as long as its forerunner was.
    """

    do: Literal["rotate"] = "rotate"
    successor: CredentialId
    public_key: PublicKey
    overlap_s: OverlapS
    life_s: LifeS | None = None


class Revoke(_Model):
    """Have a credential refused from now on."""

    do: Literal["revoke"] = "revoke"
    reason: Annotated[str, StringConstraints(max_length=REASON_CHARS_MAX)] = ""


class Sign(_Model):
    """Say with which token a credential is let in."""

    do: Literal["sign"] = "sign"
    token: Annotated[str, StringConstraints(max_length=NATS_TOKEN_CHARS_MAX)] = Field(repr=False)


class Retire(_Model):
    """Revoke a credential whose successor has had its time; refused before that."""

    do: Literal["retire"] = "retire"


class ConfirmCut(_Model):
    """Say that the servers refuse a revoked credential, and have cut off who used it."""

    do: Literal["confirm_cut"] = "confirm_cut"


CredentialAction = Annotated[
    Make | AdoptKey | Rotate | Revoke | Sign | Retire | ConfirmCut,
    Field(discriminator="do"),
]

CredentialStatus = Literal["pending", "active", "revoking", "revoked"]


class NatsCredential(_Model):
    """A credential as its tenant has it. Times are Unix milliseconds.

    Attributes:
        status: pending until its token is signed; revoking until the servers know that it is revoked.
        until_ms: when it is revoked by itself, because a successor has its place.
        token: what the provisioner has signed; None while it is pending, once it is revoked, and for
            one that provisioning made.
    """

    name: str
    public_key: str
    sources: tuple[str, ...] = ()
    status: CredentialStatus
    created_ms: int
    created_by: str
    expires_ms: int | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    until_ms: int | None = None
    revoked_ms: int | None = None
    revoked_by: str | None = None
    token: str | None = Field(default=None, repr=False)

    def lives(self, now_ms: int) -> bool:
        """Whether somebody is, or is about to be, let in with it."""
        over = self.expires_ms is not None and self.expires_ms <= now_ms
        return self.status in ("pending", "active") and not over
