"""Second factors at the door. Whether a code was used before is decided here, and nowhere else: one
tenant decides one after the other, so a code that reaches two gateways at once is good at one of them."""

from dataclasses import replace

from actors.protocol.commands import OpenSession, SecondFactorProof
from actors.protocol.errors import ErrorCode, Rejection
from actors.tenant.state import TenantState, User


def refusal_of_proof(user: User, proof: SecondFactorProof | None) -> Rejection | None:
    """Why a proof is none of this user's second factor; whoever has no second factor has no proof."""
    if proof is None:
        return Rejection(ErrorCode.SECOND_FACTOR_REQUIRED, "a code of the second factor is needed")
    known = user.second_factor
    if known is None or known.factor != proof.factor:
        # It was removed, reset or replaced since the gateway looked.
        return _failed("the second factor was changed meanwhile")
    if proof.step is not None and proof.step <= user.used_step:
        # RFC 6238, section 5.2: no second time. Earlier steps neither: they were seen over a shoulder.
        return _failed("this code, or a later one, was used before; wait for the next one")
    if proof.recovery is not None and proof.recovery not in known.recovery:
        return _failed("this recovery code is none, or was used before")
    return None


def refusal_to_enter(state: TenantState, user: User, command: OpenSession) -> Rejection | None:
    """Why whoever has shown the password gets no session yet."""
    if user.second_factor is not None or command.proof is not None:
        return refusal_of_proof(user, command.proof)
    return refusal_to_go_on(state, user, restricted=command.restricted)


def refusal_to_go_on(state: TenantState, user: User, *, restricted: bool) -> Rejection | None:
    """Why a user gets no tokens for all: he lacks the second factor that the tenant requires."""
    if state.second_factor_required and user.second_factor is None and not restricted:
        detail = "this tenant requires a second factor; enrol one first"
        return Rejection(ErrorCode.ENROLMENT_REQUIRED, detail)
    return None


def spent(user: User, proof: SecondFactorProof | None) -> User:
    """The user once a proof was accepted: it is good for nothing more."""
    if proof is None:
        return user
    known = user.second_factor
    if proof.recovery is not None and known is not None:
        left = tuple(digest for digest in known.recovery if digest != proof.recovery)
        user = replace(user, second_factor=replace(known, recovery=left))
    return replace(user, used_step=max(user.used_step, proof.step or 0))


def _failed(detail: str) -> Rejection:
    return Rejection(ErrorCode.SECOND_FACTOR_FAILED, detail)
