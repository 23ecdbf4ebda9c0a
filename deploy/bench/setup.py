"""Prepares what a load needs, through the public surface: sessions, and rooms with their members."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.http import http_client
from deploy.bench.errors import BenchError
from deploy.bench.load import Login

API: Final = "/api/v1"
VISIBLE_CHECKS_MAX: Final = 200
VISIBLE_CHECK_S: Final = 0.05
HTTP_OK: Final = 200


async def log_in(url: str, logins: Sequence[Login]) -> tuple[str, ...]:
    """An access token for each login, in their order.

    Raises:
        BenchError: one was refused.
    """
    async with http_client(url) as http:
        tokens = []
        for login in logins:
            answer = await http.post(
                f"{API}/auth/login",
                json={"username": login.username, "password": login.password},
            )
            tokens.append(str(_object(answer, f"signing in as {login.username}")["access_token"]))
        return tuple(tokens)


async def make_rooms(
    url: str, admin: Login, users: Sequence[Login], names: Sequence[str]
) -> tuple[str, ...]:
    """Make a room for each name, with all `users` as members; wait until they can see it.

    Returns:
        The ids of the rooms.

    Raises:
        BenchError: the server refused, or the rooms did not appear.
    """
    tokens = await log_in(url, (admin, *users))
    admin_session, *sessions = ({"Authorization": f"Bearer {token}"} for token in tokens)
    async with http_client(url) as http:
        members = {}
        for session in sessions:
            me = await http.get(f"{API}/auth/me", headers=session)
            members[str(_object(me, "asking who I am")["user"])] = "member"
        rooms = []
        for name in names:
            made = await http.post(
                f"{API}/rooms",
                json={"name": name, "members": members},
                headers={**admin_session, "Idempotency-Key": name},
            )
            rooms.append(str(_object(made, "making a room")["room"]))
        for room in rooms:
            await _appears(http, f"{API}/rooms/{room}", sessions[0])
        return tuple(rooms)


async def _appears(http: Any, path: str, session: Mapping[str, str]) -> None:
    """Return when a room can be read: that comes shortly after its receipt."""
    for _ in range(VISIBLE_CHECKS_MAX):
        if (await http.get(path, headers=session)).status_code == HTTP_OK:
            return
        await asyncio.sleep(VISIBLE_CHECK_S)
    raise BenchError(f"{path} did not appear after it was made; is an actor process running?")


def _object(answer: Any, doing: str) -> dict[str, Any]:
    """The JSON object of an answer that says yes."""
    if answer.is_success and isinstance(found := answer.json(), dict):
        return found
    raise BenchError(f"{doing}: the server answered {answer.status_code}: {answer.text[:200]}")
