"""`keys`: the keys that sign access tokens."""

from time import time
from typing import Annotated

import typer

from deploy.cli.administration import Json, platform_servers
from deploy.cli.session import run, show
from deploy.provision.tenants import open_platform
from deploy.provision.token_keys import rotate_token_keys
from deploy.token_keys import read_succession
from gateway.limits import KEYS_POLL_S


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(no_args_is_help=True, help="The keys that sign access tokens.")
    keys.command("list")(keys_list)
    keys.command("rotate")(keys_rotate)
    app.add_typer(keys, name="keys")


def keys_list(as_json: Json = False) -> None:
    """List the keys and what each is for."""

    async def work() -> None:
        nats_url, mongo_url, secrets = platform_servers()
        async with open_platform(secrets, nats_url, mongo_url) as platform:
            keys = await read_succession(platform.mongo)
        if keys is None:
            return
        states = {key.kid: "retired" for key in keys.retired}
        states[keys.newest.kid] = "next"
        states[keys.current.kid] = "current"
        for kid, state in states.items():
            show({"kid": kid, "state": state}, as_json=as_json, line=f"{kid}  {state}")

    run(work)


def keys_rotate(
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Though not every verifier may know the next key yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let the next key sign; gateways notice by themselves, and nobody is signed out."""

    async def work() -> None:
        nats_url, mongo_url, secrets = platform_servers()
        now_s = int(time())
        async with open_platform(secrets, nats_url, mongo_url) as platform:
            done = await rotate_token_keys(
                platform.mongo, platform.root_key(), now_s, at_once=at_once
            )
        answer = {
            "retired": done.retired,
            "current": done.current,
            "next": done.next,
            "retired_until": done.until_s,
        }
        line = (
            f"{done.current} signs within {KEYS_POLL_S} seconds; tokens of {done.retired} are "
            f"believed for {done.until_s - now_s} seconds more; next: {done.next}"
        )
        show(answer, as_json=as_json, line=line)

    run(work)
