"""Pages of other origins that may call the REST API (Fetch standard, CORS protocol)."""

from collections.abc import Iterable
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS: Final = ("Authorization", "Content-Type", "Idempotency-Key")
ANSWER_HEADERS: Final = ("Content-Disposition", "Retry-After")
"""What a page may read of an answer besides what it always may."""
PREFLIGHT_S: Final = 600
"""How long a browser need not ask again."""


def allow_origins(app: FastAPI, origins: Iterable[str]) -> None:
    """Let pages of these origins, and of no other, read answers.

    Nothing here rests on cookies: a page must have a token, so credentials of the browser stay out.
    """
    wanted = [origin.rstrip("/").lower() for origin in origins]
    if wanted:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=wanted,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
            allow_credentials=False,
            max_age=PREFLIGHT_S,
        )
