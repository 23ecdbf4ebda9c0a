"""Credentials that are none, or no longer: nobody is let in, and nothing is done of what he sent along."""

import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest

from deploy.provision.nats_accounts import delete_account
from deploy.provision.nats_identity import (
    core_account_token,
    deletion_token,
    ensure_credentials,
    tenant_account_token,
)
from deploy.provision.nats_jwt import (
    Claims,
    KeyRole,
    claims_of,
    new_seed,
    public_key,
    read_credentials,
    sign,
)
from deploy.provision.secrets import Secrets
from tests.deploy.nats_land import ANYTHING, UNBOUNDED, Land, greeter_of, land, narrow
from tests.deploy.nats_policy import SOURCE, lines, patterns
from tests.deploy.nats_wire import Greeter, Greeting, holder_of, wire

LONG_AGO_S: Final = 3_600
PASSWORD: Final = {"user": "system", "pass": "system"}
EVERYTHING: Final[Claims] = {"type": "user", "pub": ANYTHING, "sub": ANYTHING, **UNBOUNDED}


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Land]:
    async with land(tmp_path_factory.mktemp("doors")) as ready:
        yield ready


async def assert_nobody(stack: Land, greeter: Greeter, tenant: str) -> None:
    """Whoever greets so is sent away, and all that he sent with his greeting is ignored."""
    policy = lines(*stack.tenants, tenant)
    async with wire(stack.nats.server.url, greeter) as nobody:
        for line in (*policy, *patterns(*stack.tenants, tenant)):
            nobody.subscribe(line.subject)
        for line in policy:
            nobody.publish(line.subject, "knocking", reply="_INBOX.nobody")
        told = await nobody.settled()
    assert not told.alive
    assert told.heard == []
    assert [error for error in told.errors if "Permissions" in error] == []
    for account, heard in (await stack.heard()).items():
        assert [each.subject for each in heard.heard if each.body == "knocking"] == [], account


# Credentials that never were good -------------------------------------------------------------------


def _signed(account_seed: bytes, **more: object) -> Greeter:
    seed, now = new_seed(KeyRole.USER), int(time.time())
    return holder_of(sign(account_seed, public_key(seed), "x", EVERYTHING | more, now), seed)


def _expired(secrets: Secrets) -> Greeter:
    seed, now = new_seed(KeyRole.USER), int(time.time())
    before, then = now - 2 * LONG_AGO_S, now - LONG_AGO_S
    account = secrets.core_seed()
    return holder_of(
        sign(account, public_key(seed), "x", EVERYTHING, before, expires_at=then), seed
    )


def _gateway(secrets: Secrets) -> tuple[str, bytes]:
    return read_credentials(ensure_credentials(secrets, "gateway").read_bytes())


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _widened(secrets: Secrets) -> Greeter:
    token, seed = _gateway(secrets)
    header, _, signature = token.split(".")
    claims = claims_of(token)
    claims["nats"] |= {"pub": ANYTHING, "sub": ANYTHING}
    return holder_of(f"{header}.{_encoded(claims)}.{signature}", seed)


def _unsigned(secrets: Secrets) -> Greeter:
    token, seed = _gateway(secrets)
    claims = token.split(".")[1]
    return holder_of(f"{_encoded({'typ': 'JWT', 'alg': 'none'})}.{claims}.", seed)


def _stolen_token(secrets: Secrets) -> Greeter:
    return holder_of(_gateway(secrets)[0], new_seed(KeyRole.USER))


def _old_signature(secrets: Secrets) -> Greeter:
    signed = holder_of(*_gateway(secrets))("the nonce of another connection")
    return lambda _: signed


def _bearer(account_seed: bytes) -> Greeter:
    def greeting(nonce: str) -> Greeting:
        signed = _signed(account_seed, bearer_token=True)(nonce) or {}
        return {"jwt": signed["jwt"]}

    return greeting


def _of_tenant_for_core(secrets: Secrets, tenant: str) -> Greeter:
    core = public_key(secrets.core_seed())
    return _signed(secrets.tenant_seed(tenant), issuer_account=core)


