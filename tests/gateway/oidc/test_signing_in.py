"""Signing in at a provider, all the way, and what the browser may come back with."""

import base64
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from structlog.typing import EventDict

from tests.gateway.oidc.browsing import Browser, told
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.refusals import REFUSED, come_back, reasons, users
from tests.gateway.serving import served


async def test_who_signs_in_there_is_a_user_here_with_the_role_of_his_groups(place: Place) -> None:
    me = await place.me(await place.signed_in())
    assert (me["username"], me["display_name"], me["role"]) == ("ada", "Ada Lovelace", "analyst")
    assert (me["email"], me["tenant"]) == ("ada@corp.example", "acme")
    [user] = users(place).values()
    assert user.provider_key == f"{place.provider.issuer}#248289761001"
    assert place.provider.faults == []


async def test_the_second_time_he_is_the_same_and_as_the_provider_says_now(place: Place) -> None:
    first = await place.me(await place.signed_in())
    place.provider.claims |= {"name": "Countess", "groups": ["leads"], "email": "c@corp.example"}
    place.provider.claims["preferred_username"] = "somebody else"
    again = await place.me(await place.signed_in())
    assert again["user"] == first["user"]
    assert (again["username"], again["display_name"]) == ("ada", "Countess")
    assert (again["role"], again["email"]) == ("tenant_admin", "c@corp.example")


async def test_what_the_browser_is_sent_with_is_fresh_and_bound_to_it_by_a_cookie_it_can_not_show(
    place: Place,
) -> None:
    first, second = [await place.browser().start() for _ in range(2)]
    asked = [dict(parse_qsl(urlsplit(one.headers["location"]).query)) for one in (first, second)]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    cookie = first.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    # Nothing of it can be read where it is kept.
    assert asked[0]["state"] not in cookie
    sealed = cookie.partition("=")[2].partition(";")[0]
    padded = sealed + "=" * (-len(sealed) % 4)
    assert asked[0]["nonce"].encode() not in base64.urlsafe_b64decode(padded)
    assert first.headers["cache-control"] == "no-store"


async def test_by_tls_the_cookie_can_not_be_planted_by_a_neighbour(place: Place) -> None:
    world = place.it.world
    options: dict[str, Any] = {
        "public_url": "https://soc.example",
        "identity_provider_loopback": True,
    }
    fetch = place.fetch
    async with served(world, fetch=fetch, **options) as it:
        answer = await Browser(it.http).start()
    assert answer.headers["set-cookie"].startswith("__Host-wardroom-oidc=")
    assert "Secure" in answer.headers["set-cookie"]
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert asked["redirect_uri"] == "https://soc.example/api/v1/auth/oidc/acme/callback"


async def test_tokens_are_in_no_url_and_the_ticket_is_good_once(place: Place) -> None:
    browser = place.browser()
    started = await browser.start(return_to="/console?tab=1")
    ended = await browser.come_back(place.provider.authorize(started.headers["location"]))
    location = ended.headers["location"]
    assert location.startswith("/console?tab=1#sign_in=")
    first = await browser.fetch(location)
    assert first.status_code == 200
    for token in ("access_token", "refresh_token"):
        assert first.json()[token] not in location
    assert told(await browser.fetch(location)) == REFUSED


async def test_a_ticket_is_good_for_the_client_that_has_begun_only(
    place: Place, logged: list[EventDict]
) -> None:
    browser = place.browser()
    started = await browser.start()
    ended = await browser.come_back(place.provider.authorize(started.headers["location"]))
    location = ended.headers["location"]
    assert told(await browser.fetch(location, verifier="x" * 43)) == REFUSED
    assert told(await place.browser("globex").fetch(location)) == REFUSED
    assert told(await browser.fetch(location[:-3] + "AAA")) == REFUSED
    assert reasons(logged) == ["verifier", "handover", "handover"]
    # What was refused did not use it up.
    assert (await browser.fetch(location)).status_code == 200


async def test_a_ticket_is_not_good_for_long(place: Place) -> None:
    times = [time.time()]
    options: dict[str, Any] = {
        "public_url": "http://127.0.0.1:1",
        "identity_provider_loopback": True,
    }
    fetch = place.fetch
    async with served(place.it.world, wall_clock=lambda: times[0], fetch=fetch, **options) as it:
        browser = Browser(it.http)
        started = await browser.start()
        ended = await browser.come_back(place.provider.authorize(started.headers["location"]))
        times[0] += 31
        assert told(await browser.fetch(ended.headers["location"])) == REFUSED
        late = await browser.start()
        back = place.provider.authorize(late.headers["location"])
        times[0] += 601
        assert told(await browser.come_back(back)) == REFUSED


async def test_another_gateway_takes_the_callback_and_another_one_the_ticket(place: Place) -> None:
    options: dict[str, Any] = {
        "public_url": "http://127.0.0.1:65000",
        "identity_provider_loopback": True,
    }
    fetch = place.fetch
    browser = place.browser()
    started = await browser.start()
    back = place.provider.authorize(started.headers["location"])
    async with (
        served(place.it.world, fetch=fetch, keys=place.it.keys, **options) as second,
        served(place.it.world, fetch=fetch, keys=place.it.keys, **options) as third,
    ):
        browser.http = second.http
        ended = await browser.come_back(back)
        browser.http = third.http
        tokens = (await browser.fetch(ended.headers["location"])).json()
    assert (await place.me(tokens))["username"] == "ada"


