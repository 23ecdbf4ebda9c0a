"""Logs and health: structured logs to standard error, and a small HTTP face for processes without one."""

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
import structlog
import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.typing import EventDict, WrappedLogger

SECRET_NAMES: Final = ("password", "secret", "token", "credential", "key", "seed", "authorization")
"""A log field whose name holds one of these is never written."""

Check = Callable[[], Awaitable[None]]


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Blank the fields whose names say that they are secret."""
    for name in event:
        if any(word in name.lower() for word in SECRET_NAMES):
            event[name] = "***"
    return event


def configure_logs(level: str, form: str, process: str) -> None:
    """Log JSON, or lines for people where standard error is a terminal."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_to_text)
        if as_json
        else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def _to_text(value: Any, **_: Any) -> str:
    return orjson.dumps(value, default=repr).decode()


async def failing(checks: Mapping[str, Check]) -> dict[str, str]:
    """The parts that are not well, each with what it says."""
    found: dict[str, str] = {}
    for name, check in checks.items():
        try:
            await check()
        except Exception as error:  # whatever is wrong with a part is the answer
            found[name] = f"{type(error).__name__}: {error}"
    return found


def health_app(checks: Mapping[str, Check], registry: CollectorRegistry) -> Starlette:
    """`/livez`, `/readyz` (names what fails) and `/metrics`."""

    async def live(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        wrong = await failing(checks)
        body = orjson.dumps({"ready": not wrong, "failing": wrong})
        return Response(body, 503 if wrong else 200, media_type="application/json")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return Starlette(
        routes=[Route("/livez", live), Route("/readyz", ready), Route("/metrics", metrics)]
    )


def health_server(app: Starlette, port: int) -> uvicorn.Server:
    """A server for the health face on loopback; run it with `serve()`."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    return server
