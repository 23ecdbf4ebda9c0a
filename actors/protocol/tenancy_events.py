"""What becomes of tenants: records of the platform's own tenant, and the lock of a tenant's doors."""

from typing import ClassVar

from actors.protocol.event import Structured
from actors.protocol.roles import Role
from actors.protocol.tenancy import FirstAdministrator, TenantProfile


class TenantRequested(Structured):
    kind: ClassVar[str] = "tenant_requested"
    tenant: str
    profile: TenantProfile
    administrator: FirstAdministrator | None


class TenantAdopted(Structured):
    kind: ClassVar[str] = "tenant_adopted"
    tenant: str
    name: str


class TenantCreated(Structured):
    kind: ClassVar[str] = "tenant_created"
    tenant: str


class TenantChanged(Structured):
    kind: ClassVar[str] = "tenant_changed"
    tenant: str
    before: TenantProfile
    after: TenantProfile


class TenantSuspended(Structured):
    kind: ClassVar[str] = "tenant_suspended"
    tenant: str
    reason: str


class TenantResumed(Structured):
    kind: ClassVar[str] = "tenant_resumed"
    tenant: str


class TenantDeletionRequested(Structured):
    """The keys may be destroyed from `due_ms` (Unix milliseconds) on."""

    kind: ClassVar[str] = "tenant_deletion_requested"
    tenant: str
    reason: str
    due_ms: int


class TenantDeletionCancelled(Structured):
    kind: ClassVar[str] = "tenant_deletion_cancelled"
    tenant: str


class TenantDestructionBegun(Structured):
    kind: ClassVar[str] = "tenant_destruction_begun"
    tenant: str


class TenantDestroyed(Structured):
    kind: ClassVar[str] = "tenant_destroyed"
    tenant: str


class TenantGranted(Structured):
    """What a user of the platform tenant may read of a tenant, as somebody of which role."""

    kind: ClassVar[str] = "tenant_granted"
    tenant: str
    user: str
    former: Role | None
    granted: Role | None


class TenantLocked(Structured):
    """Nobody of this tenant signs in any more, or everybody does again."""

    kind: ClassVar[str] = "tenant_locked"
    locked: bool
    reason: str


ManagedTenantEvent = (
    TenantRequested
    | TenantAdopted
    | TenantCreated
    | TenantChanged
    | TenantSuspended
    | TenantResumed
    | TenantDeletionRequested
    | TenantDeletionCancelled
    | TenantDestructionBegun
    | TenantDestroyed
)
