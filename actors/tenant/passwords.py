"""What happens around passwords without anybody changing one: tries that failed, and stronger hashes."""

import hashlib
from dataclasses import replace

from actors.protocol.commands import RecordFailedSignIns, RehashPassword
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import SignInFailed, UserPasswordRehashed
from actors.protocol.roles import Role
from actors.tenant.state import TenantState


def record_failures(state: TenantState, command: RecordFailedSignIns) -> SignInFailed | Rejection:
    """Record that somebody tried to sign in, as a user or as nobody who is known, and could not."""
    if command.role is not Role.SYSTEM:
        return Rejection(ErrorCode.FORBIDDEN, "only the gateway knows who failed to sign in")
    if command.user and command.user not in state.users:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user")
    return SignInFailed(
        user=command.user, address=command.address, reason=command.reason, count=command.count
    )


def rehash(state: TenantState, command: RehashPassword) -> UserPasswordRehashed | Rejection:
    """Put another hash of the same password in the place of the present one."""
    user = state.users.get(command.user)
    if user is None or not user.is_active:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user")
    if command.actor != command.user:
        return Rejection(ErrorCode.FORBIDDEN, "only whoever has shown the password can do this")
    if hashlib.sha256(user.password_hash.encode()).hexdigest() != command.replaces:
        # Another password was set meanwhile, and this would bring the old one back.
        return Rejection(ErrorCode.CONFLICT, "the password was changed meanwhile")
    return UserPasswordRehashed(user=command.user, password_hash=command.password_hash)


def rehashed(state: TenantState, event: UserPasswordRehashed) -> TenantState:
    """The tenant with the user's next hash."""
    user = replace(state.users[event.user], password_hash=event.password_hash)
    return replace(state, users={**state.users, event.user: user})
