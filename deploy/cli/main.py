"""Finds the command that is asked for and runs it."""

import importlib
import sys
from typing import Final

import typer

COMMANDS: Final = {
    "gateway": "deploy.cli.process",
    "actors": "deploy.cli.process",
    "connectors": "deploy.cli.process",
}
"""Command -> the module that registers it."""


def main() -> None:
    """The entry point."""
    app = typer.Typer(
        name="wardroom",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,
        help="Wardroom: the war room of a security operations centre, with evidence that holds.",
    )
    # With a callback even a single command keeps its name.
    app.callback()(_nothing_before_a_command)
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    modules = [COMMANDS[asked]] if asked in COMMANDS else sorted(set(COMMANDS.values()))
    for name in modules:
        importlib.import_module(name).register(app)
    app()


def _nothing_before_a_command() -> None:
    """The war room of a security operations centre, with evidence that holds."""
