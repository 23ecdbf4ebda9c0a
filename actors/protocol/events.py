"""What happened: the content of records. Kinds are never edited, only joined by new ones.

A message's content is its text. Every other kind's content is a JSON object.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from actors.protocol.commands import IncidentLink
from actors.protocol.findings import Finding
from actors.protocol.roles import Role, RoomRole

MESSAGE = "message"


@dataclass(slots=True)
class MessagePosted:
    """Somebody said something; `thread` is the seq of the entry it answers."""

    kind: ClassVar[str] = MESSAGE
    body: str
    thread: int | None


class Structured(BaseModel):
    """A kind whose content is a JSON object.

    `request` is the fingerprint of the command, so that the same client_id with another body is
    noticed for ever.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: ClassVar[str]
    request: str = ""


class RoomCreated(Structured):
    kind: ClassVar[str] = "room_created"
    name: str
    room_kind: str
    incident: IncidentLink | None
    members: dict[str, RoomRole]
    open_to: tuple[Role, ...]


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
    password_hash: str = Field(repr=False)


class SessionOpened(Structured):
    kind: ClassVar[str] = "session_opened"
    session: str
    user: str
    refresh: str = Field(repr=False)
    expires_ms: int
    address: str


class SessionRefreshed(Structured):
    kind: ClassVar[str] = "session_refreshed"
    session: str
    refresh: str = Field(repr=False)
    expires_ms: int


class SessionEnded(Structured):
    kind: ClassVar[str] = "session_ended"
    session: str
    reason: str


RoomEventType = (
    MessagePosted
    | RoomCreated
    | RoomRenamed
    | MemberAdded
    | MemberRemoved
    | RoomClosed
    | RoomReopened
    | FindingRecorded
    | CommandRefused
)
TenantEventType = UserCreated | SessionOpened | SessionRefreshed | SessionEnded | CommandRefused
EventType = RoomEventType | TenantEventType

STRUCTURED: dict[str, type[Structured]] = {
    model.kind: model
    for model in (
        RoomCreated,
        RoomRenamed,
        MemberAdded,
        MemberRemoved,
        RoomClosed,
        RoomReopened,
        FindingRecorded,
        CommandRefused,
        UserCreated,
        SessionOpened,
        SessionRefreshed,
        SessionEnded,
    )
}
"""Every structured kind."""
