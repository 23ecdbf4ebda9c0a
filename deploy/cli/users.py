"""`user`: the people of a tenant, by an operator. What is changed is a record of the tenant's chain."""

import os
import secrets as random_secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import time_ns
from typing import Annotated, Any, Final

import typer

from actors.protocol.commands import (
    Command,
    DisableUser,
    EnableUser,
    Origin,
    ResetSecondFactor,
    SetPassword,
    UpdateUser,
)
from actors.protocol.ids import PLATFORM_TENANT, TENANT_ROOM, time_ordered_id
from actors.protocol.markings import CLEARANCES
from actors.protocol.roles import PLATFORM_ROLES, Role
from deploy.cli.administration import Json, platform_servers
from deploy.cli.session import clearance_of, fail, run, show
from deploy.context import User
from deploy.people import OPERATOR, create_user, new_password, operator_client
from deploy.provision.provisioner import ensure_platform_tenant
from deploy.provision.tenants import open_platform
from gateway.passwords import hash_password
from store.driver import MongoConnection
from store.keys import KeyRing, RootKey
from store.reader import Reader
from store.rows import UserRow
from store.tenant_reader import TenantReader

ROLES_HELP: Final = (
    "tenant_admin, analyst or viewer; in the tenant platform also platform_admin, platform_viewer."
)
PAGE_USERS: Final = 200
"""Users read from the store at a time."""

MakeCommand = Callable[[dict[str, Any]], Command]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    user = typer.Typer(no_args_is_help=True, help="Users of a tenant.")
    user.command("create")(user_create)
    user.command("list")(user_list)
    user.command("disable")(user_disable)
    user.command("enable")(user_enable)
    user.command("password")(user_password)
    user.command("reset-second-factor")(user_reset_second_factor)
    user.command("clearance")(user_clearance)
    app.add_typer(user, name="user")


def user_create(
    tenant: str,
    username: str,
    role: Annotated[str, typer.Option(help=ROLES_HELP)] = "analyst",
    email: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Make a user with a generated password, shown once."""
    if (role in PLATFORM_ROLES) and tenant != PLATFORM_TENANT:
        fail(f"{role} is a role of the tenant {PLATFORM_TENANT!r} only", 2)

    async def work() -> None:
        nats_url, mongo_url, secrets = platform_servers()
        if tenant == PLATFORM_TENANT:
            async with open_platform(secrets, nats_url, mongo_url) as platform:
                await ensure_platform_tenant(platform)
        person = User(username, role, new_password())
        user_id = time_ordered_id("usr", time_ns() // 1_000_000, os.urandom(10))
        async with operator_client(nats_url, secrets) as client:
            _, made = await create_user(client, tenant, person, email, user_id)
        if not made:
            fail(f"the name {username!r} is taken in {tenant}", 1)
        answer = {"id": user_id, "username": username, "role": role, "password": person.password}
        show(answer, as_json=as_json, line=f"{username}  {person.password}   (shown once)")

    run(work)


def user_list(
    tenant: str,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that are deleted.")] = False,
    as_json: Json = False,
) -> None:
    """List the users of a tenant."""

    async def work() -> None:
        async with _tenant_reader(tenant) as reader:
            async for row in _users(reader, deleted=deleted):
                answer = {
                    "id": row.user,
                    "username": row.username,
                    "email": row.email,
                    "display_name": row.display_name,
                    "role": row.custom_role or row.role,
                    "disabled": row.disabled,
                    "deleted": row.deleted,
                    "second_factor": row.second_factor is not None,
                    "clearance": row.clearance,
                }
                mark = "  (disabled)" if row.disabled else ""
                role = row.custom_role or row.role
                line = f"{row.username}  {role}  {CLEARANCES[row.clearance]}{mark}"
                show(answer, as_json=as_json, line=line)

    run(work)


def user_disable(
    tenant: str,
    username: str,
    reason: Annotated[str, typer.Option(help="For the record.")] = "",
    as_json: Json = False,
) -> None:
    """Keep a user out; his sessions end at once."""
    _change(tenant, username, lambda who: DisableUser(reason=reason, **who), "disabled", as_json)


def user_enable(tenant: str, username: str, as_json: Json = False) -> None:
    """Let a disabled user in again."""
    _change(tenant, username, lambda who: EnableUser(**who), "enabled", as_json)


def user_clearance(
    tenant: str,
    username: str,
    level: Annotated[str, typer.Argument(help=f"One of {', '.join(CLEARANCES)}.")],
    as_json: Json = False,
) -> None:
    """Give a user another clearance; his sessions end at once. Where nobody has one yet, this is how it
    begins: an administrator gives no more than he has."""
    wanted = clearance_of(level)
    _change(tenant, username, lambda who: UpdateUser(user_clearance=wanted, **who), level, as_json)


def user_password(tenant: str, username: str, as_json: Json = False) -> None:
    """Give a user a generated password, shown once; his sessions end at once."""
    password = new_password()

    async def work() -> None:
        hashed = hash_password(password)
        user = await _commit(tenant, username, lambda who: SetPassword(password_hash=hashed, **who))
        answer = {"id": user, "username": username, "password": password}
        show(answer, as_json=as_json, line=f"{username}  {password}   (shown once)")

    run(work)


def user_reset_second_factor(tenant: str, username: str, as_json: Json = False) -> None:
    """Take away the second factor of somebody who has lost it; his sessions end at once."""
    _change(tenant, username, lambda who: ResetSecondFactor(**who), "reset", as_json)


def _change(tenant: str, username: str, make: MakeCommand, done: str, as_json: bool) -> None:
    async def work() -> None:
        user = await _commit(tenant, username, make)
        answer = {"id": user, "username": username, "done": done}
        show(answer, as_json=as_json, line=f"{username}  {done}")

    run(work)


async def _commit(tenant: str, username: str, make: MakeCommand) -> str:
    async with _tenant_reader(tenant) as reader:
        wanted = username.casefold()
        found = [
            row.user
            async for row in _users(reader, deleted=False)
            if wanted in (row.username.casefold(), (row.email or "").casefold())
        ]
    if not found:
        fail(f"there is no user {username!r} in {tenant}", 1)
    nats_url, _, secrets = platform_servers()
    async with operator_client(nats_url, secrets) as client:
        who = {
            "client_id": f"cli-{random_secrets.token_hex(8)}",
            "actor": OPERATOR,
            "role": Role.SYSTEM,
            "user": found[0],
            "origin": Origin(method="cli"),
        }
        await client.send(tenant, TENANT_ROOM, make(who))
    return found[0]


async def _users(reader: TenantReader, *, deleted: bool) -> AsyncIterator[UserRow]:
    after = ""
    while rows := await reader.users(after=after, limit=PAGE_USERS, deleted=deleted):
        for row in rows:
            yield row
        after = rows[-1].user


@asynccontextmanager
async def _tenant_reader(tenant: str) -> AsyncIterator[TenantReader]:
    _, mongo_url, secrets = platform_servers()
    connection = MongoConnection(mongo_url, app_name="wardroom-cli")
    try:
        keys = KeyRing(connection, RootKey.from_file(secrets.root_key_file))
        reader = await Reader(connection, keys).tenant(tenant)
        if reader is None:
            fail(f"there is no tenant {tenant!r}", 1)
        yield reader
    finally:
        await connection.close()
