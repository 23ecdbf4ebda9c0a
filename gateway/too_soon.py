"""The refusal of whoever asks too often, with the time to wait."""

import math

from actors.protocol.errors import ErrorCode, Refusal


class TooSoon(Refusal):
    """Refused for now.

    Attributes:
        wait_s: whole seconds until it makes sense to try again.
        limits: which limit it was, for the header `RateLimit`; empty if that is not told.
    """

    def __init__(self, detail: str, wait_s: float, limits: str = "") -> None:
        super().__init__(ErrorCode.TOO_MANY, detail)
        self.wait_s = max(1, math.ceil(wait_s))
        self.limits = limits

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says (RFC 9110, section 10.2.3; draft-ietf-httpapi-ratelimit-headers)."""
        told = {"RateLimit": f"{self.limits};r=0;t={self.wait_s}"} if self.limits else {}
        return {"Retry-After": str(self.wait_s), **told}
