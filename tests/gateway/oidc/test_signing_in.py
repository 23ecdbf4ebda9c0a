"""Signing in at a provider: all the way, and every way that is not the way."""

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from tests.gateway.oidc.browsing import Browser, told
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.stage import CLIENT, HERE, SECRET, Signer, Spoil
from tests.gateway.serving import served
from tests.gateway.world import tenant_command

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


# What the browser comes back with ---------------------------------------------------------------


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


# ID tokens --------------------------------------------------------------------------------------


def now() -> int:
    """Unix seconds."""
    return int(time.time())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda said: said.update(nonce="another"), "nonce"),
        (lambda said: said.pop("nonce"), "nonce"),
        (lambda said: said.update(aud="somebody else"), "audience"),
        (lambda said: said.update(aud=[CLIENT, "somebody else"]), "audience"),
        (lambda said: said.update(aud=[]), "audience"),
        (lambda said: said.pop("aud"), "audience"),
        (lambda said: said.update(azp="somebody else"), "authorized_party"),
        (lambda said: said.update(iss="https://other.example"), "issuer"),
        (lambda said: said.update(exp=now() - 3600), "expired"),
        (lambda said: said.update(exp=2**62), "expired"),
        (lambda said: said.update(exp=True), "exp"),
        (lambda said: said.pop("exp"), "exp"),
        (lambda said: said.update(exp=str(now() + 60)), "exp"),
        (lambda said: said.pop("iat"), "iat"),
        (lambda said: said.update(iat=now() - 3600), "issued_at"),
        (lambda said: said.update(iat=now() + 3600), "issued_at"),
        (lambda said: said.update(nbf=now() + 3600), "not_yet"),
        (lambda said: said.pop("sub"), "subject"),
        (lambda said: said.update(sub=""), "subject"),
        (lambda said: said.update(sub=17), "subject"),
        (lambda said: said.update(sub="a" * 256), "subject"),
        (lambda said: said.update(sub="ada\u200b"), "subject"),
        (lambda said: said.update(at_hash="another"), "access_token_hash"),
        (lambda said: said.update(at_hash=None, nonce=None), "nonce"),
    ],
)
async def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    place: Place, logged: list[EventDict], spoil: Spoil, reason: str
) -> None:
    place.provider.spoil = spoil
    assert await come_back(place) == REFUSED
    assert reasons(logged) == [f"id_token_{reason}"]
    assert users(place) == {}


async def test_a_token_for_the_client_alone_in_a_list_is_for_it(place: Place) -> None:
    place.provider.spoil = lambda said: said.update(aud=[CLIENT], azp=CLIENT)
    await place.signed_in()


def part(value: Any) -> str:
    """A part of a token."""
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def by_hand(place: Place, header: dict[str, Any], secret: bytes | None = None) -> None:
    """Have tokens with a header that no library makes."""

    def sign(claims: dict[str, Any]) -> str:
        text = f"{part(header)}.{part(claims)}"
        if secret is None:
            return f"{text}."
        digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    place.provider.sign = sign


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "nOnE", "HS256", "RS1", "", None, 7, ["RS256"]]
)
async def test_a_token_without_a_signature_of_the_provider_lets_nobody_in(
    place: Place, logged: list[EventDict], algorithm: Any
) -> None:
    public = place.provider.signer.key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secret = pem if algorithm == "HS256" else None
    by_hand(place, {"alg": algorithm, "typ": "JWT", "kid": "k1"}, secret)
    assert await come_back(place) == REFUSED
    assert reasons(logged)[0] in ("id_token_algorithm", "id_token_not_a_token")
    assert users(place) == {}


