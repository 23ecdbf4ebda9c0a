"""The files of the repository, as the rules look at them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("gateway", "actors", "connectors", "store", "deploy")


def ignored_names() -> frozenset[str]:
    """Directories that are nobody's work: those in .gitignore, and git's own."""
    lines = (ROOT / ".gitignore").read_text().split()
    return frozenset({".git", *(line.rstrip("/") for line in lines if line.endswith("/"))})


def files(place: Path = ROOT) -> Iterator[Path]:
    """Every file that is, or could be, under version control."""
    ignored = ignored_names()
    for path in sorted(place.iterdir()):
        if path.name in ignored or path.suffix in (".pyc", ".egg-info"):
            continue
        if path.is_dir():
            yield from files(path)
        else:
            yield path


def relative(path: Path) -> str:
    """A path as people write it."""
    return path.relative_to(ROOT).as_posix()


@cache
def code() -> dict[str, ast.Module]:
    """Every module of the five packages, by its path."""
    return parsed(PACKAGES)


@cache
def code_of_tests() -> dict[str, ast.Module]:
    """Every module of the tests, by its path."""
    return parsed(("tests",))


@cache
def imports() -> dict[str, tuple[str, ...]]:
    """What every module of the five packages imports, by its path."""
    return {path: tuple(imported(module)) for path, module in code().items()}


def parsed(packages: tuple[str, ...]) -> dict[str, ast.Module]:
    """Modules by path."""
    return {
        relative(path): ast.parse(path.read_text())
        for package in packages
        for path in files(ROOT / package)
        if path.suffix == ".py"
    }


def imported(module: ast.AST) -> Iterator[str]:
    """The full names of all that a module imports, wherever the import stands."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_under(path: str, places: tuple[str, ...]) -> bool:
    """Whether a path is one of the places, or in one that ends with a slash."""
    return any(
        path == place or (place.endswith("/") and path.startswith(place)) for place in places
    )
