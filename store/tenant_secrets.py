"""Secrets of a tenant that are sealed before they travel anywhere, and opened where they are needed."""

import base64
from collections.abc import Awaitable, Callable

from store.sealing import Cipher, bound_to


class TenantSecrets:
    """Seals with one tenant's key. `cipher_of` gives the cipher of a tenant."""

    def __init__(self, tenant: str, cipher_of: Callable[[str], Awaitable[Cipher]]) -> None:
        self._tenant = tenant
        self._cipher_of = cipher_of

    async def sealed(self, what: str, key: str, secret: str) -> str:
        """A secret under the tenant's key, in base64.

        Args:
            what: what kind of secret it is.
            key: whose it is, or what for. It opens for the same kind and key only.
            secret: the secret.
        """
        cipher = await self._cipher_of(self._tenant)
        sealed = cipher.seal(secret.encode(), bound_to(f"secret {what}", self._tenant, key))
        return base64.b64encode(sealed).decode()

    async def opened(self, what: str, key: str, sealed: str) -> str:
        """What was sealed.

        Raises:
            SealBroken: it was sealed for something or somebody else, or altered.
        """
        cipher = await self._cipher_of(self._tenant)
        bound = bound_to(f"secret {what}", self._tenant, key)
        return cipher.open(base64.b64decode(sealed), bound).decode()
