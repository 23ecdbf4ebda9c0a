"""What a tenant knows of its people."""

from dataclasses import dataclass, field

import orjson

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


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in: the digest of the one refresh token that is good now."""

    user: str
    refresh: str = field(repr=False)
    expires_ms: int


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant as of its last event. Ended and expired sessions are left out."""

    users: dict[str, User] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)


def state_to_bytes(state: TenantState) -> bytes:
    """The state for a snapshot."""
    return orjson.dumps({"users": state.users, "sessions": state.sessions})


def state_from_bytes(data: bytes) -> TenantState:
    """The state in a snapshot."""
    fields = orjson.loads(data)
    return TenantState(
        users={
            name: User(**{**user, "role": Role(user["role"])})
            for name, user in fields["users"].items()
        },
        sessions={name: Session(**session) for name, session in fields["sessions"].items()},
    )
