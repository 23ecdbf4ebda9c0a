"""One process against given servers: what a container runs."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Final

import typer
import uvloop

from deploy.processes import run_actors, run_connectors, run_gateway, run_provisioner
from deploy.settings import ProcessSettings, SettingMissing

GC_YOUNG_OBJECTS: Final = 20_000
"""New objects between two collections; a group commit makes tens of thousands that die at once."""
GC_MIDDLE: Final = 20
GC_OLD: Final = 50


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

    @app.command()
    def provisioner() -> None:
        """Run the process that makes, suspends and destroys tenants; it alone holds all keys."""
        run(run_provisioner)


def run(process: Callable[[ProcessSettings], Awaitable[None]]) -> None:
    """Run a process with the settings of the environment."""

    async def work() -> None:
        # What stands after the imports stays; looking at it in every collection costs milliseconds
        # in the middle of commits.
        gc.freeze()
        gc.set_threshold(GC_YOUNG_OBJECTS, GC_MIDDLE, GC_OLD)
        await process(ProcessSettings())

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work())
    except SettingMissing as error:
        typer.echo(f"wardroom: {error}", err=True)
        raise typer.Exit(2) from error
