"""What a command makes of a tenant: one event, or a rejection. Pure."""

from typing import assert_never

from actors.protocol.commands import (
    CreateUser,
    EndSession,
    OpenSession,
    RefreshSession,
    TenantCommand,
)
from actors.protocol.errors import Rejection
from actors.protocol.events import TenantEventType
from actors.tenant import sessions, users
from actors.tenant.state import TenantState


def decide(state: TenantState, command: TenantCommand, now_ms: int) -> TenantEventType | Rejection:
    """What `command` makes of a tenant in `state`."""
    match command:
        case CreateUser():
            return users.create(state, command)
        case OpenSession():
            return sessions.open_session(state, command)
        case RefreshSession():
            return sessions.refresh(state, command, now_ms)
        case EndSession():
            return sessions.end(state, command)
        case _:
            assert_never(command)
