"""`doctor`: what is missing or wrong on this machine, and what to type."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from connectors.http import TransportError, http_client
from deploy.context import READY_FILE, NoStack, Ready, default_data_dir
from deploy.local.binaries import MONGOD, NATS_SERVER, Program, find_binary
from deploy.local.errors import LocalError
from deploy.local.process import port_is_free

PYTHON_MIN: Final = (3, 11)
DISK_FREE_BYTES_MIN: Final = 2 * 1024**3
DEFAULT_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at; `remedy` says what to type when it is not well."""

    name: str
    well: bool
    found: str
    remedy: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def doctor(
        as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ) -> None:
        """Check this machine and the running system; 1 if anything is wrong."""
        results = [look() for look in LOOKS]
        if as_json:
            typer.echo(orjson.dumps([asdict(result) for result in results]).decode())
        else:
            for result in results:
                typer.echo(
                    f"  {'ok  ' if result.well else 'FAIL'}  {result.name:<12} {result.found}"
                )
                if not result.well:
                    typer.echo(f"        -> {result.remedy}")
        raise typer.Exit(0 if all(result.well for result in results) else 1)


def _python() -> Diagnosis:
    found = ".".join(map(str, sys.version_info[:3]))
    remedy = "install Python 3.11 or later, or point WARDROOM_PYTHON at one"
    return Diagnosis("python", sys.version_info[:2] >= PYTHON_MIN, found, remedy)


def _server(name: str, program: Program) -> Diagnosis:
    given = os.environ.get(program.setting)
    if given:
        return Diagnosis(name, True, f"given by {program.setting}")
    try:
        binary = find_binary(program)
    except LocalError as error:
        return Diagnosis(name, False, error.happened, error.todo)
    return Diagnosis(name, True, f"{binary.version_text} ({binary.origin}) {binary.path}")


def _disk() -> Diagnosis:
    place = default_data_dir()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free // 1024**2:,} MiB free at {place}"
    return Diagnosis(
        "disk",
        free >= DISK_FREE_BYTES_MIN,
        found,
        "free some space there, or set WARDROOM_DATA_DIR",
    )


def _data_dir() -> Diagnosis:
    path = default_data_dir()
    if not path.exists():
        return Diagnosis("data dir", True, f"{path} (not made yet)")
    private = not path.stat().st_mode & 0o077
    return Diagnosis("data dir", private, str(path), f"chmod 700 {path}")


def _port() -> Diagnosis:
    free = port_is_free(DEFAULT_PORT)
    found = f"{DEFAULT_PORT} is {'free' if free else 'taken: `up` will use the next one'}"
    return Diagnosis("port", True, found)


def _running() -> Diagnosis:
    try:
        ready = Ready.read(default_data_dir() / READY_FILE)
    except NoStack:
        return Diagnosis("system", True, "not running here")
    try:
        failing = asyncio.run(_failing(ready.url))
    except TransportError as error:
        return Diagnosis("system", False, f"{ready.url} does not answer: {error}", "./wardroom up")
    found = f"{ready.url} " + ("is ready" if not failing else f"failing: {failing}")
    logs = Path(ready.data_dir) / "logs"
    return Diagnosis("system", not failing, found, f"look into the logs in {logs}")


async def _failing(url: str) -> str:
    async with http_client(url) as http:
        answer = await http.get("/readyz")
        return "" if answer.status_code == 200 else answer.text


LOOKS: Final[tuple[Callable[[], Diagnosis], ...]] = (
    _python,
    lambda: _server("nats-server", NATS_SERVER),
    lambda: _server("mongod", MONGOD),
    _disk,
    _data_dir,
    _port,
    _running,
)
