"""Clearance of users: given by administrators, none of whom gives or gets at more than he has himself."""

from dataclasses import replace

from actors.protocol.commands import Command
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import Profile
from actors.protocol.markings import CLEARANCES, LOWEST
from actors.protocol.roles import Role
from actors.tenant.state import TenantState, User


def refusal_to_grant(
    state: TenantState, command: Command, before: int, after: int
) -> Rejection | None:
    """Why somebody may not give a user another clearance. Taking it away needs none."""
    if after <= before or after <= _own(state, command):
        return None
    detail = f"you may not give the clearance {CLEARANCES[after]!r}: your own is lower"
    return Rejection(ErrorCode.FORBIDDEN, detail)


def refusal_to_speak_for(state: TenantState, command: Command, user: str) -> Rejection | None:
    """Why somebody may not get the means to sign in as a user: he would have that one's clearance."""
    if user == command.actor or state.users[user].clearance <= _own(state, command):
        return None
    detail = "the user has a higher clearance than you; an administrator who has it can do this"
    return Rejection(ErrorCode.FORBIDDEN, detail)


def refusal_to_vouch(state: TenantState, command: Command) -> Rejection | None:
    """Why somebody may not say which directory is asked: it lets in whom it likes as any of its users."""
    users = (user for user in state.users.values() if user.directory_key and not user.deleted)
    if max((user.clearance for user in users), default=LOWEST) <= _own(state, command):
        return None
    detail = "a user of the directory has a higher clearance than you; one who has it can do this"
    return Rejection(ErrorCode.FORBIDDEN, detail)


def _own(state: TenantState, command: Command) -> int:
    if command.role is Role.SYSTEM:
        return len(CLEARANCES)
    # What the tenant knows counts: what a command carries can be minutes old.
    known = state.users.get(command.actor)
    return known.clearance if known is not None else LOWEST


def told(level: int, other: int) -> int | None:
    """A level as a record says it, beside another one: not at all where both are the lowest, as it was
    before there was such a thing."""
    return None if level == other == LOWEST else level


def granted(user: User, after: Profile) -> User:
    """The user with the clearance of a record."""
    return user if after.clearance is None else replace(user, clearance=after.clearance)
