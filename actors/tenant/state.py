"""What a tenant knows of its people."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from actors.protocol.markings import LOWEST
from actors.protocol.nats_credentials import NatsCredential
from actors.protocol.roles import Registration, Role
from actors.protocol.tenancy import ManagedTenant


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A second factor: its secret, sealed with the tenant's key, and the digests of the recovery codes
    that are left."""

    factor: str
    secret: str = field(repr=False)
    recovery: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A user of the tenant. `begun` is a second factor that no code has confirmed yet; `used_step` is
    the last time step of which a code was accepted, whichever second factor it was of."""

    username: str
    email: str | None
    display_name: str
    role: Role
    password_hash: str = field(repr=False)
    disabled: bool = False
    deleted: bool = False
    directory_key: str = ""
    """Who he is in the tenant's directory; empty for a local user."""
    suspended: bool = False
    """Whether the directory, or the identity provider, keeps him out, which an administrator's enabling
    does not change."""
    second_factor: SecondFactor | None = None
    begun: SecondFactor | None = None
    used_step: int = 0
    provider_key: str = ""
    """Who he is at the tenant's identity provider, as issuer#subject; empty for everybody else."""
    custom_role: str | None = None
    """With one, `role` says nothing but that he is no administrator."""

    pending: bool = False
    """He has registered himself, and nobody has approved him yet."""

    grants: dict[str, Role] = field(default_factory=dict)
    """Other tenants that a user of the platform tenant may read, and as somebody of which role."""
    clearance: int = LOWEST

    @property
    def is_active(self) -> bool:
        """Whether he may sign in."""
        return not (self.disabled or self.deleted or self.suspended or self.pending)

    @property
    def is_local(self) -> bool:
        """Whether his names, role and password are kept here."""
        return not (self.directory_key or self.provider_key)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in: the digest of the one refresh token that is good now.

    `until_ms` is when it ends however often it is refreshed; 0: it does not.
    """

    user: str
    refresh: str = field(repr=False)
    expires_ms: int
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Directory:
    """How the tenant's directory is asked; `secret` is sealed with the tenant's key."""

    settings: dict[str, Any]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """Where people sign in who are not known here; `secret` is sealed with the tenant's key."""

    settings: dict[str, Any]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A role of the tenant's own; permissions by name, as they were recorded."""

    name: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invitation:
    """What somebody becomes who shows the secret of this digest in time."""

    email: str
    role: Role
    custom_role: str | None
    digest: str = field(repr=False)
    expires_ms: int


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant as of its last event. Ended and expired sessions are left out.

    `locked`: nobody may sign in. `tenants` are those that the platform tenant manages; no other has any.
    """

    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    directory: Directory | None = None
    identity_provider: IdentityProvider | None = None
    second_factor_required: bool = False
    roles: dict[str, CustomRole] = field(default_factory=dict)
    registration: Registration = Registration.CLOSED
    invitations: dict[str, Invitation] = field(default_factory=dict)
    locked: bool = False
    tenants: dict[str, ManagedTenant] = field(default_factory=dict)
    nats_credentials: dict[str, NatsCredential] = field(default_factory=dict)


def state_to_bytes(state: TenantState) -> bytes:
    """The state for a snapshot."""
    users = {name: _user_fields(user) for name, user in state.users.items()}
    fields: dict[str, Any] = {"users": users, "sessions": _session_fields(state)}
    if state.directory is not None:
        fields["directory"] = state.directory
    if state.identity_provider is not None:
        fields["identity_provider"] = state.identity_provider
    if state.second_factor_required:
        fields["second_factor_required"] = True
    if state.roles:
        fields["roles"] = state.roles
    if state.registration is not Registration.CLOSED:
        fields["registration"] = state.registration
    if state.invitations:
        fields["invitations"] = state.invitations
    if state.locked:
        fields["locked"] = True
    if state.tenants:
        fields["tenants"] = {
            name: tenant.model_dump(mode="json") for name, tenant in state.tenants.items()
        }
    if state.nats_credentials:
        fields["nats_credentials"] = {
            name: held.model_dump(mode="json") for name, held in state.nats_credentials.items()
        }
    return orjson.dumps(fields)


def _user_fields(user: User) -> dict[str, Any]:
    fields = asdict(user)
    # Left out where it says nothing: states of before there was such a thing keep their bytes.
    for name in (
        *("deleted", "directory_key", "suspended", "custom_role", "pending", "grants"),
        *("second_factor", "begun", "used_step", "provider_key"),
    ):
        if not fields[name]:
            del fields[name]
    if user.clearance == LOWEST:
        del fields["clearance"]
    return fields


def _session_fields(state: TenantState) -> dict[str, dict[str, Any]]:
    sessions = {name: asdict(session) for name, session in state.sessions.items()}
    for fields in sessions.values():
        if not fields["until_ms"]:
            del fields["until_ms"]
    return sessions


def state_from_bytes(data: bytes) -> TenantState:
    """The state in a snapshot."""
    fields = orjson.loads(data)
    directory = fields.get("directory")
    provider = fields.get("identity_provider")
    return TenantState(
        users={name: _user(user) for name, user in fields["users"].items()},
        sessions={name: Session(**session) for name, session in fields["sessions"].items()},
        directory=Directory(**directory) if directory else None,
        identity_provider=IdentityProvider(**provider) if provider else None,
        second_factor_required=fields.get("second_factor_required", False),
        roles={
            name: CustomRole(role["name"], tuple(role["permissions"]))
            for name, role in fields.get("roles", {}).items()
        },
        registration=Registration(fields.get("registration", Registration.CLOSED)),
        invitations={
            name: Invitation(**{**item, "role": Role(item["role"])})
            for name, item in fields.get("invitations", {}).items()
        },
        locked=fields.get("locked", False),
        tenants={
            name: ManagedTenant.model_validate(tenant)
            for name, tenant in fields.get("tenants", {}).items()
        },
        nats_credentials={
            name: NatsCredential.model_validate(held)
            for name, held in fields.get("nats_credentials", {}).items()
        },
    )


def _user(fields: dict[str, Any]) -> User:
    factors: dict[str, Any] = {
        name: SecondFactor(**{**fields[name], "recovery": tuple(fields[name]["recovery"])})
        for name in ("second_factor", "begun")
        if name in fields
    }
    grants = {tenant: Role(role) for tenant, role in fields.get("grants", {}).items()}
    role = Role(fields["role"])
    return User(**{**fields, "role": role, "grants": grants, **factors})
