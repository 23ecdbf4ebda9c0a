"""What the platform knows of its tenants (the companies), and what can be asked about one.

An action is what a `ManageTenant` command carries. It is decided by the actor of the platform tenant.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from actors.protocol.ids import UserId
from actors.protocol.limits import (
    DELETION_DAYS_MAX,
    MAPPING_ITEMS_MAX,
    NAME_CHARS_MAX,
    PICTURE_CHARS_MAX,
    REASON_CHARS_MAX,
    SLA_MINUTES_MAX,
    VOLUME_MAX,
)

_Name = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX, strip_whitespace=True)
]
_Text = Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX, strip_whitespace=True)]
_Phone = Annotated[str, StringConstraints(pattern=r"^(\+?[0-9 ()./-]{3,40})?$")]
_Country = Annotated[str, StringConstraints(pattern=r"^([A-Z]{2})?$")]
"""ISO 3166-1 alpha-2, or nothing."""
_Region = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")]
_Picture = Annotated[str, StringConstraints(max_length=PICTURE_CHARS_MAX)]
_Reason = Annotated[str, StringConstraints(max_length=REASON_CHARS_MAX)]
_Items = Annotated[tuple[_Name, ...], Field(max_length=MAPPING_ITEMS_MAX)]
_PICTURE: Final = re.compile(
    r"(https://[^\s\"'<>]+|data:image/(png|jpeg|webp);base64,[A-Za-z0-9+/]+={0,2})?"
)
"""A reference, or a picture that no browser takes for a document: no SVG."""

Severity = Literal["critical", "high", "medium", "low"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Volume(_Model):
    """What is contracted: events a second or gigabytes a day; an amount of 0 is no contract."""

    unit: Literal["eps", "gb_per_day"]
    amount: Annotated[int, Field(ge=0, le=VOLUME_MAX)]


class SlaTarget(_Model):
    """Within how many minutes an incident is answered and solved."""

    respond_minutes: Annotated[int, Field(ge=1, le=SLA_MINUTES_MAX)]
    resolve_minutes: Annotated[int, Field(ge=1, le=SLA_MINUTES_MAX)]


class Mappings(_Model):
    """What a tenant is called in the systems around: names as those systems have them."""

    siem_domains: _Items = ()
    event_collectors: _Items = ()
    soar_accounts: _Items = ()
    itsm_accounts: _Items = ()
    integrations: _Items = ()


class _Pictured(_Model):
    picture: _Picture | None = None

    @field_validator("picture")
    @classmethod
    def _is_a_picture(cls, value: str | None) -> str | None:
        if value is not None and _PICTURE.fullmatch(value) is None:
            raise ValueError("an https reference, or a PNG, JPEG or WebP image as a data URL")
        return value


class TenantProfile(_Pictured):
    """The facts of a tenant. Empty texts are not known; no `sla` means the platform's default."""

    name: _Name
    phone: _Phone = ""
    industry: _Text = ""
    country: _Country = ""
    volume: Volume | None = None
    mappings: Mappings = Mappings()
    sla: dict[Severity, SlaTarget] | None = None
    data_region: _Region = ""

    def changed(self, change: "ProfileChange") -> "TenantProfile":
        """The profile after a change; what the change leaves out stays."""
        given = {
            name: getattr(change, name)
            for name in ProfileChange.model_fields
            if getattr(change, name) is not None
        }
        if change.volume is not None and not change.volume.amount:
            given["volume"] = None
        if change.sla == {}:
            given["sla"] = None
        if change.picture == "":
            given["picture"] = None
        return self.model_copy(update=given)


class ProfileChange(_Pictured):
    """What is to be other than it was; None stays. Empty texts, an empty table of `sla`, and a volume of
    0 take away what was there."""

    name: _Name | None = None
    phone: _Phone | None = None
    industry: _Text | None = None
    country: _Country | None = None
    volume: Volume | None = None
    mappings: Mappings | None = None
    sla: dict[Severity, SlaTarget] | None = None
    data_region: _Region | None = None


class FirstAdministrator(_Model):
    """Who is to administer a new tenant. The password is an argon2id string."""

    user: UserId
    username: _Name
    email: _Name | None = None
    display_name: _Name
    password_hash: str = Field(repr=False)


class Create(_Model):
    """Ask for a tenant; whoever has the provisioner's credentials makes it."""

    do: Literal["create"] = "create"
    profile: TenantProfile
    administrator: FirstAdministrator | None = None


class Adopt(_Model):
    """Take note of a tenant that was made without being asked for here."""

    do: Literal["adopt"] = "adopt"
    name: _Name


class Change(_Model):
    """Change the profile."""

    do: Literal["change"] = "change"
    change: ProfileChange


class Suspend(_Model):
    """Keep everybody of a tenant out, its systems too."""

    do: Literal["suspend"] = "suspend"
    reason: _Reason = ""


class Resume(_Model):
    """Let a suspended tenant in again."""

    do: Literal["resume"] = "resume"


class Delete(_Model):
    """Suspend a tenant, and destroy its keys when `wait_days` are over."""

    do: Literal["delete"] = "delete"
    reason: _Reason = ""
    wait_days: Annotated[int, Field(ge=0, le=DELETION_DAYS_MAX)]


class CancelDeletion(_Model):
    """Let a tenant that waits for its deletion live."""

    do: Literal["cancel_deletion"] = "cancel_deletion"


class BeginDestruction(_Model):
    """Cross the point of no return; refused before the waiting period is over."""

    do: Literal["begin_destruction"] = "begin_destruction"


class Confirm(_Model):
    """Say that what was asked for is done."""

    do: Literal["confirm"] = "confirm"
    done: Literal["created", "destroyed"]


TenantAction = Annotated[
    Create
    | Adopt
    | Change
    | Suspend
    | Resume
    | Delete
    | CancelDeletion
    | BeginDestruction
    | Confirm,
    Field(discriminator="do"),
]

TenantStatus = Literal["creating", "active", "suspended", "deleting", "destroying", "deleted"]
STATUSES: Final[tuple[TenantStatus, ...]] = (
    "creating",
    "active",
    "suspended",
    "deleting",
    "destroying",
    "deleted",
)


class ManagedTenant(_Model):
    """A tenant as the platform has it.

    Attributes:
        status: see the decision on provisioning.
        profile: its facts.
        since_ms: when the status came to be, in Unix milliseconds.
        administrator: who is to be made; None once the tenant is there.
        due_ms: when it may be destroyed, while it waits for that.
        was_suspended: whether it goes back to being suspended should the deletion be cancelled.
    """

    status: TenantStatus
    profile: TenantProfile
    since_ms: int
    administrator: FirstAdministrator | None = None
    due_ms: int | None = None
    was_suspended: bool = False

    def now(self, status: TenantStatus, at_ms: int) -> Self:
        """The same under another status."""
        waits = status == "deleting"
        return self.model_copy(
            update={
                "status": status,
                "since_ms": at_ms,
                "administrator": self.administrator if status == "creating" else None,
                "due_ms": self.due_ms if waits else None,
            }
        )
