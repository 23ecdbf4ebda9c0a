"""One request to somebody else's server, as who has it made sees it.

The gateway asks, and an adapter of the connectors sends: neither knows the other, and deploy brings them
together.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class FetchTrouble(StrEnum):
    """Why there is no answer."""

    REFUSED = "address_refused"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    BAD_ANSWER = "bad_answer"


class FetchFailed(Exception):
    """There is no answer. The text names no address that a name leads to, and nothing that was sent."""

    def __init__(self, trouble: FetchTrouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """What to ask. `ca_pem` is the only authority to trust; empty: the public ones."""

    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    ca_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """What came back. A redirect is an answer like any other, and is not followed."""

    status: int
    body: bytes = field(repr=False)


Fetch = Callable[[OutboundRequest], Awaitable[OutboundAnswer]]
"""Sends a request. Raises `FetchFailed`."""


async def nobody_answers(_request: OutboundRequest) -> OutboundAnswer:
    """Where nothing outside may be asked: no answer.

    Raises:
        FetchFailed: always.
    """
    raise FetchFailed(FetchTrouble.REFUSED)