NEVER: Final[dict[str, Callable[[Secrets, str], Greeter]]] = {
    "no greeting at all": lambda *_: lambda _: None,
    "no credentials": lambda *_: lambda _: {},
    "a password": lambda *_: lambda _: PASSWORD,
    "no token": lambda *_: holder_of("garbage", new_seed(KeyRole.USER)),
    "an account that nobody vouches for": lambda *_: greeter_of(new_seed(KeyRole.ACCOUNT)),
    "signed by the operator, as an account is": lambda secrets, _: _signed(secrets.operator_seed()),
    "an account's token": lambda secrets, _: holder_of(
        core_account_token(secrets, int(time.time())), secrets.core_seed()
    ),
    "signed by a tenant for our own account": _of_tenant_for_core,
    "expired": lambda secrets, _: _expired(secrets),
    "a token without its seed": lambda secrets, _: _stolen_token(secrets),
    "a token that needs no seed": lambda secrets, tenant: _bearer(secrets.tenant_seed(tenant)),
    "a signature of another connection": lambda secrets, _: _old_signature(secrets),
    "permissions widened by hand": lambda secrets, _: _widened(secrets),
    "no signature on the token": lambda secrets, _: _unsigned(secrets),
}


@pytest.mark.parametrize("what", NEVER)
async def test_what_is_no_credential_opens_nothing(stack: Land, what: str) -> None:
    tenant = stack.tenants[0]
    await assert_nobody(stack, NEVER[what](stack.nats.secrets, tenant), tenant)


# Credentials that are good no longer ----------------------------------------------------------------


async def _revoke(stack: Land, tenant: str, key: str) -> None:
    now = int(time.time())
    await stack.push(tenant_account_token(stack.nats.secrets, tenant, now, refused={key}))


async def _suspend(stack: Land, tenant: str, _: str) -> None:
    now = int(time.time())
    await stack.push(tenant_account_token(stack.nats.secrets, tenant, now, closed=True))


async def _delete(stack: Land, tenant: str, _: str) -> None:
    token = deletion_token(stack.nats.secrets, tenant, int(time.time()))
    async with stack.nats.sign_in("system") as system:
        await delete_account(system.client, token)


ENDINGS: Final[dict[str, Callable[[Land, str, str], Awaitable[None]]]] = {
    "revoked": _revoke,
    "of a suspended tenant": _suspend,
    "of a deleted tenant": _delete,
}


@pytest.mark.parametrize("how", ENDINGS)
async def test_a_credential_that_is_over_is_cut_off_and_opens_nothing(
    stack: Land, how: str
) -> None:
    tenant = await stack.new_tenant()
    key, greeter = narrow(stack.nats.secrets, tenant)
    async with stack.let_in(greeter) as held:
        held.publish(f"ingest.{SOURCE}.offense", "before")
        assert (await held.settled()).errors == []
        await ENDINGS[how](stack, tenant, key)
        await held.hung_up()
    await assert_nobody(stack, greeter, tenant)


async def test_of_two_credentials_the_one_that_was_rotated_away_opens_nothing(stack: Land) -> None:
    tenant = await stack.new_tenant()
    (old_key, old), (_, new) = (narrow(stack.nats.secrets, tenant) for _ in range(2))
    async with stack.let_in(old) as before, stack.let_in(new) as after:
        await _revoke(stack, tenant, old_key)
        await before.hung_up()
        await assert_nobody(stack, old, tenant)
        after.publish(f"ingest.{SOURCE}.offense", "after")
        told = await after.settled()
    assert (told.alive, told.errors) == (True, [])
    heard = [each.body for ear in (await stack.heard()).values() for each in ear.heard]
    assert heard.count("after") == 1


async def test_a_key_that_is_revoked_stays_so_whatever_its_token_says_of_its_birth(
    stack: Land,
) -> None:
    tenant = await stack.new_tenant()
    secrets = stack.nats.secrets
    key, greeter = narrow(secrets, tenant, issued_at=int(time.time()) + LONG_AGO_S)
    await _revoke(stack, tenant, key)
    await assert_nobody(stack, greeter, tenant)
