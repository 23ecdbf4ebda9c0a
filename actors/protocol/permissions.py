"""What somebody may be permitted, and which built-in role permits what: one table.

A permission opens a door of the system and no more. Which rooms somebody may enter, and what he may do in
one, is decided by the room: `rooms.write` is the permission to write where a room lets him.
"""

from collections.abc import Mapping, Set
from enum import StrEnum
from typing import Final

from actors.protocol.ids import PLATFORM_TENANT
from actors.protocol.roles import Role


class Permission(StrEnum):
    """One thing that a role can permit: an area, and reading or writing in it."""

    DASHBOARD_READ = "dashboard.read"
    DASHBOARD_WRITE = "dashboard.write"
    REPORTS_READ = "reports.read"
    REPORTS_WRITE = "reports.write"
    THREAT_INTELLIGENCE_READ = "threat_intelligence.read"
    THREAT_INTELLIGENCE_WRITE = "threat_intelligence.write"
    ASSETS_READ = "assets.read"
    ASSETS_WRITE = "assets.write"
    ALERTS_READ = "alerts.read"
    ALERTS_WRITE = "alerts.write"
    INCIDENTS_READ = "incidents.read"
    INCIDENTS_WRITE = "incidents.write"
    ROOMS_READ = "rooms.read"
    ROOMS_WRITE = "rooms.write"
    ROOMS_CREATE = "rooms.create"
    INTEGRATIONS_READ = "integrations.read"
    INTEGRATIONS_WRITE = "integrations.write"
    USERS_READ = "users.read"
    USERS_WRITE = "users.write"
    AUDIT_READ = "audit.read"
    EVIDENCE_READ = "evidence.read"
    PLATFORM_READ = "platform.read"
    PLATFORM_WRITE = "platform.write"


OF_PLATFORM: Final = frozenset({Permission.PLATFORM_READ, Permission.PLATFORM_WRITE})
"""Permissions to see and to manage tenants. They come with the platform's roles, in its tenant, only."""
OF_TENANT: Final = frozenset(Permission) - OF_PLATFORM
"""Permissions that a role of a tenant can permit."""

PERMISSIONS: Final[Mapping[Permission, str]] = {
    Permission.DASHBOARD_READ: "See dashboards.",
    Permission.DASHBOARD_WRITE: "Make and change dashboards.",
    Permission.REPORTS_READ: "Read reports.",
    Permission.REPORTS_WRITE: "Make and change reports.",
    Permission.THREAT_INTELLIGENCE_READ: "Read threat intelligence.",
    Permission.THREAT_INTELLIGENCE_WRITE: "Add and change threat intelligence.",
    Permission.ASSETS_READ: "See assets.",
    Permission.ASSETS_WRITE: "Add and change assets.",
    Permission.ALERTS_READ: "See alerts.",
    Permission.ALERTS_WRITE: "Handle alerts.",
    Permission.INCIDENTS_READ: "See incidents.",
    Permission.INCIDENTS_WRITE: "Handle incidents.",
    Permission.ROOMS_READ: "Read the rooms that one may enter.",
    Permission.ROOMS_WRITE: "Write in rooms, and change them, where the room allows it.",
    Permission.ROOMS_CREATE: "Open rooms, and take part in open ones as an analyst does.",
    Permission.INTEGRATIONS_READ: "See integrations.",
    Permission.INTEGRATIONS_WRITE: "Make and change integrations.",
    Permission.USERS_READ: "See users, their sessions, roles and invitations.",
    Permission.USERS_WRITE: "Make and change users and roles, within one's own permissions.",
    Permission.AUDIT_READ: "Read the audit log.",
    Permission.EVIDENCE_READ: "Read and verify the chains of rooms that one may enter.",
}
"""Every permission of a tenant's roles, in words."""

_ADMINISTRATION: Final = frozenset(
    {Permission.USERS_READ, Permission.USERS_WRITE, Permission.AUDIT_READ}
)
_ANALYST: Final = OF_TENANT - _ADMINISTRATION - {Permission.INTEGRATIONS_WRITE}
_NONE: Final[frozenset[Permission]] = frozenset()

BUILT_IN: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.TENANT_ADMIN: OF_TENANT,
    Role.ANALYST: _ANALYST,
    # A viewer writes in rooms that list him as more than an observer: the room decides, as for all.
    Role.VIEWER: frozenset(name for name in _ANALYST if name.endswith(".read"))
    - {Permission.INTEGRATIONS_READ}
    | {Permission.ROOMS_WRITE},
    # Rooms are opened by the people of tenants.
    Role.PLATFORM_ADMIN: frozenset(Permission) - {Permission.ROOMS_CREATE},
    Role.PLATFORM_VIEWER: frozenset(name for name in Permission if name.endswith(".read")),
    # Systems come in by the bus, where what they may do is decided by the actors.
    Role.EXTERNAL: _NONE,
    Role.SYSTEM: _NONE,
}
"""What every built-in role permits."""


def capability(permissions: Set[Permission]) -> Role:
    """As which built-in role a custom role with these permissions acts in rooms: never as more than an
    analyst, because an administrator of rooms is one by more than permissions."""
    return Role.ANALYST if Permission.ROOMS_CREATE in permissions else Role.VIEWER


def permitted(tenant: str, role: Role) -> frozenset[Permission]:
    """What a built-in role permits in a tenant: a role of the platform is worth nothing in any other."""
    permissions = BUILT_IN[role]
    return permissions if tenant == PLATFORM_TENANT else permissions - OF_PLATFORM


def known_permissions(names: object) -> frozenset[Permission]:
    """The permissions of stored names; one that this version does not know permits nothing."""
    known = {item.value: item for item in OF_TENANT}
    if not isinstance(names, list | tuple | set | frozenset):
        return _NONE
    return frozenset(known[name] for name in names if name in known)
