"""What can be asked of a room."""

from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
)

from actors.protocol.command import Command, Name, Reason, if_given
from actors.protocol.findings import Finding
from actors.protocol.ids import UserId
from actors.protocol.limits import (
    MEMBERS_MAX,
)
from actors.protocol.markings import Clearance, Pap, Tlp
from actors.protocol.roles import Role, RoomRole


class Post(Command):
    """Say something in a room; `thread` is the seq of the entry that is answered. The rest marks it more
    strictly than its room."""

    type: Literal["post"] = "post"
    body: str
    thread: int | None = None
    entry_clearance: Clearance | None = if_given()
    tlp: Tlp | None = if_given()
    pap: Pap | None = if_given()

    @property
    def is_marked(self) -> bool:
        """Whether it has a marking of its own."""
        return not (self.entry_clearance is None and self.tlp is None and self.pap is None)


class IncidentLink(BaseModel):
    """What a room is about: the incident and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident: str
    alert: str | None = None
    ticket: str | None = None
    source: str | None = None
    source_id: str | None = None
    severity: str | None = None


class CreateRoom(Command):
    """Open a room. `open_to` names the tenant roles that may enter without being listed."""

    type: Literal["create_room"] = "create_room"
    name: Name
    kind: Literal["standing", "incident", "direct"] = "standing"
    incident: IncidentLink | None = None
    members: dict[UserId, RoomRole] = Field(default_factory=dict, max_length=MEMBERS_MAX)
    open_to: frozenset[Role] = frozenset()
    room_clearance: Clearance | None = if_given()
    tlp: Tlp | None = if_given()
    pap: Pap | None = if_given()

    @field_serializer("open_to")
    def _in_one_order(self, open_to: frozenset[Role]) -> list[Role]:
        # A set has another order in every process, and the fingerprint is made from this.
        return sorted(open_to)


class RenameRoom(Command):
    """Give a room another name."""

    type: Literal["rename_room"] = "rename_room"
    name: Name


class MarkRoom(Command):
    """Mark a room otherwise. What is None stays as it is."""

    type: Literal["mark_room"] = "mark_room"
    room_clearance: Clearance | None = None
    tlp: Tlp | None = None
    pap: Pap | None = None


class PutMember(Command):
    """Make somebody a member, or change what a member may do."""

    type: Literal["put_member"] = "put_member"
    user: UserId
    room_role: RoomRole = RoomRole.MEMBER


class RemoveMember(Command):
    """Take somebody out of a room; nothing of his commits after it."""

    type: Literal["remove_member"] = "remove_member"
    user: UserId


class CloseRoom(Command):
    """Make a room read-only."""

    type: Literal["close_room"] = "close_room"
    reason: Reason = ""


class ReopenRoom(Command):
    """Make a closed room writable again."""

    type: Literal["reopen_room"] = "reopen_room"
    reason: Reason = ""


class RecordFinding(Command):
    """Put what a detection system reported into the room as a fact."""

    type: Literal["record_finding"] = "record_finding"
    finding: Finding


RoomCommand = Annotated[
    Post
    | CreateRoom
    | RenameRoom
    | MarkRoom
    | PutMember
    | RemoveMember
    | CloseRoom
    | ReopenRoom
    | RecordFinding,
    Field(discriminator="type"),
]
