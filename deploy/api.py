"""A client of the public surface for the command line: signs in, calls, and follows a room."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import orjson
from websockets.asyncio.client import connect

from actors.protocol.limits import FRAME_BYTES_MAX
from connectors.http import http_client

EVENT_FRAME_BYTES_MAX = 8 * FRAME_BYTES_MAX
"""An entry may hold a whole external payload."""
DOWNLOAD_TIMEOUT_S = 300.0
"""Wait for each part of a file; a large workbook is sent only when it is made."""


SECOND_FACTOR_REQUIRED: Final = "second_factor_required"
ENROLMENT_REQUIRED: Final = "second_factor_enrolment_required"


class ApiError(Exception):
    """The server refused: its code and what it said. `challenge` is what a code goes back with."""

    def __init__(self, status: int, code: str, detail: str, challenge: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.challenge = challenge


class Api:
    """One signed-in user. `otp` is a code of his second factor; `ask_code` gets one from him when he turns
    out to have one."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        otp: str | None = None,
        ask_code: Callable[[], str] | None = None,
    ) -> None:
        self._otp = otp
        self._ask_code = ask_code
        self._url = url
        self._username = username
        self._password = password
        self._http = http_client(url)
        self.token = ""

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        answer = await self._sign_in()
        if answer.get("scope") == "enrol":
            detail = (
                "this tenant requires a second factor, and this account has none yet; "
                "enrol one at /api/v1/auth/second-factor first"
            )
            raise ApiError(403, ENROLMENT_REQUIRED, detail)
        self.token = answer["access_token"]
        self._http.headers["Authorization"] = f"Bearer {self.token}"
        return self

    async def _sign_in(self) -> dict[str, Any]:
        credentials = {"username": self._username, "password": self._password}
        if self._otp:
            credentials["otp"] = self._otp
        try:
            return await self.call("POST", "/auth/login", credentials)
        except ApiError as error:
            if error.code != SECOND_FACTOR_REQUIRED:
                raise
            if self._ask_code is None:
                detail = (
                    "this account has a second factor; set WARDROOM_OTP to a code of it that was "
                    "not used yet, or to a recovery code"
                )
                raise ApiError(error.status, error.code, detail) from None
            challenge = error.challenge
        body = {"challenge": challenge, "code": self._ask_code()}
        return await self.call("POST", "/auth/login/second-factor", body)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> dict[str, Any]:
        """One request under /api/v1; `key` is the idempotency key.

        Raises:
            ApiError: the server answered with a problem.
        """
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = orjson.dumps(body) if body is not None else None
        answer = await self._http.request(
            method, f"/api/v1{path}", content=content, headers=headers
        )
        if answer.status_code >= 400:
            problem = answer.json()
            raise ApiError(
                answer.status_code,
                problem.get("code", "unknown"),
                problem.get("detail", ""),
                problem.get("challenge", ""),
            )
        result: dict[str, Any] = answer.json() if answer.content else {}
        return result

    async def download(self, path: str, out: BinaryIO) -> None:
        """Write what a GET under /api/v1 answers, as it comes.

        Raises:
            ApiError: the server answered with a problem.
            connectors.http.TransportError: the answer broke off.
        """
        url = f"/api/v1{path}"
        async with self._http.stream("GET", url, timeout=DOWNLOAD_TIMEOUT_S) as answer:
            if answer.status_code >= 400:
                problem = orjson.loads(await answer.aread())
                raise ApiError(answer.status_code, problem["code"], problem["detail"])
            async for chunk in answer.aiter_bytes():
                out.write(chunk)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator["Socket"]:
        """A WebSocket that has said hello."""
        url = self._url.replace("http", "ws", 1) + "/ws/v1"
        async with connect(url, max_size=EVENT_FRAME_BYTES_MAX, compression=None) as raw:
            socket = Socket(raw)
            await socket.send({"type": "hello", "token": self.token})
            await socket.receive()
            yield socket


class Socket:
    """Frames as objects."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    async def send(self, frame: dict[str, Any]) -> None:
        """Send one frame."""
        await self._raw.send(orjson.dumps(frame).decode())

    async def receive(self) -> dict[str, Any]:
        """The next frame.

        Raises:
            websockets.exceptions.ConnectionClosed: there is none any more.
        """
        frame: dict[str, Any] = orjson.loads(await self._raw.recv())
        return frame
