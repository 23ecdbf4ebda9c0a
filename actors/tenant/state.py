"""What a tenant knows of its people."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from actors.protocol.roles import Registration, Role


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
    custom_role: str | None = None
    """With one, `role` says nothing but that he is no administrator."""

    pending: bool = False
    """He has registered himself, and nobody has approved him yet."""

    @property
    def is_active(self) -> bool:
        """Whether he may sign in."""
        return not (self.disabled or self.deleted or self.pending)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in: the digest of the one refresh token that is good now."""

    user: str
    refresh: str = field(repr=False)
    expires_ms: int


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
    """A tenant as of its last event. Ended and expired sessions are left out."""

    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    roles: dict[str, CustomRole] = field(default_factory=dict)
    registration: Registration = Registration.CLOSED
    invitations: dict[str, Invitation] = field(default_factory=dict)


def state_to_bytes(state: TenantState) -> bytes:
    """The state for a snapshot."""
    users = {name: _user_fields(user) for name, user in state.users.items()}
    fields: dict[str, Any] = {"users": users, "sessions": state.sessions}
    if state.roles:
        fields["roles"] = state.roles
    if state.registration is not Registration.CLOSED:
        fields["registration"] = state.registration
    if state.invitations:
        fields["invitations"] = state.invitations
    return orjson.dumps(fields)


def _user_fields(user: User) -> dict[str, Any]:
    fields = asdict(user)
    # Left out where it says nothing: states of before there was such a thing keep their bytes.
    if not user.deleted:
        del fields["deleted"]
    if user.custom_role is None:
        del fields["custom_role"]
    if not user.pending:
        del fields["pending"]
    return fields


def state_from_bytes(data: bytes) -> TenantState:
    """The state in a snapshot."""
    fields = orjson.loads(data)
    return TenantState(
        users={
            name: User(**{**user, "role": Role(user["role"])})
            for name, user in fields["users"].items()
        },
        sessions={name: Session(**session) for name, session in fields["sessions"].items()},
        roles={
            name: CustomRole(role["name"], tuple(role["permissions"]))
            for name, role in fields.get("roles", {}).items()
        },
        registration=Registration(fields.get("registration", Registration.CLOSED)),
        invitations={
            name: Invitation(**{**item, "role": Role(item["role"])})
            for name, item in fields.get("invitations", {}).items()
        },
    )
