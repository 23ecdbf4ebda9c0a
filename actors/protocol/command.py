"""What every command carries, and the texts and numbers that commands are made of."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from actors.protocol.ids import ClientId, RoleId, UserId
from actors.protocol.limits import (
    ADDRESS_CHARS_MAX,
    NAME_CHARS_MAX,
    REASON_CHARS_MAX,
    TIME_MS_MAX,
)
from actors.protocol.markings import LOWEST, Clearance
from actors.protocol.roles import Role

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX, strip_whitespace=True)
]
Reason = Annotated[str, StringConstraints(max_length=REASON_CHARS_MAX)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TimeMs = Annotated[int, Field(ge=0, le=TIME_MS_MAX)]
# Left out where there is none: what was asked before there was such a thing keeps its fingerprint.
MaybeRole = Annotated[RoleId | None, Field(exclude_if=lambda value: value is None)]
"""A role that the tenant has made, in the place of a built-in one."""


def if_given() -> Any:
    """A field that is left out where it says nothing: commands of before there was such a thing keep
    their fingerprints."""
    return Field(default=None, exclude_if=lambda value: value is None)


class Origin(BaseModel):
    """By which door a command came in, and the address behind it as the server saw it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["rest", "socket", "cli", "nats", "system"]
    address: Annotated[str, StringConstraints(max_length=ADDRESS_CHARS_MAX)] = ""


class Command(BaseModel):
    """What every command carries.

    `ref` is the asker's own mark, repeated in the reply; with `quiet` a success is not replied to,
    because the asker sees the committed event anyway. `origin` is recorded, but is no part of what is
    asked: the same command from another address is the same command. `clearance` is the asker's, as
    `role` is; a system needs none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: ClientId
    actor: UserId
    role: Role
    ref: str = ""
    quiet: bool = False
    origin: Origin | None = Field(default=None, exclude_if=lambda value: value is None)
    clearance: Clearance = Field(default=LOWEST, exclude_if=lambda value: value == LOWEST)
