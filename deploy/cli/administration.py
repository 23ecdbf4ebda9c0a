"""`provision`, `tenant`, `token`: daily administration."""

import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.session import fail, local_stack, run, show, signed_in
from deploy.provision.nats_config import server_config
from deploy.provision.secrets import Secrets
from deploy.provision.tenants import create_tenant, list_tenants, open_platform, provision_platform
from store.driver import MongoConnection

Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(provision)
    tenant = typer.Typer(no_args_is_help=True, help="Tenants.")
    tenant.command("create")(tenant_create)
    tenant.command("list")(tenant_list)
    app.add_typer(tenant, name="tenant")
    token = typer.Typer(no_args_is_help=True, help="Access tokens.")
    token.command("create")(token_create)
    app.add_typer(token, name="token")


def platform_servers() -> tuple[str, str, Secrets]:
    """NATS, MongoDB and the secrets of the environment, or of the stack that runs here."""
    nats_url, mongo_url = os.environ.get("WARDROOM_NATS_URL"), os.environ.get("WARDROOM_MONGO_URL")
    secrets_dir = os.environ.get("WARDROOM_SECRETS_DIR")
    if nats_url and mongo_url and secrets_dir:
        return nats_url, mongo_url, Secrets(Path(secrets_dir))
    ready = local_stack()
    return ready.nats_url, ready.mongo_url, Secrets(Path(ready.data_dir) / "secrets")


def provision(
    nats_config: Annotated[
        Path | None,
        typer.Option(help="Only write nats-server's configuration here; start it with that first."),
    ] = None,
    replicas: Annotated[int, typer.Option(help="Copies of every stream; 3 in a cluster.")] = 1,
) -> None:
    """Make or repair accounts, streams, database users, roles, indexes and keys; safe to repeat."""
    if nats_config is not None:
        directory = os.environ.get("WARDROOM_SECRETS_DIR")
        if not directory:
            fail("set WARDROOM_SECRETS_DIR to a directory for keys and credentials", 2)
        text = server_config(
            Secrets(Path(directory)),
            nats_config.parent.absolute() / "accounts",
            store_dir=nats_config.parent.absolute() / "jetstream",
        )
        descriptor = os.open(nats_config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        typer.echo(f"wrote {nats_config}; it holds the key of JetStream's encryption at rest")
        return

    async def work() -> None:
        nats_url, mongo_url, secrets = platform_servers()
        admin = MongoConnection(mongo_url)
        try:
            async with open_platform(secrets, nats_url, mongo_url, replicas=replicas) as platform:
                rows = await provision_platform(platform, admin)
        finally:
            await admin.close()
        typer.echo(f"provisioned; {len(rows)} tenants")

    run(work)


def tenant_create(
    tenant: str,
    name: Annotated[str | None, typer.Option(help="For people; default: the id.")] = None,
    as_json: Json = False,
) -> None:
    """Make a tenant; running processes notice by themselves."""

    async def work() -> None:
        nats_url, mongo_url, secrets = platform_servers()
        async with open_platform(secrets, nats_url, mongo_url) as platform:
            row = await create_tenant(platform, tenant, name or tenant)
        credentials = str(secrets.tenant_credentials_file(tenant))
        answer = {"id": row.id, "name": row.name, "nats_credentials_file": credentials}
        show(
            answer, as_json=as_json, line=f"tenant {row.id}; its systems publish with {credentials}"
        )

    run(work)


def tenant_list(as_json: Json = False) -> None:
    """List the tenants."""

    async def work() -> None:
        nats_url, mongo_url, secrets = platform_servers()
        async with open_platform(secrets, nats_url, mongo_url) as platform:
            for row in await list_tenants(platform.mongo):
                show(
                    {"id": row.id, "name": row.name}, as_json=as_json, line=f"{row.id}  {row.name}"
                )

    run(work)


def token_create(
    user: Annotated[str | None, typer.Argument(help="Username; default: the analyst.")] = None,
    as_json: Json = False,
) -> None:
    """Sign in and print an access token, good for ten minutes."""

    async def work() -> None:
        async with signed_in(user) as api:
            show({"access_token": api.token}, as_json=as_json, line=api.token)

    run(work)
