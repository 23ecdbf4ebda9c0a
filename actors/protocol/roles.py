"""Who somebody is in a tenant and in a room."""

from enum import StrEnum


class Role(StrEnum):
    """A user's role in its tenant, or the kind of system that acts."""

    TENANT_ADMIN = "tenant_admin"
    ANALYST = "analyst"
    VIEWER = "viewer"
    EXTERNAL = "external"
    SYSTEM = "system"


class Registration(StrEnum):
    """Whether people may make themselves users of a tenant."""

    CLOSED = "closed"
    WITH_APPROVAL = "with_approval"
    OPEN = "open"


class RoomRole(StrEnum):
    """What a member may do in a room: an observer reads."""

    OWNER = "owner"
    MEMBER = "member"
    OBSERVER = "observer"
