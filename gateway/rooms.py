"""Which rooms somebody may know of. Whether he may write there is decided where it is committed."""

from actors.protocol.errors import ErrorCode, Refusal
from gateway.tokens import Principal
from store.reader import TenantReader
from store.rows import RoomRow


def may_see(row: RoomRow, principal: Principal) -> bool:
    """Whether somebody is listed in a room, or has a role that it is open to."""
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
