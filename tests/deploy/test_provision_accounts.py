"""Accounts on a running server: told once, changed without cutting anybody off, never lost."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from deploy.provision import nats_accounts
from deploy.provision.errors import ProvisionError
from deploy.provision.nats_accounts import push_account
from deploy.provision.nats_identity import (
    core_account_token,
    ensure_tenant_credentials,
    tenant_account_token,
)
from deploy.provision.nats_jwt import claims_of, sign
from deploy.provision.nats_streams import ensure_stream, ingest_config
from deploy.provision.secrets import Secrets
from tests.deploy.provisioned import NatsStack, nats_stack, new_tenant, session

NOON = 1_800_000_000


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[NatsStack]:
    async with nats_stack(tmp_path) as running:
        yield running


async def told(stack: NatsStack, token: str) -> bool:
    async with stack.sign_in("system") as system:
        return await push_account(system.client, token)


def altered(stack: NatsStack, token: str, **limits: Any) -> str:
    """The same account with other limits, signed by the operator."""
    claims = claims_of(token)
    claims["nats"]["limits"] |= limits
    operator = stack.secrets.operator_seed()
    return sign(operator, claims["sub"], claims["name"], claims["nats"], NOON)


async def test_an_account_is_told_once(stack: NatsStack) -> None:
    tenant = new_tenant()
    with pytest.raises(nats.errors.Error):
        async with stack.sign_in_tenant(tenant):
            pass
    assert await told(stack, tenant_account_token(stack.secrets, tenant, NOON))
    async with stack.sign_in_tenant(tenant) as external:
        assert external.client.is_connected
    assert not await told(stack, tenant_account_token(stack.secrets, tenant, NOON + 60))


async def test_the_accounts_of_the_configuration_are_known(stack: NatsStack) -> None:
    assert not await told(stack, core_account_token(stack.secrets, NOON))


async def test_a_change_takes_effect_and_cuts_nobody_off(stack: NatsStack) -> None:
    tenant = new_tenant()
    async with stack.sign_in("provisioner") as provisioner:
        await ensure_stream(provisioner.client.jetstream(), ingest_config(tenant, replicas=1))
    wanted = tenant_account_token(stack.secrets, tenant, NOON)
    assert await told(stack, altered(stack, wanted, conn=1))
    async with stack.sign_in_tenant(tenant) as first:
        with pytest.raises(nats.errors.Error, match="maximum account active connections"):
            async with stack.sign_in_tenant(tenant):
                pass
        assert await told(stack, wanted)
        async with stack.sign_in_tenant(tenant) as second:
            for session in (first, second):
                await session.client.jetstream().publish("ingest.a.b", b"{}")


async def test_accounts_outlive_a_restart_of_the_server(stack: NatsStack) -> None:
    tenant = new_tenant()
    assert await told(stack, tenant_account_token(stack.secrets, tenant, NOON))
    await stack.server.stop()
    await stack.server.start()
    async with stack.sign_in_tenant(tenant) as external:
        assert external.client.is_connected


async def test_a_server_that_lost_its_accounts_is_told_again(
    stack: NatsStack, tmp_path: Path
) -> None:
    tenant = new_tenant()
    token = tenant_account_token(stack.secrets, tenant, NOON)
    assert await told(stack, token)
    await stack.server.stop()
    shutil.rmtree(tmp_path / "nats" / "accounts")
    await stack.server.start()
    assert await told(stack, token)
    async with stack.sign_in_tenant(tenant) as external:
        assert external.client.is_connected


async def test_a_token_that_was_altered_is_refused(stack: NatsStack) -> None:
    head, body, signature = tenant_account_token(stack.secrets, new_tenant(), NOON).split(".")
    with pytest.raises(ProvisionError) as caught:
        await told(stack, f"{head}.{body}.{signature[::-1]}")
    assert caught.value.code == "account_refused"


async def test_an_account_of_another_operator_lets_nobody_in(
    stack: NatsStack, tmp_path: Path
) -> None:
    foreign = Secrets(tmp_path / "foreign")
    # The server keeps what the system account gives it; it looks for the operator's hand on use.
    await told(stack, tenant_account_token(foreign, "acme", NOON))
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        async with session(stack.server.url, ensure_tenant_credentials(foreign, "acme")):
            pass


async def test_somebody_who_may_not_ask_learns_what_is_wrong(
    stack: NatsStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_accounts, "ANSWER_TIMEOUT_S", 0.2)
    token = tenant_account_token(stack.secrets, new_tenant(), NOON)
    async with stack.sign_in("provisioner") as provisioner:
        with pytest.raises(ProvisionError, match="resolver") as caught:
            await push_account(provisioner.client, token)
    assert caught.value.code == "no_resolver"
    assert token not in str(caught.value)
