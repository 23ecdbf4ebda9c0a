"""`up`: everything on this machine."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.context import default_data_dir
from deploy.evaluation import Evaluation, UpOptions
from deploy.local.datadir import DataDir
from deploy.local.errors import DataDirBusy, LocalError
from deploy.local.stack import GivenServers
from deploy.processes import stop_on_signals
from deploy.provision.errors import ProvisionError
from deploy.telemetry import configure_logs


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def up(
        data_dir: Annotated[Path | None, typer.Option(help="Where data and keys are.")] = None,
        port: Annotated[int, typer.Option(help="Of the gateway; 0 picks a free one.")] = 8080,
        ephemeral: Annotated[bool, typer.Option(help="Keep nothing.")] = False,
        no_demo: Annotated[bool, typer.Option("--no-demo", help="One tenant, no demo.")] = False,
        ready_file: Annotated[Path | None, typer.Option(help="Written when all is ready.")] = None,
    ) -> None:
        """Start NATS, MongoDB, actors, connectors and the gateway on loopback."""
        configure_logs("error", "console", "up")
        try:
            held = (
                DataDir.open_ephemeral()
                if ephemeral
                else DataDir.open(data_dir or default_data_dir())
            )
        except DataDirBusy as busy:
            typer.echo(f"already running: {busy}")
            raise typer.Exit(0) from busy
        except LocalError as error:
            _fail(error)
        with held:
            options = UpOptions(
                data_dir=held,
                port=port,
                demo=not no_demo,
                ready_files=(ready_file,) if ready_file else (),
                given=GivenServers(
                    os.environ.get("WARDROOM_NATS_URL"), os.environ.get("WARDROOM_MONGO_URL")
                ),
                secrets_dir=_path_from("WARDROOM_SECRETS_DIR"),
            )
            try:
                asyncio.run(_run(options))
            except (LocalError, ProvisionError) as error:
                _fail(error)


async def _run(options: UpOptions) -> None:
    await Evaluation(options, typer.echo).run(stop_on_signals())


def _path_from(name: str) -> Path | None:
    value = os.environ.get(name)
    return Path(value) if value else None


def _fail(error: Exception) -> None:
    typer.echo(f"wardroom: {error}", err=True)
    raise typer.Exit(1) from error
