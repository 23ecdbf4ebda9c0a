"""Small requests to servers that a tenant's administrator has named, bounded in bytes and time."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from actors.protocol.fetching import (
    FetchFailed,
    FetchTrouble,
    OutboundAnswer,
    OutboundRequest,
)
from actors.protocol.outbound import OutboundPolicy, approved_networks
from connectors.http import (
    AnswerTooLarge,
    OutboundRefused,
    Resolve,
    TimedOut,
    TransportError,
    UrlRefused,
    outbound_client,
)

ANSWER_BYTES_MAX: Final = 256 * 1024
"""Bytes of one answer. Documents of identity providers have some kilobytes."""
TOTAL_S: Final = 8.0
"""Seconds for all of a request: a server that sends a byte now and then is not waited for."""
CONTEXTS_KEPT_MAX: Final = 64
"""Authorities whose TLS settings are kept, because making them takes tens of milliseconds."""
IDENTITY: Final = "identity"


class Fetcher:
    """Sends requests where the policy allows; `fetch` is what others are given."""

    def __init__(
        self,
        networks: Sequence[str] = (),
        *,
        loopback: bool = False,
        total_s: float = TOTAL_S,
        resolve: Resolve | None = None,
    ) -> None:
        """Only `https` at the usual ports is asked, at public addresses and in approved networks.

        Args:
            networks: approved private networks (CIDR).
            loopback: whether this very machine may be asked too, at any port, and without TLS where its
                address stands in the URL; its operator says so.
            total_s: seconds for all of a request.
            resolve: how names become addresses; None: as the machine does it.

        Raises:
            ValueError: a network is none.
        """
        self._policy = OutboundPolicy(approved_networks(networks), loopback=loopback)
        self._total_s = total_s
        self._resolve = resolve
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def fetch(self, request: OutboundRequest) -> OutboundAnswer:
        """Send a request and read the answer.

        Raises:
            FetchFailed: there is none that can be used.
        """
        policy = self.policy_for(request.url)
        verify = self._context(request.ca_pem)
        try:
            async with (
                asyncio.timeout(self._total_s),
                outbound_client(
                    "", policy, verify=verify, timeout_s=self._total_s, resolve=self._resolve
                ) as client,
                client.stream(
                    request.method,
                    request.url,
                    # What is packed could be a thousand times larger than what is counted.
                    headers={**request.headers, "Accept-Encoding": IDENTITY},
                    content=request.body or None,
                ) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_raw():
                    body += piece
                    if len(body) > ANSWER_BYTES_MAX:
                        raise FetchFailed(FetchTrouble.TOO_LARGE)
                return _usable(answer.status_code, answer.headers, bytes(body))
        except (TransportError, UrlRefused, TimeoutError, UnicodeError, ssl.SSLError) as error:
            # Nothing of the original goes on: it may hold the URL and what was sent.
            raise FetchFailed(_trouble_of(error)) from None

    def policy_for(self, url: str) -> OutboundPolicy:
        """What may be called for a URL.

        Raises:
            FetchFailed: it is none that is asked.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise FetchFailed(FetchTrouble.REFUSED) from None
        if self._policy.loopback and is_loopback(parts.hostname or ""):
            return replace(self._policy, ports=frozenset({port or 443, 80}))
        if parts.scheme != "https":
            raise FetchFailed(FetchTrouble.REFUSED)
        return self._policy

    def _context(self, ca_pem: str) -> ssl.SSLContext:
        known = self._contexts.get(ca_pem)
        if known is not None:
            return known
        try:
            context = ssl.create_default_context(cadata=ca_pem or None)
        except (ssl.SSLError, ValueError):
            raise FetchFailed(FetchTrouble.TLS_FAILED) from None
        while len(self._contexts) >= CONTEXTS_KEPT_MAX:
            del self._contexts[next(iter(self._contexts))]
        self._contexts[ca_pem] = context
        return context


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is an address of this machine; a name is none, wherever it leads."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _usable(status: int, headers: Mapping[str, str], body: bytes) -> OutboundAnswer:
    if headers.get("content-encoding", IDENTITY).lower() != IDENTITY:
        raise FetchFailed(FetchTrouble.BAD_ANSWER)
    return OutboundAnswer(status, body)


def _trouble_of(error: BaseException) -> FetchTrouble:
    if isinstance(error, OutboundRefused | UrlRefused | UnicodeError):
        return FetchTrouble.REFUSED
    if isinstance(error, AnswerTooLarge):
        return FetchTrouble.TOO_LARGE
    if isinstance(error, TimedOut | TimeoutError):
        return FetchTrouble.TIMEOUT
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return FetchTrouble.TLS_FAILED
        cause = cause.__cause__ or cause.__context__
    return FetchTrouble.UNREACHABLE
