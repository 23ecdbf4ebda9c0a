"""Rows as the projections of a world in memory would be now."""

from actors.room.state import RoomState
from actors.tenant.state import User
from store.rows import RoomRow, UserRow


def user_row_of(user: str, facts: User) -> UserRow:
    """A user's row as its projection would be now."""
    return UserRow(
        user=user,
        username=facts.username,
        email=facts.email,
        display_name=facts.display_name,
        role=facts.role,
        disabled=facts.disabled,
        password_hash=facts.password_hash,
        deleted=facts.deleted,
    )


def room_row_of(room: str, state: RoomState, head: int) -> RoomRow:
    """A room's row as its projection would be now."""
    return RoomRow(
        room=room,
        name=state.name,
        kind=state.kind,
        status=state.status,
        members={user: str(role) for user, role in state.members.items()},
        open_to=tuple(sorted(state.open_to)),
        incident=state.incident.model_dump() if state.incident else None,
        created_ms=state.created_ms,
        created_by=state.created_by,
        applied=head,
    )
