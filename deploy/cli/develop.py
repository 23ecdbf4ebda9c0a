"""`test` and `check`: what a developer and CI run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import typer

from deploy.context import ROOT

PASS_ON: Final = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
PACKAGES: Final = ("gateway", "actors", "connectors", "store", "deploy", "tests")
FAST_TESTS: Final = ("-m", "not servers and not slow and not paced", "--hypothesis-profile=few")
"""Seconds on two cores. `test` leaves none out, and lets Hypothesis try all its examples."""

ALL_TESTS: Final = ("-n", "2", "--dist", "loadfile")
"""Two workers, each with servers of its own; the tests of a file share some, so they stay together."""


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command(context_settings=PASS_ON)
    def test(context: typer.Context) -> None:
        """Run every test on the embedded servers; arguments go to pytest instead of its own."""
        raise typer.Exit(_run("pytest", *(context.args or ALL_TESTS)))

    @app.command()
    def check() -> None:
        """Format, lint, types, layers and fast tests: before every commit."""
        steps = (
            ("ruff", "format", "--check", "."),
            ("ruff", "check", "."),
            ("mypy", *PACKAGES),
            ("lint-imports",),
            ("pytest", "-q", "-n", "auto", *FAST_TESTS),
        )
        for step in steps:
            typer.echo(f"== {' '.join(step)}")
            status = _run(*step)
            if status:
                raise typer.Exit(status)


def _run(tool: str, *arguments: str) -> int:
    program = Path(sys.executable).with_name(tool)
    if not program.is_file():
        typer.echo(f"wardroom: {tool} is not installed; run './wardroom {sys.argv[1]}'", err=True)
        return 2
    # Fixed programs of our own environment; the arguments are the developer's.
    return subprocess.run(  # noqa: S603
        [str(program), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    ).returncode
