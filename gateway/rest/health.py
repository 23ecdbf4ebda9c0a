"""What stands outside /api/v1: signs of life, metrics, keys and documentation."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml
from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.limits import JWKS_FRESH_S, READY_CHECK_S
from gateway.rest.reference import reference_page
from gateway.tokens import Tokens

Check = Callable[[], Awaitable[None]]
"""Raises if the part it looks at does not work."""

PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Health:
    """What the routes of this file show."""

    version: str
    checks: Mapping[str, Check]
    registry: CollectorRegistry
    tokens: Tokens
    openapi: Callable[[], dict[str, Any]]

    async def livez(self) -> Response:
        """Whether this process runs."""
        return _json({"alive": True})

    async def readyz(self) -> Response:
        """Whether this process can do its work; names the parts that can't be reached."""
        found = await asyncio.gather(*(_failure(check) for check in self.checks.values()))
        failing = {
            name: failure for name, failure in zip(self.checks, found, strict=True) if failure
        }
        return _json({"ready": not failing, "failing": failing}, 503 if failing else 200)

    async def show_version(self) -> Response:
        """Which version this is."""
        return _json({"name": "wardroom", "version": self.version})

    async def metrics(self) -> Response:
        """Metrics in the Prometheus text format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    async def jwks(self) -> Response:
        """The public keys of access tokens (RFC 7517)."""
        answer = _json(self.tokens.jwks())
        answer.headers["Cache-Control"] = f"public, max-age={JWKS_FRESH_S}"
        return answer

    async def openapi_json(self) -> Response:
        """The OpenAPI document."""
        return _json(self.openapi())

    async def openapi_yaml(self) -> Response:
        """The OpenAPI document as YAML."""
        text = yaml.safe_dump(self.openapi(), sort_keys=False, allow_unicode=True)
        return Response(text, media_type="application/yaml")

    async def reference(self) -> Response:
        """The API reference for people."""
        headers = {"Content-Security-Policy": PAGE_POLICY}
        return Response(reference_page(self.openapi()), headers=headers, media_type="text/html")

    def router(self) -> APIRouter:
        """The routes of this file."""
        routes = APIRouter(include_in_schema=False)
        for path, handler in (
            ("/livez", self.livez),
            ("/readyz", self.readyz),
            ("/version", self.show_version),
            ("/metrics", self.metrics),
            ("/.well-known/jwks.json", self.jwks),
            ("/openapi.json", self.openapi_json),
            ("/openapi.yaml", self.openapi_yaml),
            ("/docs", self.reference),
            ("/redoc", self.reference),
        ):
            routes.get(path)(handler)
        return routes


async def _failure(check: Check) -> str | None:
    try:
        async with asyncio.timeout(READY_CHECK_S):
            await check()
    except TimeoutError:
        return f"no answer in {READY_CHECK_S:g} s"
    except Exception as error:
        # The text of an error may name hosts and users; its kind is enough to know where to look.
        return type(error).__name__
    return None


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