async def test_a_callback_in_another_browser_is_refused(
    place: Place, logged: list[EventDict]
) -> None:
    """Somebody has another one follow the link with which he himself would have come back."""
    attacker, victim = place.browser(), place.browser()
    back = place.provider.authorize((await attacker.start()).headers["location"])
    assert told(await victim.come_back(back)) == REFUSED
    await victim.start()
    assert told(await victim.come_back(back)) == REFUSED
    assert reasons(logged) == ["no_cookie", "state"]
    assert place.provider.forms == []


async def test_the_same_callback_twice_is_refused(place: Place, logged: list[EventDict]) -> None:
    browser = place.browser()
    back = place.provider.authorize((await browser.start()).headers["location"])
    cookies = dict(browser.cookies)
    assert (await browser.come_back(back)).status_code == 302
    browser.cookies = cookies
    assert told(await browser.come_back(back)) == REFUSED
    # Nor does it help that the provider takes the code again.
    place.provider.reusable_codes = True
    back = place.provider.authorize((await browser.start()).headers["location"])
    cookies = dict(browser.cookies)
    assert (await browser.come_back(back)).status_code == 302
    browser.cookies = cookies
    assert told(await browser.come_back(back)) == REFUSED
    assert reasons(logged) == ["code_refused", "state_used"]


async def test_a_code_of_another_sign_in_is_refused(place: Place, logged: list[EventDict]) -> None:
    """CVE-2025-12421 and its like: a stolen code in a sign-in of the thief's own."""
    victim, thief = place.browser(), place.browser()
    stolen = place.provider.authorize((await victim.start()).headers["location"])
    code = dict(parse_qsl(urlsplit(stolen).query))["code"]
    own = place.provider.authorize((await thief.start()).headers["location"])
    base, _, query = own.partition("?")
    swapped = urlencode({**dict(parse_qsl(query)), "code": code})
    assert told(await thief.come_back(f"{base}?{swapped}")) == REFUSED
    assert place.provider.faults == ["verifier"]
    assert reasons(logged) == ["code_refused"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "another"}, "state"),
        ({"state": ""}, "state"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"iss": ""}, "issuer"),
        ({"code": ""}, "denied"),
        ({"error": "access_denied", "code": ""}, "denied"),
        ({"error": "access_denied"}, "denied"),
    ],
)
async def test_an_answer_that_does_not_fit_is_refused_before_the_code_is_shown(
    place: Place, logged: list[EventDict], changes: dict[str, str], reason: str
) -> None:
    place.provider.spoil_answer = lambda answer: answer.update(changes)
    assert await come_back(place) == REFUSED
    assert reasons(logged) == [reason]
    assert place.provider.forms == []
    assert users(place) == {}


async def test_no_parameter_comes_twice(place: Place) -> None:
    browser = place.browser()
    back = place.provider.authorize((await browser.start()).headers["location"])
    assert told(await browser.come_back(f"{back}&code=another")) == REFUSED
    assert place.provider.forms == []


async def test_a_provider_that_does_not_name_itself_may_leave_it_out_but_not_be_another(
    place: Place,
) -> None:
    place.provider.spoil_discovery = lambda said: said.pop(
        "authorization_response_iss_parameter_supported"
    )
    place.provider.spoil_answer = lambda answer: answer.pop("iss")
    await place.signed_in()
    place.provider.spoil_answer = lambda answer: answer.update(iss="https://other.example")
    assert await come_back(place) == REFUSED


async def test_what_was_begun_at_one_tenants_provider_is_not_ended_at_anothers(
    place: Place, logged: list[EventDict]
) -> None:
    await place.install("globex")
    browser = place.browser("acme")
    back = place.provider.authorize((await browser.start()).headers["location"])
    browser.tenant = "globex"
    assert told(await browser.come_back(back)) == REFUSED
    assert reasons(logged) == ["no_cookie"]


async def test_what_was_begun_at_one_provider_is_not_ended_at_the_next(
    place: Place, logged: list[EventDict]
) -> None:
    browser = place.browser()
    back = place.provider.authorize((await browser.start()).headers["location"])
    await place.install(client_id="another client")
    assert told(await browser.come_back(back)) == REFUSED
    assert reasons(logged) == ["settings_changed"]
    assert place.provider.forms == []


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "/\\evil.example", "https://evil.example", "http:evil.example"),
        *("javascript:alert(1)", "\\\\evil.example", "console", "", "/a\nb", "/a#b", "/\u2044"),
        *("https://console.example.evil.example", "https://console.example@evil.example/"),
        *("http://console.example/", "https:///console.example", "https://[", "/" + "a" * 512),
    ],
)
async def test_nobody_is_sent_elsewhere_in_the_end(place: Place, target: str) -> None:
    fetch = place.fetch
    options: dict[str, Any] = {
        "public_url": "http://127.0.0.1:1",
        "identity_provider_loopback": True,
    }
    origins = frozenset({"https://console.example"})
    async with served(place.it.world, fetch=fetch, allowed_origins=origins, **options) as it:
        answer = await Browser(it.http).start(return_to=target)
        assert told(answer) == (422, "invalid")
        allowed = "https://console.example/signed-in?x=1"
        assert (await Browser(it.http).start(return_to=allowed)).status_code == 302


async def test_a_tenant_without_a_provider_is_as_one_that_is_not_there(place: Place) -> None:
    answers = [await place.browser(name).start() for name in ("globex", "nobody", "no.such")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
