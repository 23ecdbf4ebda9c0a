"""Which ID tokens let somebody in, and by which keys."""

import base64
import hashlib
import hmac
import time
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.typing import EventDict

from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.refusals import REFUSED, come_back, reasons, users
from tests.gateway.oidc.stage import CLIENT, Signer, Spoil


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
