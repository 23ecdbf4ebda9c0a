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
    """A room as of `applied`, the last seq that was folded into it. `clearance` is what it takes to see it;
    it, `tlp` and `pap` are missing in rows of before there was such a thing."""

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
    clearance: int = 0
    tlp: str = "AMBER"
    pap: str = "AMBER"


@dataclass(frozen=True, slots=True)
class SecondFactorRow:
    """A second factor: the secret sealed with the tenant's key, the digests of the recovery codes left."""

    factor: str
    secret: str = field(repr=False)
    recovery: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as of `applied`, the last seq of the tenant's chain that was folded into it.
    `password_hash` is an argon2id string; a deleted user signs in nowhere and has no names. `begun` is a
    second factor that no code has confirmed yet."""

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
    directory_key: str = ""
    """Who he is in the tenant's directory; empty for a local user."""
    suspended: bool = False
    """Whether the directory, or the identity provider, keeps him out."""
    second_factor: SecondFactorRow | None = None
    begun: SecondFactorRow | None = None
    provider_key: str = ""
    """Who he is at the tenant's identity provider, as issuer#subject; empty for everybody else."""
    custom_role: str | None = None
    pending: bool = False
    clearance: int = 0

    @property
    def is_active(self) -> bool:
        """Whether he may sign in."""
        return not (self.disabled or self.deleted or self.suspended or self.pending)

    @property
    def is_local(self) -> bool:
        """Whether his names, role and password are kept here."""
        return not (self.directory_key or self.provider_key)


def user_row_of(fields: dict[str, Any]) -> UserRow:
    """The row of a user from its stored fields."""
    for name in ("second_factor", "begun"):
        factor = fields.get(name)
        if factor is not None:
            recovery = tuple(factor["recovery"])
            fields[name] = SecondFactorRow(**{**factor, "recovery": recovery})
    return UserRow(**fields)


@dataclass(frozen=True, slots=True)
class DirectoryRow:
    """A tenant's directory as of `applied`; without settings there is none any more. `secret` is the
    searching account's password, sealed; empty if there is none."""

    settings: dict[str, Any] | None
    secret: str = field(repr=False)
    applied: int


@dataclass(frozen=True, slots=True)
class IdentityProviderRow:
    """A tenant's identity provider as of `applied`; without settings there is none any more. `secret` is
    the client's, sealed; empty for a public client."""

    settings: dict[str, Any] | None
    secret: str = field(repr=False)
    applied: int


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role of a tenant's own, as of `applied`; permissions by name. A deleted one permits nothing."""

    role: str
    name: str
    permissions: tuple[str, ...]
    applied: int
    deleted: bool = False


REGISTRATION = "registration"
"""The policy of whether people may register themselves."""
SECOND_FACTOR = "second_factor"
"""The policy of whether everybody must have a second factor: `required` or `optional`."""


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """One thing that a tenant has decided for itself, as of `applied`."""

    policy: str
    value: str
    applied: int


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation that is neither used nor revoked. `digest` is the SHA-256 of its secret."""

    invitation: str
    email: str
    role: str
    digest: str = field(repr=False)
    expires_ms: int


@dataclass(frozen=True, slots=True)
class LoginCandidate:
    """A user whose name or e-mail is the given one; names are unique in a tenant only."""

    tenant: str
    user: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A sign-in. `expires_ms` is Unix milliseconds; an ended session stays until then.
    `address` is where it was opened from, and is read in lists only."""

    session: str
    user: str
    expires_ms: int
    ended: bool
    address: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An actor's state as of `applied`, the last seq folded into it."""

    applied: int
    state: bytes
