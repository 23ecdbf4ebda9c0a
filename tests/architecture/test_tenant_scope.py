"""A query is born with its tenant: no code can forget to say whose data it means."""

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.tree import code

MAKES_TENANTS: Final = "deploy/provision/"
"""It also manages the users of the database `admin`."""
RAW: Final = {
    "get_database": ("store/driver.py", "deploy/bench/run.py"),
    "get_default_database": (),
    "run_together": ("store/driver.py", "store/log.py"),
    "run_together_async": ("store/driver.py",),
}
"""Ways around the handle, and the only files that take them; the bench measures MongoDB bare."""


def unscoped(module: ast.Module) -> Iterator[int]:
    """Lines where a database is asked for by anything but its tenant or the platform's name."""
    for node in ast.walk(module):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr != "database":
            continue
        match node.args:
            case [ast.Call(func=ast.Name(id="tenant_database"))]:
                pass
            case [ast.Name(id="PLATFORM_DATABASE")]:
                pass
            case _:
                yield node.lineno


def test_a_database_is_asked_for_by_its_tenant_or_is_the_platforms() -> None:
    found = [
        f"{path}:{line}"
        for path, module in code().items()
        if not path.startswith(MAKES_TENANTS)
        for line in unscoped(module)
    ]
    assert found == []


@pytest.mark.parametrize("name", RAW)
def test_nobody_goes_around_the_handle(name: str) -> None:
    callers = {
        path
        for path, module in code().items()
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and node.attr == name
    }
    assert callers <= set(RAW[name])


@pytest.mark.parametrize(
    ("line", "scoped"),
    [
        ("connection.database(tenant_database(tenant))", True),
        ("self._connection.database(PLATFORM_DATABASE)", True),
        ("connection.database(tenant)", False),
        ("connection.database('wardroom_' + tenant)", False),
        ("connection.database(name=tenant)", False),
    ],
)
def test_the_rule_sees_what_it_should(line: str, scoped: bool) -> None:
    assert (list(unscoped(ast.parse(line))) == []) is scoped
