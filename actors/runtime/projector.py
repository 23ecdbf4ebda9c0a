"""Keeps the projections in step with the chain: before anybody is told of a change."""

from actors.protocol.events import (
    DirectoryPut,
    DirectoryRemoved,
    EventType,
    IdentityProviderPut,
    IdentityProviderRemoved,
    PasswordChanged,
    SessionEnded,
    SessionOpened,
    SessionRefreshed,
    SessionsEnded,
    UserChanged,
    UserCreated,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    UserPasswordRehashed,
    UserSynchronised,
)
from actors.protocol.ids import PLATFORM_TENANT, TENANT_ROOM
from actors.protocol.nats_credential_events import (
    NatsCredentialEvent,
    NatsCredentialRotated,
)
from actors.protocol.nats_credentials import NatsCredential
from actors.protocol.people_events import (
    InvitationAccepted,
    InvitationRevoked,
    RegistrationSet,
    RoleChanged,
    RoleCreated,
    RoleDeleted,
    UserApproved,
    UserInvited,
    UserRegistered,
)
from actors.protocol.second_factor_events import (
    RecoveryCodesReplaced,
    SecondFactorBegun,
    SecondFactorConfirmed,
    SecondFactorPolicySet,
    SecondFactorRemoved,
    SecondFactorReset,
)
from actors.protocol.tenancy import ManagedTenant
from actors.protocol.tenancy_events import ManagedTenantEvent, TenantGranted
from actors.room.state import RoomState
from actors.runtime.mailbox import Mailbox
from actors.tenant.state import CustomRole, Invitation, SecondFactor, TenantState, User
from store.projections import Projections
from store.rows import (
    REGISTRATION,
    SECOND_FACTOR,
    DirectoryRow,
    IdentityProviderRow,
    InvitationRow,
    ManagedTenantRow,
    NatsCredentialRow,
    PolicyRow,
    RoleRow,
    RoomRow,
    SecondFactorRow,
    SessionRow,
    Snapshot,
    UserRow,
)


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
        clearance=state.marking.clearance,
        tlp=str(state.marking.tlp),
        pap=str(state.marking.pap),
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
        directory_key=user.directory_key,
        suspended=user.suspended,
        provider_key=user.provider_key,
        grants={tenant: str(role) for tenant, role in user.grants.items()},
        applied=applied,
        second_factor=_factor_row(user.second_factor),
        begun=_factor_row(user.begun),
        custom_role=user.custom_role,
        pending=user.pending,
        clearance=user.clearance,
    )


def directory_row(state: TenantState, applied: int) -> DirectoryRow:
    """The row of a tenant's directory."""
    if state.directory is None:
        return DirectoryRow(None, "", applied)
    return DirectoryRow(state.directory.settings, state.directory.secret, applied)


def identity_provider_row(state: TenantState, applied: int) -> IdentityProviderRow:
    """The row of a tenant's identity provider."""
    provider = state.identity_provider
    if provider is None:
        return IdentityProviderRow(None, "", applied)
    return IdentityProviderRow(provider.settings, provider.secret, applied)


def _factor_row(factor: SecondFactor | None) -> SecondFactorRow | None:
    return SecondFactorRow(factor.factor, factor.secret, factor.recovery) if factor else None


def second_factor_row(state: TenantState, applied: int) -> PolicyRow:
    """The row of whether everybody of a tenant must have a second factor."""
    value = "required" if state.second_factor_required else "optional"
    return PolicyRow(SECOND_FACTOR, value, applied)


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
    projections: Projections, state: TenantState, applied: int, event: NatsCredentialEvent
) -> None:
    names = [event.credential]
    if isinstance(event, NatsCredentialRotated):
        names.append(event.successor)
    for name in names:
        held = state.nats_credentials.get(name)
        # When the past is projected again, some of it is forgotten: their rows say so already.
        if held is not None:
            row = nats_credential_row(projections.tenant, name, held, applied)
            await projections.save_nats_credential(row)


def registration_row(state: TenantState, applied: int) -> PolicyRow:
    """The row of a tenant's policy of registration."""
    return PolicyRow(REGISTRATION, str(state.registration), applied)


def invitation_row(name: str, invitation: Invitation) -> InvitationRow:
    """An invitation's row."""
    return InvitationRow(
        invitation=name,
        email=invitation.email,
        role=invitation.custom_role or invitation.role,
        digest=invitation.digest,
        expires_ms=invitation.expires_ms,
    )


