"""What an event does to a room. Pure; the same events make the same state for ever."""

from actors.protocol.events import (
    EventType,
    MemberAdded,
    MemberRemoved,
    RoomClosed,
    RoomCreated,
    RoomMarked,
    RoomRenamed,
    RoomReopened,
)
from actors.room import lifecycle, marking, membership
from actors.room.state import RoomState

STATE_KINDS = frozenset(
    model.kind
    for model in (
        RoomCreated,
        RoomRenamed,
        RoomMarked,
        MemberAdded,
        MemberRemoved,
        RoomClosed,
        RoomReopened,
    )
)
"""Kinds that change the state; the content of others need not be opened to rebuild it."""


def evolve(state: RoomState, event: EventType, actor: str, at_ms: int) -> RoomState:
    """The state after `event`, which `actor` caused at `at_ms`."""
    match event:
        case RoomCreated():
            return lifecycle.created(event, actor, at_ms)
        case RoomRenamed():
            return lifecycle.renamed(state, event)
        case RoomMarked():
            return marking.marked(state, event)
        case MemberAdded():
            return membership.added(state, event)
        case MemberRemoved():
            return membership.removed(state, event)
        case RoomClosed():
            return lifecycle.with_status(state, "closed")
        case RoomReopened():
            return lifecycle.with_status(state, "open")
        case _:
            return state
