"""What happened to those who belong to a tenant: roles of its own, registration, invitations."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from actors.protocol.event import MaybeRole, Structured
from actors.protocol.roles import Role


class RoleFacts(BaseModel):
    """What a tenant's own role is, as it was or as it is. Permissions are stored names: one that a later
    version no longer knows must not make the record unreadable."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    permissions: tuple[str, ...]


class RoleCreated(Structured):
    kind: ClassVar[str] = "role_created"
    role: str
    name: str
    permissions: tuple[str, ...]


class RoleChanged(Structured):
    kind: ClassVar[str] = "role_changed"
    role: str
    before: RoleFacts
    after: RoleFacts


class RoleDeleted(Structured):
    kind: ClassVar[str] = "role_deleted"
    role: str
    name: str


class RegistrationSet(Structured):
    kind: ClassVar[str] = "registration_set"
    before: dict[str, str]
    after: dict[str, str]


class UserRegistered(Structured):
    """Somebody made himself a user; while `pending`, he can't sign in."""

    kind: ClassVar[str] = "user_registered"
    user: str
    username: str
    email: str | None
    display_name: str
    role: Role
    pending: bool
    password_hash: str = Field(repr=False)


class RegistrationIgnored(Structured):
    """Somebody tried to register under a name that is taken. He is told nothing of it, and it takes as
    long as if it were not."""

    kind: ClassVar[str] = "registration_ignored"
    username: str
    reason: str


class UserApproved(Structured):
    kind: ClassVar[str] = "user_approved"
    user: str


class UserInvited(Structured):
    kind: ClassVar[str] = "user_invited"
    invitation: str
    email: str
    role: Role
    custom_role: MaybeRole = None
    digest: str = Field(repr=False)
    expires_ms: int


class InvitationRevoked(Structured):
    kind: ClassVar[str] = "invitation_revoked"
    invitation: str
    email: str


class InvitationAccepted(Structured):
    kind: ClassVar[str] = "invitation_accepted"
    invitation: str
    user: str
    username: str
    email: str
    display_name: str
    role: Role
    custom_role: MaybeRole = None
    password_hash: str = Field(repr=False)


PeopleEvent = (
    RoleCreated
    | RoleChanged
    | RoleDeleted
    | RegistrationSet
    | UserRegistered
    | RegistrationIgnored
    | UserApproved
    | UserInvited
    | InvitationRevoked
    | InvitationAccepted
)
