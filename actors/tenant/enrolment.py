"""Second factors come and go: begun, confirmed, replaced, removed, reset; and whether all must have one."""

from dataclasses import replace
from typing import assert_never

from actors.protocol.commands import (
    BeginSecondFactor,
    ConfirmSecondFactor,
    RemoveSecondFactor,
    ReplaceRecoveryCodes,
    ResetSecondFactor,
    SetSecondFactorPolicy,
)
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.permissions import Permission
from actors.protocol.roles import Role
from actors.protocol.second_factor_events import (
    RecoveryCodesReplaced,
    SecondFactorBegun,
    SecondFactorConfirmed,
    SecondFactorPolicy,
    SecondFactorPolicySet,
    SecondFactorRemoved,
    SecondFactorReset,
)
from actors.tenant import clearance, sessions
from actors.tenant.rights import may, refusal_to_touch
from actors.tenant.second_factor import refusal_of_proof, spent
from actors.tenant.state import SecondFactor, TenantState, User

OwnCommand = BeginSecondFactor | ConfirmSecondFactor | RemoveSecondFactor | ReplaceRecoveryCodes
EnrolmentCommand = OwnCommand | ResetSecondFactor | SetSecondFactorPolicy
FactorEvent = (
    SecondFactorBegun
    | SecondFactorConfirmed
    | SecondFactorRemoved
    | SecondFactorReset
    | RecoveryCodesReplaced
)


def decide(
    state: TenantState, command: EnrolmentCommand
) -> FactorEvent | SecondFactorPolicySet | Rejection:
    """What a command makes of a second factor, or of the policy."""
    match command:
        case BeginSecondFactor():
            return begin(state, command)
        case ConfirmSecondFactor():
            return confirm(state, command)
        case RemoveSecondFactor():
            return remove(state, command)
        case ReplaceRecoveryCodes():
            return replace_codes(state, command)
        case ResetSecondFactor():
            return reset(state, command)
        case SetSecondFactorPolicy():
            return set_policy(state, command)
        case _:
            assert_never(command)


def evolve(state: TenantState, event: FactorEvent) -> TenantState:
    """The tenant with the user's second factor as an event leaves it."""
    user = state.users[event.user]
    ended: tuple[str, ...] = ()
    match event:
        case SecondFactorBegun():
            begun = SecondFactor(event.factor, event.secret)
            user = replace(spent(user, event.proof), begun=begun)
        case SecondFactorConfirmed():
            ended = event.sessions
            confirmed = replace(user.begun, recovery=event.recovery) if user.begun else None
            step = max(user.used_step, event.step)
            user = replace(user, second_factor=confirmed, begun=None, used_step=step)
        case SecondFactorRemoved():
            user = replace(spent(user, event.proof), second_factor=None, begun=None)
        case SecondFactorReset():
            ended = event.sessions
            user = replace(user, second_factor=None, begun=None)
        case RecoveryCodesReplaced():
            user = spent(user, event.proof)
            known = user.second_factor
            renewed = replace(known, recovery=event.recovery) if known else None
            user = replace(user, second_factor=renewed)
        case _:
            assert_never(event)
    return sessions.without(replace(state, users={**state.users, event.user: user}), ended)


def begin(state: TenantState, command: BeginSecondFactor) -> SecondFactorBegun | Rejection:
    """Note a secret. Who has a second factor shows it: or a stolen session could put another there."""
    user = _own(state, command)
    if isinstance(user, Rejection):
        return user
    if user.second_factor is not None or command.proof is not None:
        refused = refusal_of_proof(user, command.proof)
        if refused is not None:
            return refused
    return SecondFactorBegun(
        user=command.user, factor=command.factor, secret=command.secret, proof=command.proof
    )