def role_row(name: str, role: CustomRole | None, applied: int) -> RoleRow:
    """The row of a tenant's own role; one that is gone permits nothing."""
    if role is None:
        return RoleRow(role=name, name="", permissions=(), applied=applied, deleted=True)
    return RoleRow(role=name, name=role.name, permissions=role.permissions, applied=applied)


async def _project_tenant_event(
    projections: Projections, mailbox: Mailbox, event: EventType
) -> None:
    state: TenantState = mailbox.committed_state
    applied = mailbox.committed.seq
    match event:
        case (
            UserCreated()
            | UserEnabled()
            | UserPasswordRehashed()
            | SecondFactorBegun()
            | SecondFactorRemoved()
            | RecoveryCodesReplaced()
            | TenantGranted()
        ):
            row = user_row(event.user, state.users[event.user], applied)
            await projections.save_user(row)
        case (
            UserChanged() | UserDisabled() | UserDeleted() | PasswordChanged() | UserSynchronised()
        ):
            row = user_row(event.user, state.users[event.user], applied)
            await projections.save_user(row)
            await projections.release_logins(event.user, _former_names(event, row))
            await projections.end_sessions(event.sessions)
        case SecondFactorConfirmed() | SecondFactorReset():
            row = user_row(event.user, state.users[event.user], applied)
            await projections.save_user(row)
            await projections.end_sessions(event.sessions)
        case SessionsEnded():
            await projections.end_sessions(event.sessions)
        case SessionOpened():
            # When a tenant is loaded its past is projected again: what has ended stays ended.
            session = state.sessions.get(event.session)
            expires_ms = session.expires_ms if session else event.expires_ms
            ended = session is None
            await projections.save_session(
                SessionRow(
                    event.session, event.user, expires_ms, ended=ended, address=event.address
                )
            )
            if event.proof is not None and event.proof.recovery is not None:
                # One recovery code less.
                row = user_row(event.user, state.users[event.user], applied)
                await projections.save_user(row)
        case SessionRefreshed():
            await projections.extend_session(event.session, event.expires_ms)
        case SessionEnded():
            await projections.end_session(event.session)
        case _:
            await _project_people_event(projections, state, applied, event)


async def _project_people_event(
    projections: Projections, state: TenantState, applied: int, event: EventType
) -> None:
    match event:
        case UserRegistered() | UserApproved() | InvitationAccepted():
            await projections.save_user(user_row(event.user, state.users[event.user], applied))
            if isinstance(event, InvitationAccepted):
                await projections.forget_invitation(event.invitation)
        case RoleCreated() | RoleChanged() | RoleDeleted():
            await projections.save_role(role_row(event.role, state.roles.get(event.role), applied))
        case UserInvited() if event.invitation in state.invitations:
            invitation = state.invitations[event.invitation]
            await projections.save_invitation(invitation_row(event.invitation, invitation))
        case InvitationRevoked():
            await projections.forget_invitation(event.invitation)
        case _:
            await _project_setting(projections, state, applied, event)


async def _project_setting(
    projections: Projections, state: TenantState, applied: int, event: EventType
) -> None:
    match event:
        case RegistrationSet():
            await projections.save_policy(registration_row(state, applied))
        case SecondFactorPolicySet():
            await projections.save_policy(second_factor_row(state, applied))
        case DirectoryPut() | DirectoryRemoved():
            await projections.save_directory(directory_row(state, applied))
        case IdentityProviderPut() | IdentityProviderRemoved():
            await projections.save_identity_provider(identity_provider_row(state, applied))
        case _ if isinstance(event, ManagedTenantEvent):
            # Whatever another tenant's chain may say, it says nothing about tenants.
            if projections.tenant == PLATFORM_TENANT:
                managed = managed_tenant_row(event.tenant, state.tenants[event.tenant], applied)
                await projections.save_managed_tenant(managed)
        case _ if isinstance(event, NatsCredentialEvent):
            await _project_nats_credentials(projections, state, applied, event)
        case _:
            return


def _former_names(event: EventType, row: UserRow) -> set[str]:
    """The names that an event took away, but for those that the user has (again) by now."""
    names: set[str | None] = set()
    if isinstance(event, UserDeleted):
        names = {event.username, event.email}
    elif isinstance(event, UserChanged | UserSynchronised):
        names = {event.before.email}
    present = set() if row.deleted else {row.username, row.email}
    kept = {name.casefold() for name in present if name}
    return {name for name in names if name and name.casefold() not in kept}
