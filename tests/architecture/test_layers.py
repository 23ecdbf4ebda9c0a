"""What may import what, and who may touch the world outside."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.tree import PACKAGES, ROOT, code, imported, imports, is_under

WALLS: Final[dict[str, tuple[str, ...]]] = {
    "motor": ("store/driver.py",),
    "pymongo": ("store/", "deploy/"),
    "rfc8785": ("store/canonical.py",),
    "httpx": ("connectors/http.py",),
    "nats": ("actors/", "deploy/"),
    "fastapi": ("gateway/",),
    "nkeys": ("deploy/provision/", "gateway/nats_keys.py"),
    "argon2": ("gateway/passwords.py",),
    "ldap3": ("gateway/directory/ldap.py",),
    "jwt": ("gateway/tokens.py", "gateway/oidc/id_token.py"),
    "cryptography": ("store/sealing.py", "gateway/tokens.py", "deploy/"),
    "typer": ("deploy/cli/",),
    "pydantic_settings": ("deploy/settings.py",),
    "picows": ("deploy/bench/",),
}
"""Where a foreign package may be imported."""
ACTORS_CATCH: Final = "pymongo.errors."
"""The actors judge the outcome of a write, so they know its errors; nothing else of the driver."""
PROTOCOL_MAY_USE: Final = frozenset({*sys.stdlib_module_names, "pydantic", "orjson"})
ENVIRONMENT: Final = frozenset({"environ", "environb", "getenv", "getenvb", "putenv"})
USEFUL_TO_ALL: Final = frozenset(
    {"util", "utils", "helper", "helpers", "common", "manager", "managers", "core", "base", "misc"}
)


def test_the_contracts_of_the_layers_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run(
        [str(linter)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("package", WALLS)
def test_a_foreign_package_is_imported_behind_its_wall_only(package: str) -> None:
    outside = [
        f"{path}: {name}"
        for path, names in imports().items()
        if not is_under(path, WALLS[package])
        for name in names
        if name.split(".")[0] == package
        and not (name.startswith(ACTORS_CATCH) and path.startswith("actors/"))
    ]
    assert outside == []


def test_no_wall_stands_around_nothing() -> None:
    used = {name.split(".")[0] for names in imports().values() for name in names}
    assert WALLS.keys() - used == set()


def test_the_protocol_needs_the_standard_library_pydantic_and_orjson_only() -> None:
    foreign = [
        f"{path}: {name}"
        for path, names in imports().items()
        if path.startswith("actors/protocol/")
        for name in names
        if name.split(".")[0] not in PROTOCOL_MAY_USE and not name.startswith("actors.protocol")
    ]
    assert foreign == []


def test_only_deploy_reads_the_environment() -> None:
    readers = [
        f"{path}:{node.lineno}"
        for path, module in code().items()
        if not path.startswith("deploy/")
        for node in ast.walk(module)
        if (isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT)
        or (isinstance(node, ast.Name) and node.id in ENVIRONMENT)
        or (isinstance(node, ast.alias) and node.name in ENVIRONMENT)
    ]
    assert readers == []


def test_our_own_modules_are_imported_at_the_top_of_a_file() -> None:
    hidden = [
        f"{path}:{node.lineno}"
        for path, module in code().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and node not in module.body
        and any(name.split(".")[0] in PACKAGES for name in imported(node))
    ]
    assert hidden == [], "an import inside a function or a condition hides a cycle"


def test_no_module_is_named_after_being_useful_to_all() -> None:
    named = [
        path for path in code() if USEFUL_TO_ALL.intersection(Path(path).with_suffix("").parts)
    ]
    assert named == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path, module in code().items() if not ast.get_docstring(module)]
    assert silent == []
