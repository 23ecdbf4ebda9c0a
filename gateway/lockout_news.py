"""Gateways tell one another of failed sign-ins, so that N of them give a guesser no more tries than one.

Told without an answer, and kept by nobody: a gateway that does not hear it, or has just started, counts
what it has seen itself. Tries that are under way at several gateways at once don't know of each other.
"""

import secrets
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from actors.client import ActorClient
from actors.protocol.ids import TenantId, UserId
from actors.protocol.limits import ADDRESS_CHARS_MAX
from gateway.lockout import Heard, Lockout

USERS_TOLD_MAX = 16
"""Users of one name; more than that are left out."""

log = structlog.get_logger(__name__)


class _News(BaseModel):
    """`by` is the gateway that tells; without an address a name is cleared. The name is a digest: whoever
    traces the bus reads nothing of what was typed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Annotated[str, StringConstraints(max_length=64)]
    name: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    address: Annotated[str, StringConstraints(max_length=ADDRESS_CHARS_MAX)] | None
    users: Annotated[
        tuple[tuple[TenantId, UserId | Literal[""]], ...], Field(max_length=USERS_TOLD_MAX)
    ] = ()


class LockoutNews:
    """One gateway's part in it."""

    def __init__(
        self, actors: ActorClient, spawn: Callable[[Coroutine[Any, Any, None]], None]
    ) -> None:
        self._actors = actors
        self._spawn = spawn
        self._me = secrets.token_hex(8)

    def tell(self, heard: Heard) -> None:
        """Tell the others."""
        news = _News(
            by=self._me,
            name=heard.name,
            address=heard.address[:ADDRESS_CHARS_MAX] if heard.address is not None else None,
            users=heard.users[:USERS_TOLD_MAX],
        )
        self._spawn(self._actors.tell_gateways(news.model_dump_json().encode()))

    def hear(self, lockout: Lockout, body: bytes) -> None:
        """Count what another gateway tells."""
        try:
            news = _News.model_validate_json(body)
        except ValidationError:
            log.warning("lockout.news_unreadable")
            return
        if news.by != self._me:
            lockout.heard(Heard(news.name, news.address, news.users))
