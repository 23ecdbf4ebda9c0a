"""Who is in a room. The check is made where the commit is, so nothing slips in after a removal."""

from dataclasses import replace

from actors.protocol.commands import Command, PutMember, RemoveMember
from actors.protocol.errors import ErrorCode, Rejection
from actors.protocol.events import MemberAdded, MemberRemoved
from actors.protocol.limits import MEMBERS_MAX
from actors.protocol.roles import Role, RoomRole
from actors.room.state import RoomState, refusal_to_write


def refusal_to_manage(state: RoomState, command: Command) -> Rejection | None:
    """Why somebody may not change who is here, the name or the state of the room."""
    refused = refusal_to_write(state, command.actor, command.role)
    if refused is not None and refused.code is not ErrorCode.ROOM_CLOSED:
        return refused
    owner = state.members.get(command.actor) is RoomRole.OWNER
    if owner or command.role in (Role.TENANT_ADMIN, Role.SYSTEM):
        return None
    if state.kind == "incident" and command.role is Role.ANALYST:
        return None
    return Rejection(
        ErrorCode.FORBIDDEN, "only an owner of the room or an administrator may do this"
    )


def put(state: RoomState, command: PutMember) -> MemberAdded | Rejection:
    """Make somebody a member, or change what he may do."""
    refused = refusal_to_manage(state, command)
    if refused is not None:
        return refused
    if command.user not in state.members and len(state.members) >= MEMBERS_MAX:
        return Rejection(ErrorCode.TOO_MANY, f"a room lists at most {MEMBERS_MAX} members")
    if _leaves_no_owner(state, command.user) and command.room_role is not RoomRole.OWNER:
        return Rejection(
            ErrorCode.CONFLICT, "a room needs an owner; make somebody else owner first"
        )
    return MemberAdded(user=command.user, role=command.room_role)


def remove(state: RoomState, command: RemoveMember) -> MemberRemoved | Rejection:
    """Take somebody out; a member may leave by himself."""
    leaving = command.user == command.actor and command.actor in state.members
    refused = None if leaving else refusal_to_manage(state, command)
    if refused is not None:
        return refused
    if command.user not in state.members:
        return Rejection(ErrorCode.NOT_FOUND, "no such member")
    if _leaves_no_owner(state, command.user):
        return Rejection(
            ErrorCode.CONFLICT, "a room needs an owner; make somebody else owner first"
        )
    return MemberRemoved(user=command.user)


def _leaves_no_owner(state: RoomState, user: str) -> bool:
    owners = [name for name, role in state.members.items() if role is RoomRole.OWNER]
    return owners == [user]


def added(state: RoomState, event: MemberAdded) -> RoomState:
    """The room with a member more, or with another role of his."""
    return replace(state, members={**state.members, event.user: event.role})


def removed(state: RoomState, event: MemberRemoved) -> RoomState:
    """The room without a member."""
    members = {user: role for user, role in state.members.items() if user != event.user}
    return replace(state, members=members)
