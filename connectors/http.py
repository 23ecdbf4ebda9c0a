"""The one module that imports httpx: how this system calls others over HTTP."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import httpx
from typing_extensions import override

from actors.protocol.outbound import OutboundPolicy, refusal_of_address

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of one answer, as they arrive; an endless stream ends here."""
REDIRECTS_MAX: Final = 3
PORTS: Final = {"http": 80, "https": 443}

TransportError = httpx.TransportError
"""The request got no answer: no connection, or one that broke."""

TimedOut = httpx.TimeoutException
"""One of them: a step of it took longer than it may."""
UrlRefused = httpx.InvalidURL
"""What was to be asked for is no URL."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host name."""


class OutboundRefused(httpx.TransportError):
    """The request was not sent: it would have gone where this system may not call."""


class AnswerTooLarge(httpx.TransportError):
    """The answer has more bytes than are taken."""


def http_client(base_url: str, *, timeout_s: float = TIMEOUT_S) -> httpx.AsyncClient:
    """A client for one server of our own, to be used as an asynchronous context manager.

    It follows no redirect and takes neither proxy nor credentials from the environment, so that a
    request goes where the caller says and nowhere else.

    Args:
        base_url: scheme, host and port; paths of requests are relative to it.
        timeout_s: seconds for connecting, for each read and for each write.
    """
    return httpx.AsyncClient(
        base_url=base_url, timeout=timeout_s, follow_redirects=False, trust_env=False
    )


def outbound_client(
    base_url: str,
    policy: OutboundPolicy,
    *,
    verify: ssl.SSLContext | bool = True,
    timeout_s: float = TIMEOUT_S,
    follow_redirects: bool = False,
    resolve: Resolve | None = None,
) -> httpx.AsyncClient:
    """A client for somebody else's server, at an address that a person has typed in somewhere.

    Each request, redirected ones too, goes to an address that the policy has passed, and to no other:
    the name is resolved once, and the connection made to what was judged. Certificates and the `Host`
    header are still those of the name.

    Args:
        base_url: scheme, host and port; paths of requests are relative to it.
        policy: what may be called.
        verify: True, or an SSL context with the authority of a product on the premises.
        timeout_s: seconds for connecting, for each read and for each write.
        follow_redirects: at most `REDIRECTS_MAX`; credentials do not go along to another origin.
        resolve: how names become addresses; None: as the machine does it.

    Raises (from its requests):
        OutboundRefused: the address is not allowed, or one of several is not.
        AnswerTooLarge: more than `ANSWER_BYTES_MAX` came.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=timeout_s,
        follow_redirects=follow_redirects,
        max_redirects=REDIRECTS_MAX,
        trust_env=False,
        transport=_Guarded(policy, resolve or _resolve, verify),
    )


class _Guarded(httpx.AsyncBaseTransport):
    """Sends a request to the address that was judged."""

    def __init__(
        self, policy: OutboundPolicy, resolve: Resolve, verify: ssl.SSLContext | bool
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._below = httpx.AsyncHTTPTransport(verify=verify, trust_env=False)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in PORTS:
            raise OutboundRefused(f"scheme {url.scheme!r} is not http or https")
        address = await self._judged(url.host, url.port or PORTS[url.scheme])
        pinned = httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": url.host},
        )
        response = await self._below.handle_async_request(pinned)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Bounded(response.stream),
            extensions=response.extensions,
        )

    async def _judged(self, host: str, port: int) -> str:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpx.ConnectError(f"{host} can't be resolved: {error}") from error
        for address in addresses:
            refused = refusal_of_address(self._policy, address, port)
            if refused is not None:
                # One bad address among good ones is an attempt to get there by chance.
                raise OutboundRefused(f"{host} leads to {address}: {refused}")
        if not addresses:
            raise httpx.ConnectError(f"{host} has no address")
        return addresses[0]

    @override
    async def aclose(self) -> None:
        await self._below.aclose()


class _Bounded(httpx.AsyncByteStream):
    """An answer that ends where there is too much of it."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> None:
        if not isinstance(stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous answer was expected")
        self._stream = stream

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > ANSWER_BYTES_MAX:
                raise AnswerTooLarge(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
            yield piece

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))
