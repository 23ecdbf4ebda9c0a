"""What the commands share: who signs in where, and how an answer is shown."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import orjson
import typer

from actors.protocol.errors import OutcomeUnknown, Refusal
from actors.protocol.markings import CLEARANCES
from connectors.http import TransportError
from deploy.api import Api, ApiError
from deploy.context import READY_FILE, NoStack, Ready, default_data_dir
from deploy.provision.errors import ProvisionError
from deploy.telemetry import configure_logs

Result = TypeVar("Result")


def local_stack() -> Ready:
    """The stack that runs on the default data directory."""
    return Ready.read(default_data_dir() / READY_FILE)


def signed_in(user: str | None) -> Api:
    """A user of the environment (WARDROOM_URL, WARDROOM_USERNAME, WARDROOM_PASSWORD) or of the
    local stack; without a name the first tenant's analyst. A code of his second factor is that of
    WARDROOM_OTP, or is asked for where somebody can answer."""
    url = os.environ.get("WARDROOM_URL")
    otp = os.environ.get("WARDROOM_OTP")
    ask = _ask_code if sys.stdin.isatty() else None
    if url:
        name = user or os.environ.get("WARDROOM_USERNAME", "")
        return Api(url, name, os.environ.get("WARDROOM_PASSWORD", ""), otp, ask)
    ready = local_stack()
    _, person = ready.user(user)
    return Api(ready.url, person.username, person.password, otp, ask)


def _ask_code() -> str:
    # On the error stream: the other one may be read by a program.
    return str(typer.prompt("Code of your second factor", err=True))


def run(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run a command's work; what a user can meet is one line and a status, never a traceback."""

    configure_logs("error", "console", "cli")

    async def whole() -> Result:
        return await work()

    try:
        return asyncio.run(whole())
    except (NoStack, ProvisionError) as error:
        fail(str(error), 2)
    except (ApiError, Refusal, OutcomeUnknown) as error:
        fail(str(error), 1)
    except TransportError as error:
        fail(f"the server can't be reached: {error}; is './wardroom up' running?", 5)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def clearance_of(level: str) -> int:
    """The place of a clearance in the scale; ends the command if there is none of this name."""
    if level not in CLEARANCES:
        fail(f"there is no clearance {level!r}; there are: {', '.join(CLEARANCES)}", 3)
    return CLEARANCES.index(level)


def fail(message: str, status: int) -> NoReturn:
    """Say what went wrong and leave."""
    typer.echo(f"wardroom: {message}", err=True)
    raise typer.Exit(status)


def show(answer: dict[str, Any], *, as_json: bool, line: str) -> None:
    """Print an answer for a program or for a person."""
    typer.echo(orjson.dumps(answer).decode() if as_json else line)
