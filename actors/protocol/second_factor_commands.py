"""What can be asked of a tenant about second factors, and the proof of one."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from actors.protocol.command import Command, Digest
from actors.protocol.ids import SessionId, UserId
from actors.protocol.limits import RECOVERY_CODES_MAX, SEALED_SECRET_CHARS_MAX, TOTP_STEP_MAX

TotpStep = Annotated[int, Field(ge=1, le=TOTP_STEP_MAX)]
RecoveryDigests = Annotated[tuple[Digest, ...], Field(max_length=RECOVERY_CODES_MAX, repr=False)]


class SecondFactorProof(BaseModel):
    """What somebody has shown of his second factor `factor`: a code of the time step `step`, or the
    recovery code with the SHA-256 `recovery`. Neither is good a second time; the tenant decides that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: UserId
    method: Literal["totp", "recovery"]
    step: TotpStep | None = None
    recovery: Digest | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        shown = {"totp": self.step, "recovery": self.recovery}
        if [name for name, value in shown.items() if value is not None] != [self.method]:
            raise ValueError("a proof is a time step or a recovery code")
        return self


Proof = Annotated[SecondFactorProof | None, Field(exclude_if=lambda value: value is None)]
"""Left out where there is none: commands and records of before there was such a thing stay as they are."""
Restricted = Annotated[bool, Field(exclude_if=lambda value: not value)]
"""Whether a session is for nothing but enrolling a second factor."""


class BeginSecondFactor(Command):
    """Note a secret, sealed with the tenant's key, that is to be confirmed with a code of it.

    Whoever has a second factor shows it, and keeps it until then.
    """

    type: Literal["begin_second_factor"] = "begin_second_factor"
    user: UserId
    factor: UserId
    secret: Annotated[str, StringConstraints(max_length=SEALED_SECRET_CHARS_MAX)] = Field(
        repr=False
    )
    proof: Proof = None


class ConfirmSecondFactor(Command):
    """Make the secret that was noted the second factor: a code of its time step `step` was shown.

    `recovery` are the SHA-256 of the recovery codes; `session` is the one that stays.
    """

    type: Literal["confirm_second_factor"] = "confirm_second_factor"
    user: UserId
    factor: UserId
    step: TotpStep
    recovery: RecoveryDigests
    session: SessionId


class RemoveSecondFactor(Command):
    """Do without one's second factor."""

    type: Literal["remove_second_factor"] = "remove_second_factor"
    user: UserId
    proof: Proof = None


class ResetSecondFactor(Command):
    """Take another user's second factor away, because he has lost it."""

    type: Literal["reset_second_factor"] = "reset_second_factor"
    user: UserId


class ReplaceRecoveryCodes(Command):
    """Put other recovery codes, by their SHA-256, in the place of those that are left."""

    type: Literal["replace_recovery_codes"] = "replace_recovery_codes"
    user: UserId
    recovery: RecoveryDigests
    proof: Proof = None


class SetSecondFactorPolicy(Command):
    """Say whether everybody of the tenant must have a second factor."""

    type: Literal["set_second_factor_policy"] = "set_second_factor_policy"
    required: bool


SecondFactorCommand = (
    BeginSecondFactor
    | ConfirmSecondFactor
    | RemoveSecondFactor
    | ResetSecondFactor
    | ReplaceRecoveryCodes
    | SetSecondFactorPolicy
)
