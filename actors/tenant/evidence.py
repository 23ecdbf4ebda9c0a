"""Reading evidence: a fact of its own, so that who looked can be asked later."""

from actors.protocol.commands import RecordEvidenceRead
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import EvidenceRead
from actors.protocol.roles import Role


def read(command: RecordEvidenceRead) -> EvidenceRead | Rejection:
    """Record that somebody read evidence. What he may see was decided by whom he asked."""
    if command.role is Role.EXTERNAL:
        return Rejection(ErrorCode.FORBIDDEN, "an external system reads no evidence")
    return EvidenceRead(
        operation=command.operation,
        object_type=command.object_type,
        object_id=command.object_id,
        details=command.details,
    )
