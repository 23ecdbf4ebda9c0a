"""One process against given servers: what a container runs."""

import asyncio
from collections.abc import Awaitable, Callable

import typer
import uvloop

from deploy.processes import run_actors, run_connectors, run_gateway
from deploy.settings import ProcessSettings, SettingMissing


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def actors() -> None:
        """Run an actor process."""
        run(run_actors)

    @app.command()
    def gateway() -> None:
        """Run a gateway process."""
        run(run_gateway)

    @app.command()
    def connectors() -> None:
        """Run a connector process."""
        run(run_connectors)


def run(process: Callable[[ProcessSettings], Awaitable[None]]) -> None:
    """Run a process with the settings of the environment."""

    async def work() -> None:
        await process(ProcessSettings())

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work())
    except SettingMissing as error:
        typer.echo(f"wardroom: {error}", err=True)
        raise typer.Exit(2) from error
