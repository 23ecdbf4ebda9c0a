"""What happened to second factors."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from actors.protocol.event import Structured
from actors.protocol.second_factor_commands import Proof, SecondFactorProof


class SecondFactorBegun(Structured):
    """A secret that no code has confirmed yet; it is sealed with the tenant's key."""

    kind: ClassVar[str] = "second_factor_begun"
    user: str
    factor: str
    secret: str = Field(repr=False)
    proof: Proof = None


class SecondFactorConfirmed(Structured):
    """The secret that was begun is the second factor; sessions without it have ended."""

    kind: ClassVar[str] = "second_factor_confirmed"
    user: str
    factor: str
    step: int
    recovery: tuple[str, ...] = Field(repr=False)
    sessions: tuple[str, ...]


class SecondFactorRemoved(Structured):
    kind: ClassVar[str] = "second_factor_removed"
    user: str
    proof: SecondFactorProof


class SecondFactorReset(Structured):
    """An administrator took a user's second factor away."""

    kind: ClassVar[str] = "second_factor_reset"
    user: str
    sessions: tuple[str, ...]


class RecoveryCodesReplaced(Structured):
    kind: ClassVar[str] = "recovery_codes_replaced"
    user: str
    recovery: tuple[str, ...] = Field(repr=False)
    proof: SecondFactorProof


class SecondFactorPolicy(BaseModel):
    """Whether everybody must have a second factor."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    required: bool


class SecondFactorPolicySet(Structured):
    """`policy` is what it is about, for whoever reads the record."""

    kind: ClassVar[str] = "second_factor_policy_set"
    policy: str = "second_factor"
    before: SecondFactorPolicy
    after: SecondFactorPolicy


SecondFactorEvent = (
    SecondFactorBegun
    | SecondFactorConfirmed
    | SecondFactorRemoved
    | SecondFactorReset
    | RecoveryCodesReplaced
    | SecondFactorPolicySet
)
