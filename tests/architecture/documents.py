"""What documents say that is made from the code, and the code that they name."""

import importlib
import json
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import typer
import typer.main
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from deploy.cli.main import COMMANDS
from deploy.processes import VERSION
from deploy.settings import ProcessSettings
from gateway.app import GatewayServices, create_app, openapi_document
from gateway.metrics import GatewayMetrics
from gateway.settings import GatewaySettings
from gateway.tokens import TokenKeys
from tests.architecture.tree import ROOT, files
from tests.gateway.world import World

OPERATION: Final = ROOT / "docs" / "operation.md"
OPENAPI: Final = ROOT / "docs" / "openapi.json"
BEGIN: Final = "<!-- settings: begin -->\n"
END: Final = "<!-- settings: end -->\n"
PREFIX: Final = "WARDROOM_"


def markdown() -> list[Path]:
    """Every document."""
    return [path for path in files() if path.suffix == ".md"]


def setting_meanings() -> dict[str, str]:
    """What the docstring of the settings says of each."""
    text = (ProcessSettings.__doc__ or "").partition("Attributes:\n")[2]
    return dict(re.findall(r"^ {8}(\w+): (.+)$", text, re.MULTILINE))


def settings_table() -> str:
    """The settings of a process, as a table."""
    meanings = setting_meanings()
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {meanings[name]} |\n"
        for name, field in ProcessSettings.model_fields.items()
    ]
    return "".join(("| variable | default | meaning |\n|---|---|---|\n", *rows))


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "host and pid"
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "" if value in ("", None) else f"`{value}`"


def with_settings_table(text: str) -> str:
    """A document with the table as it should be between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{settings_table()}{END}{after}"


def application() -> FastAPI:
    """The gateway's application over a world in memory; it is never served."""
    world = World()
    key = Ed25519PrivateKey.generate()
    return create_app(
        GatewayServices(
            reader=world.reader,
            actors=world.actors,
            token_keys=TokenKeys("wardroom", "k1", key, {"k1": key.public_key()}),
            settings=GatewaySettings(version=VERSION),
            checks={},
            verifier=_no_verifier,
            metrics=GatewayMetrics(CollectorRegistry()),
        )
    )


async def _no_verifier(tenant: str, room: str) -> AsyncIterator[dict[str, Any]]:
    yield {"tenant": tenant, "room": room}


def openapi_text() -> str:
    """The OpenAPI document as it is kept."""
    return json.dumps(openapi_document(application()), indent=1, sort_keys=True) + "\n"


def command_line() -> Any:
    """All commands, as the command line itself knows them."""
    app = typer.Typer()
    for name in sorted(set(COMMANDS.values())):
        importlib.import_module(name).register(app)
    return typer.main.get_command(app)


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after every `./wardroom` of a document."""
    for line in re.findall(r"\./wardroom( [^`#\n]*)?", text):
        yield shlex.split(line.split("; then")[0])


def fault_of(words: list[str], tree: Any) -> str | None:
    """What is wrong with a command in a document; None if it can be typed."""
    for place, word in enumerate(words):
        if not hasattr(tree, "commands"):
            known = {option for param in tree.params for option in param.opts}
            passed_on = tree.context_settings.get("ignore_unknown_options")
            wrong = [option for option in words[place:] if option.startswith("--")]
            return next((o for o in wrong if o not in known and not passed_on), None)
        if word == "--help":
            return None
        tree = tree.commands.get(word)
        if tree is None:
            return word
    return None
