"""How somebody is told that he does not sign in, and why in the log."""

from typing import Any

from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from tests.gateway.oidc.browsing import Browser, told
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.stage import SECRET

REFUSED = (401, "login_failed")
AWAY = (503, "unavailable")


async def come_back(place: Place, browser: Browser | None = None) -> tuple[int, str]:
    """What somebody is told who has signed in at the provider; he must be refused."""
    browser = browser or place.browser()
    started = await browser.start()
    assert started.status_code == 302, started.text
    answer = await browser.come_back(place.provider.authorize(started.headers["location"]))
    assert SECRET not in answer.text
    return told(answer)


def reasons(logged: list[EventDict]) -> list[str]:
    """Why sign-ins were refused."""
    return [event["reason"] for event in logged if event["event"] == "oidc.refused"]


def users(place: Place, tenant: str = "acme") -> dict[str, Any]:
    """The users of a tenant who came from the provider."""
    known = place.it.world.at(tenant, TENANT_ROOM).state.users
    return {name: user for name, user in known.items() if user.provider_key}
