"""The people who run the platform, and the process that does what they ask for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import httpx
from nats.aio.client import Client as NatsClient
from nats.errors import Error as NatsError

from actors.protocol.ids import PLATFORM_TENANT
from actors.protocol.roles import Role
from deploy.local.children import Child
from tests.e2e.clients import Client, Json
from tests.e2e.system import PASSWORD, Company, System
from tests.support.eventually import eventually


@dataclass(frozen=True)
class Platform:
    """The platform's own tenant, with people that no other test knows."""

    company: Company
    mark: str

    @property
    def system(self) -> System:
        """What runs."""
        return self.company.system

    async def sign_in(self, name: str, role: Role, http: httpx.AsyncClient | None = None) -> Client:
        """Somebody of the platform, made if he is not there, signed in."""
        username = f"{name}.{self.mark}"
        await self.company.hire(f"{name}-{self.mark}", role, username)
        return await Client.sign_in(http or self.system.gateways[0].http, username, PASSWORD)

    async def admin(self, http: httpx.AsyncClient | None = None) -> Client:
        """An administrator of the platform."""
        return await self.sign_in("petra", Role.PLATFORM_ADMIN, http)


def platform_of(system: System) -> Platform:
    """The platform for one test."""
    return Platform(Company(system, PLATFORM_TENANT), uuid4().hex[:12])


@asynccontextmanager
async def provisioner(system: System, **environment: str) -> AsyncIterator[Child]:
    """A provisioner that runs; one that a test kills is not stopped again."""
    child = await system.stack.start_process(
        "provisioner", f"provisioner-{uuid4().hex[:8]}", environment
    )
    try:
        yield child
    finally:
        if child.process.returncode is None:
            await child.stop()


def new_tenant(**more: object) -> Json:
    """A tenant to ask for, with an administrator who has the usual password."""
    tenant = f"n{uuid4().hex[:12]}"
    first = {"username": f"boss.{tenant}", "password": PASSWORD}
    return {"id": tenant, "name": "Made at run time", "administrator": first, **more}


async def settled(admin: Client, tenant: str, status: str) -> Json:
    """The tenant, once it has a status and that is made so."""

    async def ask() -> Json | None:
        # One that an operator made is there once the provisioner has found it.
        answer = await admin.ask("GET", f"/tenants/{tenant}")
        found: Json = answer.json()
        is_so = answer.status_code == 200 and found["status"] == status and found["settled"]
        return found if is_so else None

    return await eventually(ask, f"{tenant} being {status}")


async def created(admin: Client, **more: object) -> Json:
    """A new tenant that is there."""
    wanted = new_tenant(**more)
    answer = await admin.ask("POST", "/tenants", wanted)
    assert answer.status_code == 202, answer.text
    await settled(admin, wanted["id"], "active")
    return wanted


async def boss_of(admin: Client, wanted: Json) -> Client:
    """The first administrator of a new tenant, signed in."""
    return await Client.sign_in(admin.http, wanted["administrator"]["username"], PASSWORD)


async def may_connect(company: Company) -> bool:
    """Whether a company's external systems are let in to NATS."""
    secrets = company.system.stack.secrets
    client = NatsClient()
    refused: list[Exception] = []

    async def remember(error: Exception) -> None:
        refused.append(error)

    try:
        await client.connect(
            company.system.stack.nats_url,
            user_credentials=str(secrets.tenant_credentials_file(company.tenant)),
            allow_reconnect=False,
            connect_timeout=2,
            error_cb=remember,
        )
        await client.flush()
    except (NatsError, OSError):
        return False
    finally:
        await client.close()
    return not refused
