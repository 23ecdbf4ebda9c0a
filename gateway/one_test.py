"""One test of a connection at a time, of a tenant: somebody else's server decides how long it takes."""

from collections.abc import Iterator
from contextlib import contextmanager

from actors.protocol.errors import ErrorCode, Refusal


class OneTest:
    """Remembers whose test is under way."""

    def __init__(self) -> None:
        self._testing: set[str] = set()

    @contextmanager
    def of(self, tenant: str) -> Iterator[None]:
        """A tenant's turn.

        Raises:
            Refusal: `TOO_MANY`: a test of the tenant's is under way.
        """
        if tenant in self._testing:
            raise Refusal(ErrorCode.TOO_MANY, "a test is under way; wait for its end")
        self._testing.add(tenant)
        try:
            yield
        finally:
            self._testing.discard(tenant)
