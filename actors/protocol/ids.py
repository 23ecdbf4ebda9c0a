"""Validated id types and how ids are made."""

import hashlib
import re
from typing import Annotated, Final

from pydantic import StringConstraints

TOKEN_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
"""What may be one token of a NATS subject: no dot, no wildcard, no white space."""

TENANT_PATTERN: Final = r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$"
"""A tenant id is part of a database name too, and those must differ by more than case."""

ROOM_PATTERN: Final = r"^[A-Za-z0-9-][A-Za-z0-9_-]{0,63}$"
"""A leading underscore is kept for mailboxes of the system, such as the tenant's own."""

ROLE_PATTERN: Final = r"^role_[A-Za-z0-9_-]{1,59}$"
"""Roles of a tenant's own; the prefix keeps them apart from built-in ones and from sessions."""

TenantId = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
RoomId = Annotated[str, StringConstraints(pattern=ROOM_PATTERN)]
UserId = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
ClientId = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
SessionId = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
InvitationId = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
RoleId = Annotated[str, StringConstraints(pattern=ROLE_PATTERN)]

TENANT_ROOM: Final = "_tenant"
"""The mailbox and the chain of the tenant actor: the tenant's audit trail."""

PLATFORM_TENANT: Final = "platform"
"""The tenant of those who run the platform. Its own chain records what becomes of all the others."""

RESERVED_TENANTS: Final = frozenset({"all", "current", "me", "new", "self"})
"""Words that no tenant is made with: in the paths of routes they stand where a tenant's id stands, or may
one day. One that has such an id is left as it is."""

_TOKEN: Final = re.compile(TOKEN_PATTERN)
_TENANT: Final = re.compile(TENANT_PATTERN)
_ROOM: Final = re.compile(ROOM_PATTERN)
_TIME_ORDERED: Final = re.compile(r"[a-z]+_([0-9a-f]{12})[0-9a-f]{20}")
_ROLE: Final = re.compile(ROLE_PATTERN)


def is_token(text: str) -> bool:
    """Whether `text` may stand as one token of a subject."""
    return _TOKEN.fullmatch(text) is not None


def is_tenant_id(text: str) -> bool:
    """Whether `text` may name a tenant."""
    return _TENANT.fullmatch(text) is not None


def is_room_id(text: str) -> bool:
    """Whether `text` may name a room that people can enter."""
    return _ROOM.fullmatch(text) is not None


def is_role_id(text: str) -> bool:
    """Whether `text` may name a role that a tenant has made."""
    return _ROLE.fullmatch(text) is not None


def is_mailbox(name: object) -> bool:
    """Whether `name` is a room or the tenant's own mailbox."""
    return isinstance(name, str) and (name == TENANT_ROOM or is_room_id(name))


def time_ordered_id(prefix: str, unix_ms: int, entropy: bytes) -> str:
    """An id that sorts by time: prefix, 12 hex digits of milliseconds, 20 of entropy (10 bytes)."""
    return f"{prefix}_{unix_ms:012x}{entropy[:10].hex()}"


def time_of_id(name: str) -> int | None:
    """The milliseconds in an id that `time_ordered_id` has made; None if there are none."""
    found = _TIME_ORDERED.fullmatch(name)
    return int(found[1], 16) if found is not None else None


def derived_id(prefix: str, *parts: str) -> str:
    """The same id for the same parts, whoever makes it and however often (32 hex digits)."""
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f"{prefix}_{digest[:32]}"
