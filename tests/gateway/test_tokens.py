"""Tokens: what is signed is believed, and nothing else."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.roles import Role
from gateway.limits import CLOCK_SKEW_S, TICKET_TTL_S
from gateway.tokens import Principal, TokenKeys, Tokens, new_principal

KEY = Ed25519PrivateKey.generate()
OTHER_KEY = Ed25519PrivateKey.generate()
KEYS = TokenKeys("https://here", "k1", KEY, {"k1": KEY.public_key()})
TOKENS = Tokens(KEYS)
ANA = Principal("acme", "usr_ana", Role.ANALYST, "ses_1", int(time.time()) + 36_000)


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good access token, changed; None takes a claim away."""
    now = int(time.time())
    good = {
        "iss": "https://here",
        "aud": "wardroom",
        "sub": "usr_ana",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
        "jti": "a1",
        "tenant": "acme",
        "role": "analyst",
        "sid": "ses_1",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(
    body: dict[str, Any], key: Ed25519PrivateKey = KEY, typ: str = "at+jwt", **header: Any
) -> str:
    """A token signed with Ed25519."""
    headers = {"typ": typ, "kid": "k1", **header}
    return jwt.encode(body, key, algorithm="EdDSA", headers=headers)


def unsigned(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def confused_with_hmac() -> str:
    """A token whose HMAC key is our public key, which everybody knows."""
    public = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    headers = {"typ": "at+jwt", "kid": "k1"}
    return jwt.encode(claims(), public, algorithm="HS256", headers=headers)


def with_altered_body() -> str:
    """A good token whose claims were changed after signing."""
    head, _, signature = signed(claims()).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(role="tenant_admin")).encode())
    return f"{head}.{body.rstrip(b'=').decode()}.{signature}"


ATTACKS = {
    "no token": "",
    "no JWT": "a.b.c",
    "not ASCII": "\u00e9.\u00e9.\u00e9",
    "too long": "a" * 5000,
    "no algorithm": unsigned({"alg": "none", "typ": "at+jwt", "kid": "k1"}, claims()),
    "no algorithm, in capitals": unsigned({"alg": "NONE", "typ": "at+jwt", "kid": "k1"}, claims()),
    "our public key as an HMAC key": confused_with_hmac(),
    "claims changed after signing": with_altered_body(),
    "an empty signature": unsigned({"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}, claims()),
    "another key under our key id": signed(claims(), OTHER_KEY),
    "an unknown key id": signed(claims(), kid="k2"),
    "a key id that is a path": signed(claims(), kid="../../k1"),
    "no key id": jwt.encode(claims(), KEY, algorithm="EdDSA", headers={"typ": "at+jwt"}),
    "a key of its own": signed(
        claims(),
        OTHER_KEY,
        jwk={"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        jku="http://127.0.0.1/keys",
    ),
    "another type": signed(claims(), typ="JWT"),
    "a ticket": TOKENS.ticket(ANA),
    "another audience": signed(claims(aud="wardroom-ws")),
    "no audience": signed(claims(aud=None)),
    "another issuer": signed(claims(iss="https://there")),
    "no issuer": signed(claims(iss=None)),
    "expired": signed(claims(exp=int(time.time()) - CLOCK_SKEW_S - 1)),
    "no expiry": signed(claims(exp=None)),
    "not yet valid": signed(claims(nbf=int(time.time()) + 36_000)),
    "no beginning": signed(claims(nbf=None)),
    "from the future": signed(claims(iat=int(time.time()) + 36_000)),
    "no time of issue": signed(claims(iat=None)),
    "no subject": signed(claims(sub=None)),
    "a subject that is no id": signed(claims(sub="a.b")),
    "no tenant": signed(claims(tenant=None)),
    "a tenant that is no id": signed(claims(tenant="ACME/../globex")),
    "no role": signed(claims(role=None)),
    "an unknown role": signed(claims(role="emperor")),
    "a role that is a list": signed(claims(role=["analyst"])),
    "no session": signed(claims(sid=None)),
}


@pytest.mark.parametrize("token", ATTACKS.values(), ids=ATTACKS.keys())
def test_a_forged_or_misused_token_is_refused(token: str) -> None:
    with pytest.raises(Refusal) as caught:
        TOKENS.read_access_token(token)

    assert caught.value.code is ErrorCode.UNAUTHENTICATED


def test_every_refusal_of_a_token_says_the_same() -> None:
    said = set()
    for token in ATTACKS.values():
        with pytest.raises(Refusal) as caught:
            TOKENS.read_access_token(token)
        said.add(caught.value.detail)

    assert len(said) == 1


def test_the_claims_that_the_attacks_start_from_are_good() -> None:
    assert TOKENS.read_access_token(signed(claims())).user == "usr_ana"


def test_an_access_token_says_who_it_was_made_for() -> None:
    assert TOKENS.read_access_token(TOKENS.access_token(ANA)) == ANA


def test_a_token_of_an_earlier_key_is_good_while_that_key_is_known() -> None:
    rotated = Tokens(
        TokenKeys(
            "https://here",
            "k2",
            OTHER_KEY,
            {"k1": KEY.public_key(), "k2": OTHER_KEY.public_key()},
        )
    )

    assert rotated.read_access_token(TOKENS.access_token(ANA)) == ANA
    assert jwt.get_unverified_header(rotated.access_token(ANA))["kid"] == "k2"


def test_a_ticket_stands_for_its_user_until_the_session_must_be_renewed() -> None:
    ticket = TOKENS.read_ticket(TOKENS.ticket(ANA))

    assert ticket.principal == ANA


def test_two_tickets_of_one_user_are_two() -> None:
    first, second = (TOKENS.read_ticket(TOKENS.ticket(ANA)) for _ in range(2))

    assert first.id != second.id


def test_a_ticket_lives_for_seconds() -> None:
    decoded = jwt.decode(TOKENS.ticket(ANA), options={"verify_signature": False})

    assert decoded["exp"] - decoded["iat"] == TICKET_TTL_S


@pytest.mark.parametrize("role", [Role.ANALYST, Role.VIEWER])
def test_an_access_token_is_no_ticket(role: Role) -> None:
    token = TOKENS.access_token(new_principal("acme", "usr_ana", role, "ses_1"))

    with pytest.raises(Refusal):
        TOKENS.read_ticket(token)


def test_the_published_keys_verify_our_tokens() -> None:
    published = TOKENS.jwks()["keys"][0]

    key = jwt.PyJWK.from_dict(published)

    assert published["kid"] == "k1"
    decoded = jwt.decode(TOKENS.access_token(ANA), key, algorithms=["EdDSA"], audience="wardroom")
    assert decoded["sub"] == "usr_ana"


def test_the_published_keys_hold_nothing_secret() -> None:
    assert all("d" not in key for key in TOKENS.jwks()["keys"])
    assert "private_key" not in repr(KEYS)
