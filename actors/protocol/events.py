"""What happened: the content of records. Kinds are never edited, only joined by new ones.

A message's content is its text. Every other kind's content is a JSON object.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from actors.protocol.commands import IncidentLink
from actors.protocol.event import MaybeRole, Structured
from actors.protocol.findings import Finding
from actors.protocol.markings import Clearance, Marking
from actors.protocol.nats_credential_events import (
    NatsCredentialEvent,
)
from actors.protocol.people_events import (
    PeopleEvent,
)
from actors.protocol.roles import Role, RoomRole
from actors.protocol.second_factor_commands import Proof, Restricted
from actors.protocol.second_factor_events import (
    SecondFactorEvent,
)
from actors.protocol.tenancy_events import (
    ManagedTenantEvent,
    TenantGranted,
    TenantLocked,
)

MESSAGE = "message"


@dataclass(slots=True)
class MessagePosted:
    """Somebody said something; `thread` is the seq of the entry it answers."""

    kind: ClassVar[str] = MESSAGE
    body: str
    thread: int | None


class MarkedMessagePosted(Structured):
    """Somebody said something that is marked by itself. `thread` is kept where a message has it: outside
    of the content."""

    kind: ClassVar[str] = "marked_message"
    text: str
    marking: Marking
    thread: int | None = Field(default=None, exclude=True)


class RoomCreated(Structured):
    kind: ClassVar[str] = "room_created"
    name: str
    room_kind: str
    incident: IncidentLink | None
    members: dict[str, RoomRole]
    open_to: tuple[Role, ...]
    marking: Marking | None = Field(default=None, exclude_if=lambda value: value is None)


class RoomMarked(Structured):
    """How a room was marked, and how it is."""

    kind: ClassVar[str] = "room_marked"
    before: Marking
    after: Marking


class RoomRenamed(Structured):
    kind: ClassVar[str] = "room_renamed"
    name: str


class MemberAdded(Structured):
    kind: ClassVar[str] = "member_added"
    user: str
    role: RoomRole


class MemberRemoved(Structured):
    kind: ClassVar[str] = "member_removed"
    user: str


class RoomClosed(Structured):
    kind: ClassVar[str] = "room_closed"
    reason: str


class RoomReopened(Structured):
    kind: ClassVar[str] = "room_reopened"
    reason: str


class FindingRecorded(Structured):
    kind: ClassVar[str] = "finding"
    finding: Finding


class CommandRefused(Structured):
    """A command of an external system that could not be applied: refused, but never in silence."""

    kind: ClassVar[str] = "rejected"
    code: str
    detail: str
    command: dict[str, Any]


class UserCreated(Structured):
    kind: ClassVar[str] = "user_created"
    user: str
    username: str
    email: str | None
    display_name: str
    role: Role
    custom_role: MaybeRole = None
    password_hash: str = Field(repr=False)
    directory_key: str = Field(default="", exclude_if=lambda value: not value)
    provider_key: str = Field(default="", exclude_if=lambda value: not value)


class Profile(BaseModel):
    """What can be changed of a user, as it was or as it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    display_name: str
    email: str | None
    role: Role
    custom_role: MaybeRole = None
    clearance: Clearance | None = Field(default=None, exclude_if=lambda value: value is None)


class UserChanged(Structured):
    """A user's facts before and after; another role or clearance ends the sessions that
    have the old one. The clearance is left out where it was the lowest and is."""

    kind: ClassVar[str] = "user_changed"
    user: str
    before: Profile
    after: Profile
    sessions: tuple[str, ...]


class UserDisabled(Structured):
    kind: ClassVar[str] = "user_disabled"
    user: str
    reason: str
    sessions: tuple[str, ...]


class UserEnabled(Structured):
    kind: ClassVar[str] = "user_enabled"
    user: str


class UserDeleted(Structured):
    """`username` and `email` are the names that are free from here on."""

    kind: ClassVar[str] = "user_deleted"
    user: str
    username: str
    email: str | None
    reason: str
    sessions: tuple[str, ...]


class PasswordChanged(Structured):
    kind: ClassVar[str] = "password_changed"
    user: str
    password_hash: str = Field(repr=False)
    sessions: tuple[str, ...]


