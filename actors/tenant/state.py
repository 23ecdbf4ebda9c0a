"""What a tenant knows of its people."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from actors.protocol.nats_credentials import NatsCredential
from actors.protocol.roles import Role
from actors.protocol.tenancy import ManagedTenant


@dataclass(frozen=True, slots=True)
class User:
    """A user of the tenant."""

    username: str
    email: str | None
    display_name: str
    role: Role
    password_hash: str = field(repr=False)
    disabled: bool = False
    deleted: bool = False
    grants: dict[str, Role] = field(default_factory=dict)
    """Other tenants that a user of the platform tenant may read, and as somebody of which role."""

    @property
    def is_active(self) -> bool:
        """Whether he may sign in."""
        return not (self.disabled or self.deleted)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in: the digest of the one refresh token that is good now."""

    user: str
    refresh: str = field(repr=False)
    expires_ms: int


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant as of its last event. Ended and expired sessions are left out.

    `locked`: nobody may sign in. `tenants` are those that the platform tenant manages; no other has any.
    """

    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    locked: bool = False
    tenants: dict[str, ManagedTenant] = field(default_factory=dict)
    nats_credentials: dict[str, NatsCredential] = field(default_factory=dict)


def state_to_bytes(state: TenantState) -> bytes:
    """The state for a snapshot."""
    users = {name: _user_fields(user) for name, user in state.users.items()}
    fields: dict[str, Any] = {"users": users, "sessions": state.sessions}
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
    if not user.deleted:
        del fields["deleted"]
    if not user.grants:
        del fields["grants"]
    return fields


def state_from_bytes(data: bytes) -> TenantState:
    """The state in a snapshot."""
    fields = orjson.loads(data)
    return TenantState(
        users={
            name: User(
                **{
                    **user,
                    "role": Role(user["role"]),
                    "grants": {key: Role(role) for key, role in user.get("grants", {}).items()},
                }
            )
            for name, user in fields["users"].items()
        },
        sessions={name: Session(**session) for name, session in fields["sessions"].items()},
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