async def test_a_published_shared_secret_signs_nothing(
    place: Place, logged: list[EventDict]
) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
    place.provider.published = [{"kty": "oct", "k": secret, "kid": "k1", "alg": "HS256"}]
    by_hand(place, {"alg": "HS256", "typ": "JWT", "kid": "k1"}, b"s" * 32)
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["id_token_algorithm"]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "at+jwt"}, "type"),
        ({"typ": "logout+jwt"}, "type"),
        ({"crit": ["exp"]}, "type"),
        ({"jwk": {"kty": "RSA"}, "kid": "k9"}, "key_unknown"),
        ({"jku": "https://evil.example/jwks", "kid": "k9"}, "key_unknown"),
        ({"kid": "../../dev/null"}, "key_unknown"),
    ],
)
async def test_what_a_token_says_of_its_own_key_is_not_believed(
    place: Place, logged: list[EventDict], header: dict[str, Any], reason: str
) -> None:
    other = generate_private_key(65537, 2048)
    headers = {"kid": "k1", **header}
    place.provider.sign = lambda claims: jwt.encode(
        claims, other, algorithm="RS256", headers=headers
    )
    assert await come_back(place) == REFUSED
    assert reasons(logged) in ([f"id_token_{reason}"], ["id_token_not_a_token"])


async def test_a_token_signed_by_another_key_of_the_same_name_is_refused(
    place: Place, logged: list[EventDict]
) -> None:
    other = generate_private_key(65537, 2048)
    place.provider.sign = lambda claims: jwt.encode(
        claims, other, algorithm="RS256", headers={"kid": "k1"}
    )
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["id_token_signature"]


async def test_a_key_is_good_for_its_own_algorithm_only(
    place: Place, logged: list[EventDict]
) -> None:
    signer = place.provider.signer
    place.provider.sign = lambda claims: jwt.encode(
        claims, signer.key, algorithm="PS256", headers={"kid": "k1"}
    )
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["id_token_key_unknown"]


async def test_a_key_that_is_too_short_is_believed_by_nobody(
    place: Place, logged: list[EventDict]
) -> None:
    weak = Signer("k1", generate_private_key(65537, 1024))  # noqa: S505 -- that is the point
    place.provider.published = [weak.jwk]
    signer = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)

    def sign(claims: dict[str, Any]) -> str:
        text = f"{part({'alg': 'RS256', 'kid': 'k1'})}.{part(claims)}"
        signature = signer.sign(text.encode(), weak.key)
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    place.provider.sign = sign
    assert await come_back(place) == REFUSED
    assert reasons(logged)[0] in ("id_token_key", "id_token_signature")


async def test_elliptic_curves_are_fine(place: Place) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    place.provider.published = [{**jwk, "kid": "e1"}]
    place.provider.sign = lambda claims: jwt.encode(
        claims, key, algorithm="ES256", headers={"kid": "e1"}
    )
    await place.signed_in()


# Keys that change -------------------------------------------------------------------------------


async def test_a_key_that_was_rotated_in_the_middle_is_fetched_at_once(place: Place) -> None:
    await place.signed_in()
    browser = place.browser()
    back = place.provider.authorize((await browser.start()).headers["location"])
    place.provider.rotate()
    assert (await browser.come_back(back)).status_code == 302
    assert place.provider.asked.count("/jwks") == 2


async def test_tokens_with_ever_new_key_ids_have_us_ask_no_more(place: Place) -> None:
    await place.signed_in()
    key = place.provider.signer.key
    for number in range(12):
        place.provider.sign = lambda claims, number=number: jwt.encode(
            claims, key, algorithm="RS256", headers={"kid": f"flood-{number}"}
        )
        assert await come_back(place) == REFUSED
    assert place.provider.asked.count("/jwks") == 2
    place.clock.now_s += 11
    assert await come_back(place) == REFUSED
    assert place.provider.asked.count("/jwks") == 3
    place.provider.sign = None
    await place.signed_in()


async def test_a_key_that_was_withdrawn_is_believed_no_longer_after_a_while(
    place: Place, logged: list[EventDict]
) -> None:
    await place.signed_in()
    place.provider.published = [Signer("k2", place.provider.signer.key).jwk]
    place.clock.now_s += 901
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["id_token_key_unknown"]


async def test_what_is_the_same_for_everybody_is_asked_once(place: Place) -> None:
    for _ in range(3):
        await place.signed_in()
    asked = place.provider.asked
    assert asked.count("/.well-known/openid-configuration") == 1
    assert asked.count("/jwks") == 1


