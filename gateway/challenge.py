"""The refusal of whoever has shown the right password, and has to show a second factor yet."""

from typing import Any

from actors.protocol.errors import ErrorCode, Refusal
from gateway.limits import CHALLENGE_TTL_S


class SecondFactorWanted(Refusal):
    """Refused until a code comes. `challenge` goes back with it; it is good for nothing else."""

    def __init__(self, challenge: str) -> None:
        detail = (
            "the password is right; send the challenge with a code to POST "
            "/api/v1/auth/login/second-factor, or sign in with `otp`"
        )
        super().__init__(ErrorCode.SECOND_FACTOR_REQUIRED, detail)
        self.challenge = challenge

    @property
    def members(self) -> dict[str, Any]:
        """What its problem document says besides (RFC 9457, section 3.2)."""
        return {"challenge": self.challenge, "expires_in": CHALLENGE_TTL_S}
