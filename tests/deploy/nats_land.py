"""A nats-server with everything provisioned, somebody in each account who may do anything, and all
others."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.provision.nats_accounts import push_account
from deploy.provision.nats_identity import (
    ensure_credentials,
    ensure_tenant_credentials,
    external_user_token,
    tenant_account_token,
)
from deploy.provision.nats_jwt import KeyRole, new_seed, public_key, read_credentials, sign
from deploy.provision.nats_permissions import USERS
from deploy.provision.nats_streams import (
    ensure_stream,
    ingest_config,
    room_config,
    shared_configs,
)
from deploy.provision.secrets import Secrets
from tests.deploy.nats_policy import EXTERNAL, LANES, NARROW, SOURCE
from tests.deploy.nats_wire import Greeter, Told, Wire, holder_of, wire
from tests.deploy.provisioned import NatsStack, nats_stack, new_tenant
from tests.store.test_nats_credentials import row_of

CORE: Final = "CORE"
SYS: Final = "SYS"
ANYTHING: Final = {"allow": [">"]}
UNBOUNDED: Final = dict.fromkeys(("subs", "data", "payload"), -1)


@dataclass(frozen=True)
class Caller:
    """Somebody with good credentials. `tenant` is empty for our own processes."""

    kind: str
    account: str
    tenant: str
    greeter: Greeter

    @property
    def is_external(self) -> bool:
        """Whether he is a system of a tenant's."""
        return bool(self.tenant)


@dataclass(frozen=True)
class Land:
    """Two tenants, and for each account a connection that may say and hear anything."""

    nats: NatsStack
    tenants: tuple[str, str]
    ears: dict[str, Wire]

    def caller(self, kind: str, tenant: str = "") -> Caller:
        """Somebody of a kind; external systems are of a tenant."""
        secrets = self.nats.secrets
        if kind == EXTERNAL:
            return Caller(
                kind, tenant, tenant, _in_file(ensure_tenant_credentials(secrets, tenant))
            )
        if kind == NARROW:
            return Caller(kind, tenant, tenant, narrow(secrets, tenant)[1])
        user = next(user for user in USERS if user == kind)
        greeter = _in_file(ensure_credentials(secrets, user))
        return Caller(kind, SYS if user == "system" else CORE, "", greeter)

    @asynccontextmanager
    async def let_in(self, greeter: Greeter) -> AsyncIterator[Wire]:
        """A connection that the server has taken."""
        async with wire(self.nats.server.url, greeter) as opened:
            told = await opened.settled()
            assert told.alive, told.errors
            yield opened

    async def heard(self) -> dict[str, Told]:
        """What has arrived in each account; whoever sent it has settled."""
        heard = {account: await ear.settled() for account, ear in self.ears.items()}
        assert all(told.alive for told in heard.values())
        return heard

    async def push(self, token: str) -> None:
        """Tell the server of an account."""
        async with self.nats.sign_in("system") as system:
            await push_account(system.client, token)

    async def new_tenant(self) -> str:
        """A tenant with an account and without anything else."""
        tenant = new_tenant()
        await self.push(tenant_account_token(self.nats.secrets, tenant, int(time.time())))
        return tenant


def narrow(secrets: Secrets, tenant: str, *, issued_at: int | None = None) -> tuple[str, Greeter]:
    """The public key and the greeting of a new external system that is one source."""
    seed = new_seed(KeyRole.USER)
    row = row_of(tenant, public_key=public_key(seed), sources=(SOURCE,))
    token = external_user_token(secrets, row, int(time.time()) if issued_at is None else issued_at)
    return row.public_key, holder_of(token, seed)


def greeter_of(account_seed: bytes) -> Greeter:
    """Somebody who may do anything in an account."""
    seed = new_seed(KeyRole.USER)
    claims = {"type": "user", "pub": ANYTHING, "sub": ANYTHING, **UNBOUNDED}
    return holder_of(sign(account_seed, public_key(seed), "ear", claims, int(time.time())), seed)


@asynccontextmanager
async def land(directory: Path) -> AsyncIterator[Land]:
    """A server over a directory, with two tenants."""
    async with nats_stack(directory) as stack, AsyncExitStack() as held:
        tenants = (new_tenant(), new_tenant())
        ready = Land(stack, tenants, {})
        secrets = stack.secrets
        async with stack.sign_in("provisioner") as provisioner:
            js = provisioner.client.jetstream()
            for config in shared_configs(replicas=1):
                await ensure_stream(js, config)
            for tenant in tenants:
                await ensure_stream(js, room_config(tenant, LANES, generation=1, replicas=1))
                await ensure_stream(js, ingest_config(tenant, replicas=1))
        seeds = {SYS: secrets.system_seed(), CORE: secrets.core_seed()}
        for tenant in tenants:
            await ready.push(tenant_account_token(secrets, tenant, int(time.time())))
            seeds[tenant] = secrets.tenant_seed(tenant)
        for account, seed in seeds.items():
            ear = await held.enter_async_context(ready.let_in(greeter_of(seed)))
            ear.subscribe(">")
            ready.ears[account] = ear
        await ready.heard()
        yield ready


def _in_file(path: Path) -> Greeter:
    return holder_of(*read_credentials(path.read_bytes()))
