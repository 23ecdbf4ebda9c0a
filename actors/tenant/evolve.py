"""What an event does to a tenant. Pure."""

from actors.protocol.events import (
    EventType,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    UserCreated,
)
from actors.tenant import sessions, users
from actors.tenant.state import TenantState

STATE_KINDS = frozenset(
    model.kind for model in (UserCreated, SessionOpened, SessionRefreshed, SessionEnded)
)
"""Kinds that change the state."""


def evolve(state: TenantState, event: EventType, actor: str, at_ms: int) -> TenantState:
    """The state after `event`."""
    match event:
        case UserCreated():
            return users.created(state, event)
        case SessionOpened():
            return sessions.opened(state, event, at_ms)
        case SessionRefreshed():
            return sessions.refreshed(state, event)
        case SessionEnded():
            return sessions.ended(state, event)
        case _:
            return state
