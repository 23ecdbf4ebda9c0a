"""Keeps the projections in step with the chain: before anybody is told of a change."""

from actors.protocol.events import (
    EventType,
    ManagedTenantEvent,
    NatsCredentialEvent,
    NatsCredentialRotated,
    PasswordChanged,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    SessionsEnded,
    TenantGranted,
    UserChanged,
    UserCreated,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    UserPasswordRehashed,
)
from actors.protocol.ids import PLATFORM_TENANT, TENANT_ROOM
from actors.protocol.nats_credentials import NatsCredential
from actors.protocol.tenancy import ManagedTenant
from actors.room.state import RoomState
from actors.runtime.mailbox import Mailbox
from actors.tenant.state import TenantState, User
from store.projections import Projections
from store.rows import ManagedTenantRow, NatsCredentialRow, RoomRow, SessionRow, Snapshot, UserRow


async def project(
    projections: Projections, mailbox: Mailbox, events: list[tuple[int, EventType]]
) -> None:
    """Write what the events (with their seqs, ascending) changed."""
    if mailbox.room == TENANT_ROOM:
        for _, event in events:
            await _project_tenant_event(projections, mailbox, event)
    else:
        state: RoomState = mailbox.committed_state
        applied = mailbox.committed.seq
        if state.exists:
            row = room_row(mailbox.room, state, applied)
            await projections.save_room(row, mailbox.behaviour.to_bytes(state))
            mailbox.applied = applied


async def save_snapshot(projections: Projections, mailbox: Mailbox) -> None:
    """Write the state, so that a reload reads a short tail only."""
    applied = mailbox.committed.seq
    state = mailbox.behaviour.to_bytes(mailbox.committed_state)
    await projections.save_state(mailbox.room, Snapshot(applied, state))
    mailbox.applied = max(mailbox.applied, applied)


def room_row(room: str, state: RoomState, applied: int) -> RoomRow:
    """A room's row."""
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
        applied=applied,
    )


def user_row(name: str, user: User, applied: int) -> UserRow:
    """A user's row."""
    return UserRow(
        user=name,
        username=user.username,
        email=user.email,
        display_name=user.display_name,
        role=user.role,
        disabled=user.disabled,
        password_hash=user.password_hash,
        deleted=user.deleted,
        grants={tenant: str(role) for tenant, role in user.grants.items()},
        applied=applied,
    )


def managed_tenant_row(name: str, tenant: ManagedTenant, applied: int) -> ManagedTenantRow:
    """What the platform has of a tenant, as its row."""
    return ManagedTenantRow(
        tenant=name,
        status=tenant.status,
        since_ms=tenant.since_ms,
        due_ms=tenant.due_ms,
        profile=tenant.profile.model_dump(mode="json"),
        administrator=tenant.administrator.model_dump() if tenant.administrator else None,
        applied=applied,
    )


def nats_credential_row(
    tenant: str, name: str, held: NatsCredential, applied: int
) -> NatsCredentialRow:
    """A NATS credential's row."""
    return NatsCredentialRow(tenant=tenant, credential=name, applied=applied, **held.model_dump())


async def _project_nats_credentials(
    projections: Projections, mailbox: Mailbox, event: NatsCredentialEvent
) -> None:
    names = [event.credential]
    if isinstance(event, NatsCredentialRotated):
        names.append(event.successor)
    state: TenantState = mailbox.committed_state
    for name in names:
        held = state.nats_credentials.get(name)
        # When the past is projected again, some of it is forgotten: their rows say so already.
        if held is not None:
            applied = mailbox.committed.seq
            row = nats_credential_row(projections.tenant, name, held, applied)
            await projections.save_nats_credential(row)


async def _project_tenant_event(
    projections: Projections, mailbox: Mailbox, event: EventType
) -> None:
    state: TenantState = mailbox.committed_state
    applied = mailbox.committed.seq
    if isinstance(event, ManagedTenantEvent):
        # Whatever another tenant's chain may say, it says nothing about tenants.
        if projections.tenant == PLATFORM_TENANT:
            managed = managed_tenant_row(event.tenant, state.tenants[event.tenant], applied)
            await projections.save_managed_tenant(managed)
        return
    if isinstance(event, NatsCredentialEvent):
        await _project_nats_credentials(projections, mailbox, event)
        return
    match event:
        case UserCreated() | UserEnabled() | UserPasswordRehashed() | TenantGranted():
            await projections.save_user(user_row(event.user, state.users[event.user], applied))
        case UserChanged() | UserDisabled() | UserDeleted() | PasswordChanged():
            row = user_row(event.user, state.users[event.user], applied)
            await projections.save_user(row)
            await projections.release_logins(event.user, _former_names(event, row))
            await projections.end_sessions(event.sessions)
        case SessionsEnded():
            await projections.end_sessions(event.sessions)
        case SessionOpened():
            # When a tenant is loaded its past is projected again: what has ended stays ended.
            session = state.sessions.get(event.session)
            expires_ms = session.expires_ms if session else event.expires_ms
            ended = session is None
            await projections.save_session(
                SessionRow(event.session, event.user, expires_ms, ended=ended)
            )
        case SessionRefreshed():
            await projections.extend_session(event.session, event.expires_ms)
        case SessionEnded():
            await projections.end_session(event.session)
        case _:
            return


def _former_names(event: EventType, row: UserRow) -> set[str]:
    """The names that an event took away, but for those that the user has (again) by now."""
    names: set[str | None] = set()
    if isinstance(event, UserDeleted):
        names = {event.username, event.email}
    elif isinstance(event, UserChanged):
        names = {event.before.email}
    present = set() if row.deleted else {row.username, row.email}
    kept = {name.casefold() for name in present if name}
    return {name for name in names if name and name.casefold() not in kept}
