"""Who registers himself in a tenant whose people an identity provider knows: there is nobody to ask."""

from typing import Any

from tests.gateway.asking import API, ask
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.refusals import REFUSED, come_back

SQUATTER: dict[str, Any] = {
    "tenant": "acme",
    "username": "ada",
    "display_name": "Ada",
    "password": "a password of a stranger's",
}


async def _waiting(place: Place) -> list[dict[str, Any]]:
    users = (await ask(place.it, "GET", "/users", "tom")).json()["items"]
    return [user for user in users if user["pending"]]


async def test_whoever_registers_waits_even_where_it_is_open_and_who_approves_is_warned(
    place: Place,
) -> None:
    await ask(place.it, "PUT", "/policies/registration", "tom", json={"mode": "open"})
    answer = await place.it.http.post(f"{API}/auth/register", json=SQUATTER)
    assert answer.status_code == 202
    [squatter] = await _waiting(place)
    assert "identity provider" in squatter["warning"]
    alone = (await ask(place.it, "GET", f"/users/{squatter['user']}", "tom")).json()
    assert alone["warning"] == squatter["warning"]
    assert (await ask(place.it, "GET", "/users/usr_ana", "tom")).json()["warning"] is None
    # Until somebody looks, the name is in the way of its owner, who is told to ask.
    assert await come_back(place) == REFUSED
    gone = await ask(place.it, "DELETE", f"/users/{squatter['user']}", "tom")
    assert gone.status_code == 200
    assert (await place.me(await place.signed_in()))["username"] == "ada"


async def test_without_a_provider_open_is_open_and_nobody_is_warned(place: Place) -> None:
    await ask(place.it, "DELETE", "/tenants/current/identity-provider", "tom")
    await ask(place.it, "PUT", "/policies/registration", "tom", json={"mode": "with_approval"})
    await place.it.http.post(f"{API}/auth/register", json=SQUATTER)
    [waiting] = await _waiting(place)
    assert waiting["warning"] is None
    await ask(place.it, "PUT", "/policies/registration", "tom", json={"mode": "open"})
    await place.it.http.post(f"{API}/auth/register", json={**SQUATTER, "username": "nina"})
    assert len(await _waiting(place)) == 1
