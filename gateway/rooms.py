"""Which rooms somebody may know of. Whether he may write there is decided where it is committed."""

from typing import Any, Final

from actors.protocol.codec import body_of, clearance_of, event_of
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.events import MarkedMessagePosted, RoomMarked
from gateway.inaccessible import INACCESSIBLE
from gateway.tokens import Principal
from store.entries import Selection
from store.rows import RoomRow
from store.tenant_reader import TenantReader


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


_PLACE: Final = ("v", "tenant", "room", "seq", "prev", "hash")
"""What is left of a header for whoever may not see its entry."""


async def veiled_headers(
    reader: TenantReader, principal: Principal, row: RoomRow, headers: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Headers, ascending, with nothing but their place of entries that the principal may not see."""
    if all(header["kind"] != MarkedMessagePosted.kind for header in headers):
        return headers
    first, last = headers[0]["seq"], headers[-1]["seq"]
    kinds = frozenset({MarkedMessagePosted.kind})
    marked = await reader.newest(row.room, Selection(first, last + 1, kinds), len(headers))
    visible = {
        entry.seq
        for entry in marked
        if clearance_of(entry.kind, body_of(entry.kind, entry.content)) <= principal.clearance
    }
    return [
        header
        if header["kind"] != MarkedMessagePosted.kind or header["seq"] in visible
        else {**{name: header[name] for name in _PLACE if name in header}, "kind": INACCESSIBLE}
        for header in headers
    ]
