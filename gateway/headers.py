"""Security headers on every HTTP answer."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_UNLESS_SET: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_INSIST_ON_TLS: Final = (b"strict-transport-security", b"max-age=31536000")


class SecurityHeaders:
    """Adds them; a handler may set its own cache and content policies."""

    def __init__(self, app: ASGIApp, tls: bool) -> None:
        self._app = app
        self._always = (*_ALWAYS, _INSIST_ON_TLS) if tls else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                missing = (item for item in _UNLESS_SET if item[0] not in present)
                message["headers"] = [*message["headers"], *self._always, *missing]
            await send(message)

        await self._app(scope, receive, send_with_headers)
