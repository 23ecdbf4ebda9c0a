"""Finds the command that is asked for and runs it."""

import importlib
import sys
from typing import Final

import typer

COMMANDS: Final = {
    "gateway": "deploy.cli.process",
    "actors": "deploy.cli.process",
    "connectors": "deploy.cli.process",
    "provisioner": "deploy.cli.process",
    "up": "deploy.cli.up",
    "room": "deploy.cli.talk",
    "event": "deploy.cli.talk",
    "verify": "deploy.cli.evidence",
    "provision": "deploy.cli.administration",
    "tenant": "deploy.cli.administration",
    "user": "deploy.cli.users",
    "token": "deploy.cli.administration",
    "keys": "deploy.cli.keys",
    "audit": "deploy.cli.audit",
    "bench": "deploy.cli.bench",
    "doctor": "deploy.cli.doctor",
    "test": "deploy.cli.develop",
    "check": "deploy.cli.develop",
}
"""Command -> the module that registers it."""


def main() -> None:
    """The entry point."""
    app = typer.Typer(
        name="wardroom",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Wardroom: the war room of a security operations centre, with evidence that holds.",
    )
    # With a callback even a single command keeps its name.
    app.callback()(_nothing_before_a_command)
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    modules = [COMMANDS[asked]] if asked in COMMANDS else sorted(set(COMMANDS.values()))
    for name in modules:
        importlib.import_module(name).register(app)
    app(prog_name="wardroom")


def _nothing_before_a_command() -> None:
    """The war room of a security operations centre, with evidence that holds."""
