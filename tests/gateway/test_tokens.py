"""Tokens: what is signed is believed, and nothing else."""

import asyncio
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.roles import Role
from gateway.limits import (
    ACCESS_TTL_S,
    CLOCK_SKEW_S,
    KEYS_POLL_S,
    RETIRED_KEY_S,
    TICKET_TTL_S,
    TOKEN_CHARS_MAX,
)
from gateway.token_keys import follow_keys
from gateway.tokens import Principal, TokenKeys, Tokens, new_principal
from tests.gateway.forging import Forger
from tests.gateway.world import eventually

KEY = Ed25519PrivateKey.generate()
OTHER_KEY = Ed25519PrivateKey.generate()
NEXT_KEY = Ed25519PrivateKey.generate()
KEYS = TokenKeys("https://here", "k1", KEY, {"k1": KEY.public_key()})
TOKENS = Tokens(KEYS)
ANA = Principal("acme", "usr_ana", Role.ANALYST, "ses_1", int(time.time()) + 36_000)


FORGER = Forger(KEYS)
ATTACKS = {**FORGER.attacks(), "too long": "a" * (TOKEN_CHARS_MAX + 1)}


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
    assert TOKENS.read_access_token(FORGER.signed(FORGER.good)).user == "usr_ana"


def test_an_access_token_says_who_it_was_made_for() -> None:
    assert TOKENS.read_access_token(TOKENS.access_token(ANA)) == ANA


def rotated(until: int) -> TokenKeys:
    """The keys after a rotation from k1 to k2; k1 is believed until then, and k3 is next."""
    public = {"k1": KEY, "k2": OTHER_KEY, "k3": NEXT_KEY}
    return TokenKeys(
        "https://here",
        "k2",
        OTHER_KEY,
        {kid: key.public_key() for kid, key in public.items()},
        {"k1": until},
    )


def test_a_token_of_a_retired_key_is_good_until_that_key_ends() -> None:
    now = time.time()
    tokens = Tokens(rotated(int(now) + RETIRED_KEY_S), clock=lambda: now)
    token = TOKENS.access_token(ANA)

    assert tokens.read_access_token(token) == ANA
    assert jwt.get_unverified_header(tokens.access_token(ANA))["kid"] == "k2"
    now += RETIRED_KEY_S
    with pytest.raises(Refusal):
        tokens.read_access_token(token)
    assert tokens.read_access_token(tokens.access_token(ANA)) == ANA


def test_a_retired_key_outlives_every_token_that_it_can_have_signed() -> None:
    assert RETIRED_KEY_S > KEYS_POLL_S + ACCESS_TTL_S + CLOCK_SKEW_S


def test_the_next_key_is_published_before_it_signs_and_a_retired_one_until_it_ends() -> None:
    now = time.time()
    tokens = Tokens(rotated(int(now) + RETIRED_KEY_S), clock=lambda: now)

    def published() -> list[str]:
        return [key["kid"] for key in tokens.jwks()["keys"]]

    assert published() == ["k1", "k2", "k3"]
    now += RETIRED_KEY_S
    assert published() == ["k2", "k3"]


async def test_keys_that_were_rotated_are_used_without_a_restart() -> None:
    keys = KEYS
    looked = asyncio.Event()

    async def read() -> TokenKeys:
        looked.set()
        return keys

    tokens = Tokens(KEYS)
    following = asyncio.create_task(follow_keys(tokens, read, every_s=0))
    keys = rotated(int(time.time()) + RETIRED_KEY_S)
    await asyncio.wait_for(looked.wait(), 5)
    await eventually(lambda: jwt.get_unverified_header(tokens.access_token(ANA))["kid"] == "k2")
    following.cancel()


async def test_keys_that_can_not_be_read_leave_those_that_are_known() -> None:
    tries = 0

    async def read() -> TokenKeys:
        nonlocal tries
        tries += 1
        raise ConnectionError("mongodb://name:secret@host")

    tokens = Tokens(KEYS)
    with capture_logs() as logged:
        following = asyncio.create_task(follow_keys(tokens, read, every_s=0))
        await eventually(lambda: tries > 1)
        following.cancel()

    assert tokens.read_access_token(TOKENS.access_token(ANA)) == ANA
    assert logged[0]["event"] == "token_keys.unreadable"
    assert "secret" not in str(logged)


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
