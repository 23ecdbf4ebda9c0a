"""The shapes of the projections: what readers ask for by something else than a place in the chain."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant. `lanes` is fixed at birth; `generation` counts the births of its ROOM stream."""

    id: str
    name: str
    lanes: int
    generation: int
    ingest_severity_min: int = 4
    stage: str = ""
    """What provisioning has taken from it: nothing, or one of `store.mongo.STAGES`."""


@dataclass(frozen=True, slots=True)
class ManagedTenantRow:
    """What the platform's chain says of a tenant, as of `applied`. Times are Unix milliseconds.

    `administrator` is who is to be made, with the hash of his password, as long as the tenant is being
    created.
    """

    tenant: str
    status: str
    since_ms: int
    due_ms: int | None
    profile: dict[str, Any]
    administrator: dict[str, Any] | None = field(repr=False)
    applied: int


@dataclass(frozen=True, slots=True)
class NatsCredentialRow:
    """With what an external system of a tenant signs in to NATS, as of `applied`: `status` is pending,
    active, revoking or revoked. Times are Unix milliseconds; there is no secret in it."""

    tenant: str
    credential: str
    name: str
    public_key: str
    sources: tuple[str, ...]
    status: str
    created_ms: int
    created_by: str
    expires_ms: int | None
    replaces: str | None
    replaced_by: str | None
    until_ms: int | None
    revoked_ms: int | None
    revoked_by: str | None
    token: str | None = field(repr=False)
    applied: int

    @property
    def due_ms(self) -> int | None:
        """When the provisioner has something to do about it: now (0), at some time, or not at all."""
        if self.status in ("pending", "revoking"):
            return 0
        return self.until_ms if self.status == "active" else None


@dataclass(frozen=True, slots=True)
class RoomRow:
    """A room as of `applied`, the last seq that was folded into it."""

    room: str
    name: str
    kind: str
    status: str
    members: dict[str, str]
    open_to: tuple[str, ...]
    incident: dict[str, Any] | None
    created_ms: int
    created_by: str
    applied: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as of `applied`, the last seq of the tenant's chain that was folded into it.
    `password_hash` is an argon2id string; a deleted user signs in nowhere and has no names."""

    user: str
    username: str
    email: str | None
    display_name: str
    role: str
    disabled: bool
    password_hash: str = field(repr=False)
    deleted: bool = False
    grants: dict[str, str] = field(default_factory=dict)
    applied: int = 0

    @property
    def is_active(self) -> bool:
        """Whether he may sign in."""
        return not (self.disabled or self.deleted)


@dataclass(frozen=True, slots=True)
class LoginCandidate:
    """A user whose name or e-mail is the given one; names are unique in a tenant only."""

    tenant: str
    user: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A sign-in. `expires_ms` is Unix milliseconds; an ended session stays until then."""

    session: str
    user: str
    expires_ms: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An actor's state as of `applied`, the last seq folded into it."""

    applied: int
    state: bytes
