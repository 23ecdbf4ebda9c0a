"""`/rooms/{room}/members`: who is in a room."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from actors.protocol.commands import PutMember, RemoveMember
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TOKEN_PATTERN
from actors.protocol.roles import RoomRole
from gateway.rest.access import (
    DEFAULT_LIMIT,
    Body,
    IdempotencyKey,
    Limit,
    Services,
    SignedIn,
    UserInPath,
    VisibleRoom,
)
from gateway.rest.commands import ReceiptView, by, receipt_view, send
from gateway.rest.rooms import RoomRoleName
from gateway.rest.strict import StrictRoute


class Membership(Body):
    """What somebody may do in a room: an observer reads."""

    role: RoomRoleName


class Member(BaseModel):
    """Somebody listed in a room."""

    user: str
    username: str | None
    display_name: str | None
    role: str


class MemberPage(BaseModel):
    """Members by user id; `next` is the `cursor` of the following page."""

    items: list[Member]
    next: str | None


class MemberChanged(BaseModel):
    """A change of membership was committed. Without a role the user is no longer a member."""

    room: str
    user: str
    role: str | None
    receipt: ReceiptView


async def list_members(
    row: VisibleRoom,
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
) -> MemberPage:
    """Who is listed in a room."""
    users = sorted(user for user in row.members if cursor is None or user > cursor)
    page = users[:limit]
    known = await asyncio.gather(*(caller.reader.user(user) for user in page))
    items = [
        Member(
            user=user,
            username=facts.username if facts else None,
            display_name=facts.display_name if facts else None,
            role=row.members[user],
        )
        for user, facts in zip(page, known, strict=True)
    ]
    return MemberPage(items=items, next=page[-1] if len(users) > limit else None)


async def put_member(
    body: Membership,
    user: UserInPath,
    row: VisibleRoom,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> MemberChanged:
    """Make somebody a member, or change what a member may do."""
    known = await caller.reader.user(user)
    if known is None or known.deleted:
        raise Refusal(ErrorCode.NOT_FOUND, "no such user")
    command = PutMember(
        **by(caller, key),
        user=user,
        room_role=RoomRole(body.role),
    )
    receipt = await send(services, caller, row.room, command)
    return MemberChanged(room=row.room, user=user, role=body.role, receipt=receipt_view(receipt))


async def remove_member(
    user: UserInPath,
    row: VisibleRoom,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> MemberChanged:
    """Take somebody out of a room. Nothing of his commits after it, and his sockets stop."""
    command = RemoveMember(
        **by(caller, key),
        user=user,
    )
    receipt = await send(services, caller, row.room, command)
    return MemberChanged(room=row.room, user=user, role=None, receipt=receipt_view(receipt))


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/rooms/{room}/members", tags=["members"], route_class=StrictRoute)
    routes.get("")(list_members)
    routes.put("/{user}")(put_member)
    routes.delete("/{user}")(remove_member)
    return routes
