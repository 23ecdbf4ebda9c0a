"""The cast of the room tests: who they are to the tenant and to a room, and commands in their name."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from actors.protocol.commands import Command
from actors.protocol.findings import Finding, Severity
from actors.protocol.roles import Role, RoomRole
from actors.room.state import Moment, RoomState

C = TypeVar("C", bound=Command)

AT_MS: Final = 1_795_000_000_000
NOW: Final = Moment(head=10, now_ms=AT_MS)


@dataclass(frozen=True)
class Person:
    """Somebody who acts, with the role that his commands carry."""

    name: str
    role: Role

    def asks(self, command: type[C], **fields: Any) -> C:
        """A command of his; its client_id is c1 unless it matters."""
        return command(**{"client_id": "c1", "actor": self.name, "role": self.role, **fields})


OWNER: Final = Person("olga", Role.ANALYST)
MEMBER: Final = Person("max", Role.ANALYST)
OBSERVER: Final = Person("otto", Role.VIEWER)
STRANGER: Final = Person("stan", Role.ANALYST)
ADMIN: Final = Person("anna", Role.TENANT_ADMIN)
VIEWER: Final = Person("vera", Role.VIEWER)
EXTERNAL: Final = Person("ingest", Role.EXTERNAL)
SYSTEM: Final = Person("timer", Role.SYSTEM)

FINDING: Final = Finding(
    source="qradar",
    source_id="1",
    title="t",
    severity=Severity.HIGH,
    status="OPEN",
    time_ms=1,
    raw={},
)
MEMBERS: Final = {
    OWNER.name: RoomRole.OWNER,
    MEMBER.name: RoomRole.MEMBER,
    OBSERVER.name: RoomRole.OBSERVER,
}


def room(**fields: Any) -> RoomState:
    """A standing room with an owner, a member and an observer, open to nobody else."""
    given = {"name": "War room", "kind": "standing", "members": dict(MEMBERS), **fields}
    return RoomState(created_ms=AT_MS, created_by=OWNER.name, **given)