# Providers that fail ----------------------------------------------------------------------------

REDIRECT = b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
HUGE = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n" + b'{"a":"' + b"x" * 300_000
PACKED = b"HTTP/1.1 200 X\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"
GARBAGE = b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\n<html></>"
BROKEN = b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"
DEEP = b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n" + b'{"a":' + b"[" * 20_000
PATHS = ("/.well-known/openid-configuration", "/token", "/jwks")


@pytest.mark.parametrize("answer", [REDIRECT, HUGE, PACKED, GARBAGE, BROKEN, DEEP])
@pytest.mark.parametrize("path", PATHS)
async def test_an_answer_that_is_none_is_503_and_lets_nobody_in(
    place: Place, path: str, answer: bytes
) -> None:
    place.provider.raw[path] = answer
    browser = place.browser()
    told_at = await browser.start()
    if told_at.status_code == 302:
        told_at = await browser.come_back(place.provider.authorize(told_at.headers["location"]))
    assert told(told_at) == AWAY
    assert "try again" in told_at.json()["detail"]
    assert users(place) == {}
    # Once it is well again, so is signing in.
    place.provider.raw.clear()
    place.clock.now_s += 4
    await place.signed_in()


@pytest.mark.paced
@pytest.mark.parametrize("path", PATHS)
async def test_a_provider_that_drips_is_not_waited_for(place: Place, path: str) -> None:
    place.provider.silent.add(path)
    browser = place.browser()
    answer = await browser.start()
    if answer.status_code == 302:
        answer = await browser.come_back(place.provider.authorize(answer.headers["location"]))
    assert told(answer) == AWAY


async def test_a_provider_that_is_down_is_503_and_is_not_asked_all_the_time(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.raw["/.well-known/openid-configuration"] = BROKEN
    for _ in range(5):
        assert told(await place.browser().start()) == AWAY
    assert len(place.provider.asked) == 1
    troubles = [event["trouble"] for event in logged if event["event"] == "oidc.unavailable"]
    assert troubles == ["provider_bad_answer"] * 5


async def test_a_client_that_the_provider_refuses_is_the_administrators_trouble(
    place: Place, logged: list[EventDict]
) -> None:
    await place.install(client_secret="another")
    assert await come_back(place) == AWAY
    troubles = [event["trouble"] for event in logged if event["event"] == "oidc.unavailable"]
    assert troubles == ["provider_client_refused"]
    assert all("another" not in str(event) for event in logged)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda said: said.update(issuer="https://other.example"),
        lambda said: said.update(issuer=said["issuer"] + "/"),
        lambda said: said.pop("token_endpoint"),
        lambda said: said.update(token_endpoint="http://token.example/token"),
        lambda said: said.update(jwks_uri="file:///etc/passwd"),
        lambda said: said.update(authorization_endpoint="javascript:alert(1)"),
        lambda said: said.update(token_endpoint="https://user:pw@token.example/"),
        lambda said: said.update(authorization_endpoint=["https://a.example"]),
    ],
)
async def test_a_description_of_another_provider_or_with_no_https_is_not_used(
    place: Place, spoil: Spoil
) -> None:
    place.provider.spoil_discovery = spoil
    assert told(await place.browser().start()) == AWAY


