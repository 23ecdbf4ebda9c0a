"""Invitations: a secret that makes whoever shows it a user, once and in time."""

import hmac
from dataclasses import replace

from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.limits import INVITATIONS_MAX
from actors.protocol.people_commands import AcceptInvitation, InviteUser, RevokeInvitation
from actors.protocol.people_events import InvitationAccepted, InvitationRevoked, UserInvited
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.tenant.rights import may, refusal_to_give
from actors.tenant.sessions import SUSPENDED
from actors.tenant.state import Invitation, TenantState, User
from actors.tenant.users import PEOPLE, is_taken, unfit_text

NOT_VALID = "the invitation is not valid, or not any more; ask for another one"
_NOT_ALLOWED = Rejection(ErrorCode.FORBIDDEN, "only who may change users may invite somebody")


def invite(state: TenantState, command: InviteUser, now_ms: int) -> UserInvited | Rejection:
    """Invite somebody."""
    if not may(state, command, Permission.USERS_WRITE):
        return _NOT_ALLOWED
    if command.user_role not in PEOPLE:
        return Rejection(ErrorCode.INVALID, f"{command.user_role} is no role for a person")
    refused = refusal_to_give(state, command, command.user_role, command.custom_role)
    refused = refused or unfit_text(command.email)
    if refused is not None:
        return refused
    email = command.email.casefold()
    living = [item for item in state.invitations.values() if item.expires_ms > now_ms]
    if command.invitation in state.invitations or is_taken(state, {email}):
        return Rejection(ErrorCode.CONFLICT, "there is a user with this e-mail")
    if any(item.email.casefold() == email for item in living):
        return Rejection(ErrorCode.CONFLICT, "this e-mail is invited; revoke that one first")
    if len(living) >= INVITATIONS_MAX:
        detail = f"{INVITATIONS_MAX} invitations are open; revoke some first"
        return Rejection(ErrorCode.TOO_MANY, detail)
    return UserInvited(
        invitation=command.invitation,
        email=command.email,
        role=command.user_role,
        custom_role=command.custom_role,
        digest=command.digest,
        expires_ms=command.expires_ms,
    )


def revoke(state: TenantState, command: RevokeInvitation) -> InvitationRevoked | Rejection:
    """Have an invitation be good for nothing."""
    if not may(state, command, Permission.USERS_WRITE):
        return _NOT_ALLOWED
    known = state.invitations.get(command.invitation)
    if known is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such invitation")
    return InvitationRevoked(invitation=command.invitation, email=known.email)


def accept(
    state: TenantState, command: AcceptInvitation, now_ms: int
) -> InvitationAccepted | Rejection:
    """Make whoever shows the secret a user. Commands are decided one after the other, so of two that show
    it at the same moment one finds it used."""
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the gateway accepts an invitation")
    known = state.invitations.get(command.invitation)
    if (
        known is None
        or known.expires_ms <= now_ms
        or not hmac.compare_digest(known.digest, command.presented)
        or (known.custom_role is not None and known.custom_role not in state.roles)
    ):
        return Rejection(ErrorCode.NOT_FOUND, NOT_VALID)
    if state.locked:
        return Rejection(ErrorCode.TENANT_SUSPENDED, SUSPENDED)
    unfit = unfit_text(command.username, command.display_name)
    if unfit is not None:
        return unfit
    wanted = {command.username.casefold(), known.email.casefold()}
    if command.in_directory or is_taken(state, wanted) or command.user in state.users:
        return Rejection(ErrorCode.CONFLICT, "the name or the e-mail is taken")
    return InvitationAccepted(
        invitation=command.invitation,
        user=command.user,
        username=command.username,
        email=known.email,
        display_name=command.display_name,
        role=known.role,
        custom_role=known.custom_role,
        password_hash=command.password_hash,
    )


def invited(state: TenantState, event: UserInvited, at_ms: int) -> TenantState:
    """The tenant with an invitation more, and without those that are over."""
    living = {name: item for name, item in state.invitations.items() if item.expires_ms > at_ms}
    living[event.invitation] = Invitation(
        event.email, event.role, event.custom_role, event.digest, event.expires_ms
    )
    return replace(state, invitations=living)


def revoked(state: TenantState, event: InvitationRevoked | InvitationAccepted) -> TenantState:
    """The tenant without an invitation."""
    kept = {name: item for name, item in state.invitations.items() if name != event.invitation}
    return replace(state, invitations=kept)


def accepted(state: TenantState, event: InvitationAccepted) -> TenantState:
    """The tenant with a user in the place of an invitation."""
    user = User(
        username=event.username,
        email=event.email,
        display_name=event.display_name,
        role=event.role,
        password_hash=event.password_hash,
        custom_role=event.custom_role,
    )
    return revoked(replace(state, users={**state.users, event.user: user}), event)
