"""What every test of the gateway has."""

from collections.abc import Iterator
from functools import cache

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

import gateway.app


@pytest.fixture(scope="session", autouse=True)
def routes_made_once() -> Iterator[None]:
    """One router for the applications of all tests.

    It has nothing of an application, and FastAPI takes longer to make it than a usual test lasts.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway.app, "_api", cache(gateway.app._api))
        yield


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """What was logged, instead of printing it."""
    with capture_logs() as events:
        yield events
