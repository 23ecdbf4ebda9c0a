"""Who somebody is in a tenant and in a room."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A user's role in its tenant, or the kind of system that acts."""

    TENANT_ADMIN = "tenant_admin"
    ANALYST = "analyst"
    VIEWER = "viewer"
    PLATFORM_ADMIN = "platform_admin"
    PLATFORM_VIEWER = "platform_viewer"
    EXTERNAL = "external"
    SYSTEM = "system"


PLATFORM_ROLES = frozenset({Role.PLATFORM_ADMIN, Role.PLATFORM_VIEWER})
"""Roles that count in the platform tenant only: whoever has one manages or sees all tenants."""


class Registration(StrEnum):
    """Whether people may make themselves users of a tenant."""

    CLOSED = "closed"
    WITH_APPROVAL = "with_approval"
    OPEN = "open"


SYSTEMS: Final = frozenset({Role.EXTERNAL, Role.SYSTEM})
"""Those that are no persons."""


class RoomRole(StrEnum):
    """What a member may do in a room: an observer reads."""

    OWNER = "owner"
    MEMBER = "member"
    OBSERVER = "observer"
