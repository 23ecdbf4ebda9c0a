"""`/users/{user}/sessions`: where somebody is signed in, for himself and for administrators."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from actors.protocol.commands import EndSession
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TOKEN_PATTERN, time_of_id
from gateway.frames import rfc3339
from gateway.rest.access import DEFAULT_LIMIT, IdempotencyKey, Limit, Services, SignedIn, UserInPath
from gateway.rest.commands import by
from gateway.rest.strict import StrictRoute
from gateway.rest.users import UserChanged, commit

SessionInPath = Annotated[str, Path(pattern=TOKEN_PATTERN)]


class SessionView(BaseModel):
    """A sign-in that has not ended. `expires_at` moves on while it is used; `current` is the one that asks.
    `address` is where it was opened from, empty where that is not known."""

    session: str
    opened_at: str | None
    expires_at: str
    address: str
    current: bool


class SessionPage(BaseModel):
    """Sessions by id, which is by age; `next` is the `cursor` of the following page."""

    items: list[SessionView]
    next: str | None


async def list_sessions(
    user: UserInPath,
    caller: SignedIn,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str, Query(pattern=TOKEN_PATTERN)] | None = None,
) -> SessionPage:
    """Where somebody is signed in."""
    if await caller.reader.user(user) is None:
        raise Refusal(ErrorCode.NOT_FOUND, "there is no such user")
    rows = await caller.reader.people.sessions_of(user, after=cursor or "", limit=limit + 1)
    items = []
    for row in rows[:limit]:
        opened_ms = time_of_id(row.session)
        view = SessionView(
            session=row.session,
            opened_at=None if opened_ms is None else rfc3339(opened_ms),
            expires_at=rfc3339(row.expires_ms),
            address=row.address,
            current=row.session == caller.principal.session,
        )
        items.append(view)
    return SessionPage(items=items, next=items[-1].session if len(rows) > limit else None)


async def end_session(
    user: UserInPath,
    session: SessionInPath,
    caller: SignedIn,
    services: Services,
    key: IdempotencyKey = None,
) -> UserChanged:
    """End one session; its sockets are closed."""
    command = EndSession(**by(caller, key), session=session, user=user)
    return await commit(services, caller, user, command)


def router() -> APIRouter:
    """The routes of this file."""
    routes = APIRouter(prefix="/users/{user}/sessions", tags=["users"], route_class=StrictRoute)
    routes.get("", name="list_user_sessions")(list_sessions)
    routes.delete("/{session}", name="end_user_session")(end_session)
    return routes
