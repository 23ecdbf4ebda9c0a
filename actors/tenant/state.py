"""What a tenant knows of its people."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from actors.protocol.markings import LOWEST
from actors.protocol.roles import Role


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
    directory_key: str = ""
    """Who he is in the tenant's directory; empty for a local user."""
    suspended: bool = False
    """Whether the directory keeps him out, which an administrator's enabling does not change."""
    clearance: int = LOWEST

    @property
    def is_active(self) -> bool:
        """Whether he may sign in."""
        return not (self.disabled or self.deleted or self.suspended)


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in: the digest of the one refresh token that is good now."""

    user: str
    refresh: str = field(repr=False)
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Directory:
    """How the tenant's directory is asked; `secret` is sealed with the tenant's key."""

    settings: dict[str, Any]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant as of its last event. Ended and expired sessions are left out."""

    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    directory: Directory | None = None


def state_to_bytes(state: TenantState) -> bytes:
    """The state for a snapshot."""
    users = {name: _user_fields(user) for name, user in state.users.items()}
    fields: dict[str, Any] = {"users": users, "sessions": state.sessions}
    if state.directory is not None:
        fields["directory"] = state.directory
    return orjson.dumps(fields)


def _user_fields(user: User) -> dict[str, Any]:
    fields = asdict(user)
    # Left out where it says nothing: states of before there was such a thing keep their bytes.
    for name in ("deleted", "directory_key", "suspended"):
        if not fields[name]:
            del fields[name]
    if user.clearance == LOWEST:
        del fields["clearance"]
    return fields


def state_from_bytes(data: bytes) -> TenantState:
    """The state in a snapshot."""
    fields = orjson.loads(data)
    directory = fields.get("directory")
    return TenantState(
        users={
            name: User(**{**user, "role": Role(user["role"])})
            for name, user in fields["users"].items()
        },
        sessions={name: Session(**session) for name, session in fields["sessions"].items()},
        directory=Directory(**directory) if directory else None,
    )
