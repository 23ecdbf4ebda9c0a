"""Findings: what detection systems report becomes a fact of the room."""

from actors.protocol.commands import RecordFinding
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import FindingRecorded
from actors.protocol.roles import Role
from actors.room.state import RoomState


def record(state: RoomState, command: RecordFinding) -> FindingRecorded | Rejection:
    """Put a finding into the room. A closed room takes it too: what happened is not refused."""
    if command.role not in (Role.EXTERNAL, Role.SYSTEM):
        return Rejection(ErrorCode.FORBIDDEN, "findings come from detection systems")
    if not state.exists:
        return Rejection(ErrorCode.NOT_FOUND, "no such room")
    return FindingRecorded(finding=command.finding)
