"""Which rooms somebody may know of. Whether he may write there is decided where it is committed."""

from actors.protocol.codec import event_of
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import RoomMarked
from gateway.tokens import Principal
from store.reader import Selection, TenantReader
from store.rows import RoomRow


def may_see(row: RoomRow, principal: Principal) -> bool:
    """Whether somebody has the clearance for a room, and is listed or has a role that it is open to."""
    if principal.clearance < row.clearance:
        return False
    return principal.user in row.members or principal.role in row.open_to


def no_such_room() -> Refusal:
    """What is said of a hidden room and of none, on every frame and route in the same words."""
    return Refusal(ErrorCode.NOT_FOUND, "no such room")


async def visible_room(reader: TenantReader, principal: Principal, room: str) -> RoomRow:
    """The row of a room that the principal may see.

    Raises:
        Refusal: `NOT_FOUND`, the same for a hidden room and for none.
    """
    row = await reader.room(room)
    if row is None or not may_see(row, principal):
        raise no_such_room()
    return row


async def require_clearance_up_to(
    reader: TenantReader, principal: Principal, row: RoomRow, seq: int
) -> None:
    """Find out whether a room took more clearance by the time of an entry that was read from it. Its row,
    by which it was let in, follows the chain a moment later.

    Raises:
        Refusal: `NOT_FOUND`, as for a room that was hidden before.
    """
    if seq <= row.applied:
        return
    later = Selection(row.applied + 1, seq + 1, frozenset({RoomMarked.kind}))
    for marked in await reader.newest(row.room, later, 1):
        event = event_of(marked.kind, marked.content, None) if marked.content else None
        if not isinstance(event, RoomMarked) or event.after.clearance > principal.clearance:
            raise no_such_room()
