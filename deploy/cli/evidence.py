"""`verify`: is the evidence what was committed?"""

import os
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from deploy.cli.session import fail, local_stack, run
from deploy.provision.mongo_access import url_for
from deploy.provision.secrets import Secrets
from store.driver import MongoConnection
from store.errors import StoreError
from store.keys import KeyRing, RootKey
from store.reader import Reader
from store.verify import TenantVerdict, verify_tenant

VERIFIED, TAMPERED, CANNOT_VERIFY, USAGE = 0, 1, 2, 3


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def verify(
        live: Annotated[bool, typer.Option("--live", help="The running database.")] = False,
        tenant: Annotated[str | None, typer.Option(help="One tenant only.")] = None,
        as_json: Annotated[bool, typer.Option("--json")] = False,
    ) -> None:
        """Check every record of every room: 0 verified, 1 tampering, 2 can't verify, 3 usage."""
        if not live:
            fail("say what to verify: --live checks the running database", USAGE)
        verdicts = run(lambda: _verify(tenant))
        if tenant is not None and not verdicts:
            fail(f"no tenant {tenant!r}", CANNOT_VERIFY)
        _show(verdicts, as_json=as_json)
        clean = all(verdict.verified for verdict in verdicts)
        raise typer.Exit(VERIFIED if clean else TAMPERED)


async def _verify(tenant: str | None) -> list[TenantVerdict]:
    url, root = _access()
    connection = MongoConnection(url, app_name="wardroom-verify")
    try:
        keys = KeyRing(connection, root)
        reader = Reader(connection, keys)
        living, destroyed = await reader.tenants(), await reader.destroyed_tenants()
        return [
            await verify_tenant(connection, keys, name, headers_only=name in destroyed)
            for name in [*(row.id for row in living), *destroyed]
            if tenant in (None, name)
        ]
    except StoreError as error:
        fail(str(error), CANNOT_VERIFY)
    finally:
        await connection.close()


def _access() -> tuple[str, RootKey]:
    given, key_file = os.environ.get("WARDROOM_MONGO_URL"), os.environ.get("WARDROOM_ROOT_KEY_FILE")
    if given and key_file:
        return given, RootKey.from_file(Path(key_file))
    ready = local_stack()
    secrets = Secrets(Path(ready.data_dir) / "secrets")
    return url_for(ready.mongo_url, "auditor", secrets), RootKey.from_file(secrets.root_key_file)


def _show(verdicts: list[TenantVerdict], *, as_json: bool) -> None:
    if as_json:
        typer.echo(orjson.dumps([_as_object(verdict) for verdict in verdicts]).decode())
        return
    for verdict in verdicts:
        records = sum(room.records for room in verdict.rooms)
        word = "verified" if verdict.verified else "TAMPERING FOUND"
        if verdict.headers_only:
            word += " (headers only: its keys are destroyed)"
        typer.echo(
            f"{verdict.tenant}: {word}: {len(verdict.rooms)} chains, {records} records "
            f"in {verdict.seconds:.1f} s"
        )
        for problem in verdict.problems:
            typer.echo(
                f"  room {problem.room}, entry {problem.seq}: {problem.harm}: {problem.detail}"
            )
    typer.echo(
        "Not proven by this: that no administrator cut a chain's end together with its noted head, or "
        "rewrote it with the keys; compare receipts kept elsewhere."
    )


def _as_object(verdict: TenantVerdict) -> dict[str, Any]:
    return {
        "tenant": verdict.tenant,
        "verified": verdict.verified,
        "headers_only": verdict.headers_only,
        "rooms": [
            {
                "room": room.room,
                "records": room.records,
                "contents": room.contents,
                "unclaimed_contents": room.unclaimed,
                "head": room.head.seq,
                "head_hash": room.head.hash.hex(),
                "problems": [
                    {"seq": item.seq, "harm": str(item.harm), "detail": item.detail}
                    for item in room.problems
                ],
            }
            for room in verdict.rooms
        ],
    }
