"""What the repository holds: its top level, the size of its parts, and words that don't belong in it."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.tree import ROOT, code, code_of_tests, files, ignored_names, relative

TOP_LEVEL: Final = frozenset(
    {
        *("gateway", "actors", "connectors", "store", "tests", "deploy", "docs", ".ci"),
        *("pyproject.toml", "README.md", "wardroom", "LICENSE", "requirements.lock"),
    }
)
FILE_LINES_AIM: Final = 400
FILE_LINES_MAX: Final = 500
FUNCTION_LINES_AIM: Final = 50
FUNCTION_LINES_MAX: Final = 80

# In two parts each, or this file would be the first to be found.
INDEX_HOSTS: Final = "|".join(
    re.escape("".join(parts))
    for parts in (("py", "pi.org"), ("python", "hosted.org"), ("npm", "js."), ("index", "-url"))
)
FOREIGN: Final = {
    "an address of a package index": re.compile(INDEX_HOSTS, re.IGNORECASE),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:work|home/\w+)(?=[/\s'\"`),:;]|$)"),
    "a place outside the repository": re.compile(re.escape("../" + "shared")),
    "a number of a ticket": re.compile(r"\b(?:iss" + r"ues?|ticket|fixes|closes) #?\d+\b", re.I),
}
MAY_NAME_OUTSIDE: Final = ("a place outside the repository", "tests/")


def test_the_top_level_holds_what_belongs_there_and_nothing_else() -> None:
    found = {path.name for path in ROOT.iterdir()} - ignored_names()
    assert found >= TOP_LEVEL
    assert {name for name in found - TOP_LEVEL if not name.startswith(".")} == set()


def test_what_is_run_can_be_run() -> None:
    assert (ROOT / "wardroom").stat().st_mode & 0o111
    assert (ROOT / ".ci" / "run").read_text().startswith("#!/usr/bin/env bash\n")


def test_the_packages_of_the_ci_are_names_one_a_line() -> None:
    lines = (ROOT / ".ci" / "packages").read_text().splitlines()
    assert lines == sorted(set(lines))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line) for line in lines)


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_holds(what: str) -> None:
    exempt, place = MAY_NAME_OUTSIDE
    found = [
        f"{relative(path)}:{number}: {line.strip()[:120]}"
        for path in files()
        if not (what == exempt and relative(path).startswith(place))
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FOREIGN[what].search(line)
    ]
    assert found == []


def functions(module: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Every function: its name, its line, and the lines of its body without the docstring."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield node.name, node.lineno, lines


def longest(modules: dict[str, ast.Module]) -> list[tuple[int, str]]:
    """Functions by length, the longest first."""
    return sorted(
        (
            (lines, f"{path}:{line} {name}")
            for path, module in modules.items()
            for name, line, lines in functions(module)
        ),
        reverse=True,
    )


def line_counts(modules: dict[str, ast.Module]) -> list[tuple[int, str]]:
    """Files by length, the longest first."""
    return sorted(((len(Path(ROOT, p).read_text().splitlines()), p) for p in modules), reverse=True)


def report(what: str, aim: int, found: list[tuple[int, str]]) -> None:
    """Say what is longer than we aim at; `pytest -rP` shows it."""
    for lines, name in found:
        if lines > aim:
            sys.stdout.write(f"{what} of {lines} lines: {name}\n")


def test_no_file_is_too_long_to_be_read() -> None:
    found = line_counts({**code(), **code_of_tests()})
    report("file", FILE_LINES_AIM, found)
    assert [item for item in found if item[0] > FILE_LINES_MAX] == []


def test_no_function_is_too_long_to_be_read() -> None:
    found = longest({**code(), **code_of_tests()})
    report("function", FUNCTION_LINES_AIM, found)
    assert [item for item in found if item[0] > FUNCTION_LINES_MAX] == []
