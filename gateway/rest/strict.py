"""Request bodies pass the gate and the strict parser before anything else reads them."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from typing_extensions import override

from actors.protocol.errors import ErrorCode
from actors.protocol.limits import FRAME_BYTES_MAX
from gateway import strict_json
from gateway.errors import BodyRefused
from gateway.rest.access import gate_before_body
from gateway.strict_json import StrictJsonError

_TOO_LARGE = f"a body has at most {FRAME_BYTES_MAX} bytes"


class StrictRequest(Request):
    """A request whose body is bounded and whose JSON is strict."""

    @override
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await self._bounded()
        return self._body

    @override
    async def json(self) -> Any:
        try:
            return strict_json.parse_object(await self.body())
        except StrictJsonError as error:
            raise BodyRefused(error.code, error.detail) from None

    async def _bounded(self) -> bytes:
        declared = self.headers.get("content-length", "0")
        if not declared.isdecimal() or len(declared) > 19 or int(declared) > FRAME_BYTES_MAX:
            raise BodyRefused(ErrorCode.TOO_LARGE, _TOO_LARGE)
        chunks: list[bytes] = []
        size = 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > FRAME_BYTES_MAX:
                raise BodyRefused(ErrorCode.TOO_LARGE, _TOO_LARGE)
            chunks.append(chunk)
        return b"".join(chunks)


class StrictRoute(APIRoute):
    """A route that takes strict JSON and nothing else."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handle(request: Request) -> Response:
            await gate_before_body(request)
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if takes_body and media_type != "application/json":
                raise BodyRefused(ErrorCode.BAD_FRAME, "send the body as application/json")
            return await handler(StrictRequest(request.scope, request.receive))

        return handle