async def test_endpoints_on_forbidden_addresses_are_not_asked(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.spoil_discovery = lambda said: said.update(
        token_endpoint="https://169.254.169.254/token"
    )
    assert await come_back(place) == AWAY
    troubles = [event["trouble"] for event in logged if event["event"] == "oidc.unavailable"]
    assert troubles == ["provider_address_refused"]


async def test_the_authorization_endpoints_own_parameters_stay(place: Place) -> None:
    place.provider.spoil_discovery = lambda said: said.update(
        authorization_endpoint=f"http://{HERE}:{place.provider.port}/authorize?policy=strict"
    )
    started = await place.browser().start()
    asked = dict(parse_qsl(urlsplit(started.headers["location"]).query))
    assert (asked["policy"], asked["client_id"]) == ("strict", CLIENT)


# People -----------------------------------------------------------------------------------------


async def test_nobody_becomes_a_local_user_by_his_e_mail(place: Place) -> None:
    """CVE-2026-6334 and its like."""
    place.provider.claims["email"] = "tom@acme.example"
    me = await place.me(await place.signed_in())
    assert (me["user"] != "usr_tom", me["role"], me["email"]) == (True, "analyst", None)
    tom = place.it.world.at("acme", TENANT_ROOM).state.users["usr_tom"]
    assert (tom.email, tom.provider_key) == ("tom@acme.example", "")


async def test_nobody_becomes_a_local_user_by_his_name(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.claims["preferred_username"] = "TOM"
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["name_taken"]
    assert users(place) == {}


async def test_an_unverified_e_mail_is_nobodys(place: Place) -> None:
    place.provider.claims["email_verified"] = False
    assert (await place.me(await place.signed_in()))["email"] is None


async def test_the_same_subject_of_another_issuer_is_somebody_else(place: Place) -> None:
    first = await place.me(await place.signed_in())
    place.provider.name = f"http://{HERE}:{place.provider.port}/realms/other"
    place.provider.raw["/realms/other/.well-known/openid-configuration"] = place.provider._answer(
        "GET", "/.well-known/openid-configuration", {}, b""
    )
    await place.install()
    place.provider.claims |= {"preferred_username": "ada2", "email": "ada2@corp.example"}
    second = await place.me(await place.signed_in())
    assert first["user"] != second["user"]


async def test_who_is_in_no_group_of_the_table_may_not_come_in(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.claims["groups"] = ["SOC", "soc ", "others"]
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["no_role"]
    assert users(place) == {}


async def test_who_has_left_his_groups_is_suspended_until_he_has_some_again(place: Place) -> None:
    tokens = await place.signed_in()
    place.provider.claims["groups"] = []
    assert await come_back(place) == REFUSED
    [user] = users(place).values()
    assert user.suspended
    answer = await place.it.http.post(
        "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
    )
    assert told(answer) == (401, "session_ended")
    place.provider.claims["groups"] = ["soc"]
    await place.signed_in()


async def test_whom_an_administrator_has_disabled_stays_out(
    place: Place, logged: list[EventDict]
) -> None:
    await place.signed_in()
    [user] = users(place)
    disable = tenant_command(type="disable_user", user=user)
    place.it.world.commit("acme", TENANT_ROOM, disable)
    place.provider.claims["groups"] = ["leads"]
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["disabled_here"]
    assert users(place)[user].role == "analyst"


async def test_he_has_no_password_here_and_nobody_else_has_it(place: Place) -> None:
    me = await place.me(await place.signed_in())
    for password in ("", "password", "None"):
        body = {"username": me["username"], "password": password}
        answer = await place.it.http.post("/api/v1/auth/login", json=body)
        assert told(answer) == REFUSED


async def test_what_the_token_does_not_say_is_asked_at_userinfo(place: Place) -> None:
    said = place.provider.claims
    place.provider.more = {**said}
    place.provider.claims = {"sub": said["sub"]}
    me = await place.me(await place.signed_in())
    assert (me["username"], me["role"]) == ("ada", "analyst")


async def test_userinfo_about_somebody_else_is_refused(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.more = {**place.provider.claims, "sub": "somebody else"}
    place.provider.claims = {"sub": place.provider.claims["sub"]}
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["userinfo_subject"]


async def test_a_required_class_of_authentication_is_asked_for_and_must_be_told(
    place: Place, logged: list[EventDict]
) -> None:
    await place.install(required_acr="phr")
    started = await place.browser().start()
    assert "acr_values=phr" in started.headers["location"]
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["acr"]
    place.provider.claims["acr"] = "phr"
    await place.signed_in()


async def test_a_removed_provider_vouches_for_nobody(place: Place) -> None:
    tokens = await place.signed_in()
    place.it.world.commit("acme", TENANT_ROOM, tenant_command(type="remove_identity_provider"))
    answer = await place.it.http.post(
        "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
    )
    assert told(answer) == (401, "session_ended")
    assert (await place.browser().start()).status_code == 404