class SessionsEnded(Structured):
    kind: ClassVar[str] = "sessions_ended"
    user: str
    reason: str
    sessions: tuple[str, ...]


class SessionOpened(Structured):
    """`until_ms` is when it ends however often it is refreshed; 0: it does not."""

    kind: ClassVar[str] = "session_opened"
    session: str
    user: str
    refresh: str = Field(repr=False)
    expires_ms: int
    address: str
    until_ms: int = Field(default=0, exclude_if=lambda value: not value)
    proof: Proof = None
    restricted: Restricted = False


class SessionRefreshed(Structured):
    kind: ClassVar[str] = "session_refreshed"
    session: str
    refresh: str = Field(repr=False)
    expires_ms: int
    restricted: Restricted = False


class SessionEnded(Structured):
    kind: ClassVar[str] = "session_ended"
    session: str
    reason: str


class SignInFailed(Structured):
    """Somebody tried in vain to sign in as a user, `count` times; address and reason of the last."""

    kind: ClassVar[str] = "sign_in_failed"
    user: str
    address: str
    reason: str
    count: int


class UserPasswordRehashed(Structured):
    """The password is the same; only the cost of its hash is another."""

    kind: ClassVar[str] = "user_password_rehashed"
    user: str
    password_hash: str = Field(repr=False)


class DirectoryPut(Structured):
    """People sign in with a directory. `before` and `after` are what an auditor is shown of the settings;
    `secret` is sealed with the tenant's key."""

    kind: ClassVar[str] = "directory_put"
    before: dict[str, Any]
    after: dict[str, Any]
    settings: dict[str, Any]
    secret: str = Field(repr=False)


class DirectoryRemoved(Structured):
    """Nobody signs in with a directory any more."""

    kind: ClassVar[str] = "directory_removed"
    before: dict[str, Any]


class IdentityProviderPut(Structured):
    """People sign in at an identity provider. `before` and `after` are what an auditor is shown of the
    settings; `secret` is sealed with the tenant's key."""

    kind: ClassVar[str] = "identity_provider_put"
    before: dict[str, Any]
    after: dict[str, Any]
    settings: dict[str, Any]
    secret: str = Field(repr=False)


class IdentityProviderRemoved(Structured):
    """Nobody signs in at an identity provider any more."""

    kind: ClassVar[str] = "identity_provider_removed"
    before: dict[str, Any]


class SynchronisedProfile(Profile):
    """What a directory says of a user; one who is suspended can't sign in, for the reason."""

    suspended: bool
    reason: str = Field(default="", exclude_if=lambda value: not value)


class UserSynchronised(Structured):
    """A user of the directory before and after; less rights than before end his sessions."""

    kind: ClassVar[str] = "user_synchronised"
    user: str
    before: SynchronisedProfile
    after: SynchronisedProfile
    sessions: tuple[str, ...]


class EvidenceRead(Structured):
    """Somebody read evidence, or took it away."""

    kind: ClassVar[str] = "evidence_read"
    operation: str
    object_type: str
    object_id: str
    details: dict[str, str]


RoomEventType = (
    MessagePosted
    | MarkedMessagePosted
    | RoomCreated
    | RoomRenamed
    | RoomMarked
    | MemberAdded
    | MemberRemoved
    | RoomClosed
    | RoomReopened
    | FindingRecorded
    | CommandRefused
)
TenantEventType = (
    UserCreated
    | UserChanged
    | UserDisabled
    | UserEnabled
    | UserDeleted
    | PasswordChanged
    | SessionsEnded
    | SessionOpened
    | SessionRefreshed
    | SessionEnded
    | SignInFailed
    | UserPasswordRehashed
    | DirectoryPut
    | DirectoryRemoved
    | UserSynchronised
    | IdentityProviderPut
    | IdentityProviderRemoved
    | EvidenceRead
    | SecondFactorEvent
    | PeopleEvent
    | ManagedTenantEvent
    | TenantGranted
    | TenantLocked
    | NatsCredentialEvent
    | CommandRefused
)
EventType = RoomEventType | TenantEventType

STRUCTURED: dict[str, type[Structured]] = {
    model.kind: model for model in get_args(EventType) if issubclass(model, Structured)
}
"""Every structured kind."""
