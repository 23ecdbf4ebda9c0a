"""The one module that imports httpx: how this system calls others over HTTP."""

import httpx

TIMEOUT_S = 10.0


def http_client(base_url: str, *, timeout_s: float = TIMEOUT_S) -> httpx.AsyncClient:
    """A client for one server, to be used as an asynchronous context manager.

    It follows no redirect and takes neither proxy nor credentials from the environment, so that a
    request goes where the caller says and nowhere else.

    Args:
        base_url: scheme, host and port; paths of requests are relative to it.
        timeout_s: seconds for connecting, for each read and for each write.
    """
    return httpx.AsyncClient(
        base_url=base_url, timeout=timeout_s, follow_redirects=False, trust_env=False
    )


TransportError = httpx.TransportError
"""The request got no answer: no connection, or one that broke."""
