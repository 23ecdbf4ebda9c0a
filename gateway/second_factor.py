"""Second factors: time-based codes (RFC 6238) and recovery codes.

Here it is found out what a code is; whether it was used before is for the tenant's actor to say.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import pyotp

from actors.protocol.commands import SecondFactorProof
from actors.protocol.errors import ErrorCode, Refusal
from gateway.limits import (
    RECOVERY_CODE_BYTES,
    RECOVERY_CODES,
    TOTP_DRIFT_STEPS,
    TOTP_STEP_S,
)
from gateway.sign_in_guard import SignInGuard
from store.rows import SecondFactorRow, UserRow
from store.tenant_reader import TenantReader

ISSUER: Final = "Wardroom"
"""What an authenticator shows above the name."""
_SEALED_AS: Final = "totp"
_TOTP: Final = re.compile(r"[0-9]{6}", re.ASCII)
_RECOVERY: Final = re.compile(r"[a-z2-7]{16}", re.ASCII)
_GROUPING: Final = re.compile(r"[\s-]+")


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret for an authenticator: as text, as an otpauth address, and sealed for the record."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """Codes to keep in a safe place, and what is stored of them."""

    codes: tuple[str, ...] = field(repr=False)
    digests: tuple[str, ...] = field(repr=False)


class SecondFactors:
    """Makes and checks second factors. `clock` tells Unix seconds."""

    def __init__(self, guard: SignInGuard, clock: Callable[[], float] = time.time) -> None:
        self._guard = guard
        self._clock = clock

    async def new_secret(self, tenant: TenantReader, user: UserRow, factor: str) -> NewSecret:
        """A secret for a second factor that is to be called `factor`."""
        secret = pyotp.random_base32()
        sealed = await tenant.secrets.sealed(_SEALED_AS, _owner(user, factor), secret)
        uri = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=ISSUER)
        return NewSecret(secret, uri, sealed)

    async def step_of(
        self, tenant: TenantReader, user: UserRow, factor: SecondFactorRow, code: str
    ) -> int | None:
        """The time step that a code is of; None if it is of none that is near enough."""
        text = _plain(code)
        if _TOTP.fullmatch(text) is None:
            return None
        owner = _owner(user, factor.factor)
        secret = await tenant.secrets.opened(_SEALED_AS, owner, factor.secret)
        return matching_step(secret, text, self._clock())

    async def proof_of(
        self, tenant: TenantReader, user: UserRow, code: str
    ) -> SecondFactorProof | None:
        """What a code proves; None: nothing."""
        factor = user.second_factor
        if factor is None:
            return None
        digest = recovery_digest(tenant.tenant, user.user, code)
        if digest is not None and digest in factor.recovery:
            return SecondFactorProof(factor=factor.factor, method="recovery", recovery=digest)
        step = await self.step_of(tenant, user, factor, code)
        return SecondFactorProof(factor=factor.factor, method="totp", step=step) if step else None

    @asynccontextmanager
    async def shown(
        self, tenant: TenantReader, user: UserRow, code: str, address: str
    ) -> AsyncIterator[SecondFactorProof]:
        """A proof, to be handed to the tenant's actor within; a code that fails counts as a failed
        sign-in, of the user and of the address.

        Raises:
            Refusal: `SECOND_FACTOR_FAILED`; `TOO_MANY` after too many of those.
        """
        async with self._counted(tenant, user, address):
            proof = await self.proof_of(tenant, user, code)
            if proof is None:
                raise code_failed()
            yield proof

    @asynccontextmanager
    async def confirming(
        self, tenant: TenantReader, user: UserRow, begun: SecondFactorRow, code: str, address: str
    ) -> AsyncIterator[int]:
        """The time step of a code of a secret that was begun. One that fails counts as in `shown`: or
        whoever has stolen a session could guess until he is shown the recovery codes.

        Raises:
            Refusal: as `shown`.
        """
        async with self._counted(tenant, user, address):
            step = await self.step_of(tenant, user, begun, code)
            if step is None:
                raise code_failed()
            yield step

    @asynccontextmanager
    async def _counted(
        self, tenant: TenantReader, user: UserRow, address: str
    ) -> AsyncIterator[None]:
        # By one name however he signed in, so that other spellings bring no other tries.
        attempt = self._guard.attempt(f"{user.username}@{tenant.tenant}", address)
        attempt.start()
        try:
            yield
        except Refusal as refusal:
            if refusal.code is ErrorCode.SECOND_FACTOR_FAILED:
                attempt.failed(((tenant.tenant, user.user),), "wrong_code")
            else:
                attempt.succeeded(alone=False)
            raise
        except BaseException:
            # Nobody knows whether the code was right, so it was no wrong one.
            attempt.succeeded(alone=False)
            raise
        attempt.succeeded(alone=True)


def matching_step(secret: str, code: str, now_s: float) -> int | None:
    """The latest time step, at most `TOTP_DRIFT_STEPS` away, whose code this is (RFC 6238, section 5.2).

    Args:
        secret: base32.
        code: six digits.
        now_s: Unix seconds.
    """
    present = int(now_s) // TOTP_STEP_S
    totp = pyotp.TOTP(secret, interval=TOTP_STEP_S)
    found: int | None = None
    # All of them, so that the time it takes does not tell which.
    for step in range(present - TOTP_DRIFT_STEPS, present + TOTP_DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), code):
            found = step
    return found


def new_recovery_codes(tenant: str, user: str) -> RecoveryCodes:
    """Codes that nobody chose."""
    codes = tuple(_grouped(secrets.token_bytes(RECOVERY_CODE_BYTES)) for _ in range(RECOVERY_CODES))
    digests = tuple(filter(None, (recovery_digest(tenant, user, code) for code in codes)))
    return RecoveryCodes(codes, digests)


def recovery_digest(tenant: str, user: str, code: str) -> str | None:
    """What is stored of a recovery code, None if it has not the form of one. The code is random and
    long, so a plain hash is enough; it is bound to its owner."""
    text = _plain(code)
    if _RECOVERY.fullmatch(text) is None:
        return None
    return hashlib.sha256("\0".join(("recovery", tenant, user, text)).encode()).hexdigest()


def code_failed() -> Refusal:
    """The refusal of a code."""
    detail = "the code is wrong, too old or was used before; is the clock of its device right?"
    return Refusal(ErrorCode.SECOND_FACTOR_FAILED, detail)


def _plain(code: str) -> str:
    return _GROUPING.sub("", code).casefold()


def _grouped(code: bytes) -> str:
    text = base64.b32encode(code).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _owner(user: UserRow, factor: str) -> str:
    return f"{user.user}/{factor}"