def confirm(state: TenantState, command: ConfirmSecondFactor) -> SecondFactorConfirmed | Rejection:
    """Make what was begun the second factor. Sessions that were opened without it end."""
    user = _own(state, command)
    if isinstance(user, Rejection):
        return user
    if user.begun is None or user.begun.factor != command.factor:
        return Rejection(ErrorCode.CONFLICT, "this enrolment was not begun, or begun anew")
    session = state.sessions.get(command.session)
    if session is None or session.user != command.user:
        return Rejection(ErrorCode.SESSION_ENDED, "the session has ended; sign in again")
    if command.step <= user.used_step:
        detail = "a code of this time was used before; wait for the next one"
        return Rejection(ErrorCode.SECOND_FACTOR_FAILED, detail)
    return SecondFactorConfirmed(
        user=command.user,
        factor=command.factor,
        step=command.step,
        recovery=command.recovery,
        sessions=sessions.of_user(state, command.user, keep=command.session),
    )


def remove(state: TenantState, command: RemoveSecondFactor) -> SecondFactorRemoved | Rejection:
    """Do without, where that is allowed."""
    user = _own(state, command)
    if isinstance(user, Rejection):
        return user
    if user.second_factor is None:
        return _has_none()
    if state.second_factor_required:
        detail = "this tenant requires a second factor; enrol another one in its place"
        return Rejection(ErrorCode.FORBIDDEN, detail)
    refused = refusal_of_proof(user, command.proof)
    if refused is not None or command.proof is None:
        return refused or _has_none()
    return SecondFactorRemoved(user=command.user, proof=command.proof)


def replace_codes(
    state: TenantState, command: ReplaceRecoveryCodes
) -> RecoveryCodesReplaced | Rejection:
    """Put other recovery codes in the place of those that are left."""
    user = _own(state, command)
    if isinstance(user, Rejection):
        return user
    if user.second_factor is None:
        return _has_none()
    refused = refusal_of_proof(user, command.proof)
    if refused is not None or command.proof is None:
        return refused or _has_none()
    return RecoveryCodesReplaced(user=command.user, recovery=command.recovery, proof=command.proof)


def reset(state: TenantState, command: ResetSecondFactor) -> SecondFactorReset | Rejection:
    """Take another user's second factor away."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may reset a second factor")
    if command.actor == command.user:
        # Or a stolen session of an administrator would do without a code.
        detail = "your own second factor is removed with a code, or reset by another administrator"
        return Rejection(ErrorCode.FORBIDDEN, detail)
    user = state.users.get(command.user)
    if user is None:
        return Rejection(ErrorCode.NOT_FOUND, "there is no such user")
    beyond = refusal_to_touch(state, command, user) or clearance.refusal_to_speak_for(
        state, command, command.user
    )
    if beyond is not None:
        return beyond
    if user.second_factor is None and user.begun is None:
        return _has_none()
    ended = sessions.of_user(state, command.user)
    return SecondFactorReset(user=command.user, sessions=ended)


def set_policy(
    state: TenantState, command: SetSecondFactorPolicy
) -> SecondFactorPolicySet | Rejection:
    """Say whether everybody must have a second factor."""
    if not may(state, command, Permission.USERS_WRITE):
        return Rejection(ErrorCode.FORBIDDEN, "only an administrator may set a policy")
    if command.required and command.role is not Role.SYSTEM:
        own = state.users.get(command.actor)
        if own is None or own.second_factor is None:
            # Who sets it has then seen that it works, and can go on administering.
            detail = "enrol a second factor of your own before you require one of everybody"
            return Rejection(ErrorCode.CONFLICT, detail)
    return SecondFactorPolicySet(
        before=SecondFactorPolicy(required=state.second_factor_required),
        after=SecondFactorPolicy(required=command.required),
    )


def _own(state: TenantState, command: OwnCommand) -> User | Rejection:
    user = state.users.get(command.user)
    if command.actor != command.user or user is None or not user.is_active:
        return Rejection(ErrorCode.FORBIDDEN, "everybody sees to his own second factor")
    return user


def _has_none() -> Rejection:
    return Rejection(ErrorCode.CONFLICT, "there is no second factor")
