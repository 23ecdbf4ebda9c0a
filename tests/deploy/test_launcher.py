"""The launcher, in checkouts of its own: with a stub for the CLI and lock files of tiny wheels."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NEEDED_TOOLS = (
    *("sh", "cat", "cksum", "cmp", "cp", "dirname", "mkdir", "mv", "readlink", "rm", "tr"),
)
TIMEOUT_S = 100
CAP_DAC_OVERRIDE = 1
STUB_CLI = """
import importlib.metadata, json, sys
json.dump({
    "arguments": sys.argv[1:],
    "prefix": sys.prefix,
    "json_from": json.__file__,
    "installed": sorted(d.name for d in importlib.metadata.distributions() if d.name.startswith("tin")),
}, sys.stdout)
sys.exit(int(sys.argv[2]) if "exit" in sys.argv[1:2] else 0)
"""
OBEYS_PERMISSIONS = f"""
import ctypes, os, sys
# PR_CAPBSET_DROP, capabilities(7): root may no longer write where the mode forbids it
ctypes.CDLL(None).prctl(24, ctypes.c_ulong({CAP_DAC_OVERRIDE}), 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Checkout:
    """A directory with a launcher in it, and a home for who runs it."""

    root: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "WARDROOM_PYTHON": sys.executable,
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run the launcher; `changes` are to its environment."""
        return _run([str(self.root / "wardroom"), *arguments], {**self.environment, **changes})

    def answer(self, *arguments: str, **changes: str) -> dict[str, Any]:
        """What the stub of the CLI prints, of a run that must succeed."""
        return _answer(self.run(*arguments, **changes))

    def lock(self, name: str, wheel: Path) -> None:
        """Let a lock file ask for one wheel."""
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        package = wheel.name.partition("-")[0]
        line = f"{package} @ {wheel.as_uri()} --hash=sha256:{digest}\n"
        (self.root / name).write_text(line)


def _run(
    command: list[str], environment: dict[str, str], directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _answer(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def _wheel(directory: Path, name: str, version: str = "1.0") -> Path:
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": "",
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{information}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in {**files, f"{information}/RECORD": record}.items():
            archive.writestr(file, text)
    return wheel


def _new_checkout(directory: Path) -> Checkout:
    root, home = directory / "check out", directory / "home"
    (root / "deploy").mkdir(parents=True)
    (root / "tests").mkdir()
    home.mkdir()
    shutil.copy(ROOT / "wardroom", root / "wardroom")
    (root / "deploy" / "__init__.py").touch()
    (root / "deploy" / "cli.py").write_text(STUB_CLI)
    checkout = Checkout(root, home)
    checkout.lock("requirements.lock", _wheel(directory, "tiny"))
    checkout.lock("tests/requirements.lock", _wheel(directory, "tinytest"))
    return checkout


def _tools(directory: Path) -> str:
    """A PATH with what the launcher needs and no Python."""
    directory.mkdir()
    for tool in NEEDED_TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"{tool} is missing: install coreutils and diffutils"
        (directory / tool).symlink_to(found)
    return str(directory)


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A checkout in which nothing has been run."""
    return _new_checkout(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout that `installed` copies; nothing else may touch it."""
    checkout = _new_checkout(tmp_path_factory.mktemp("template"))
    checkout.answer("up")
    return checkout


@pytest.fixture
def installed(tmp_path: Path, template: Checkout) -> Checkout:
    """A checkout after one `wardroom up`."""
    shutil.copytree(template.root, tmp_path / "check out", symlinks=True)
    (tmp_path / "home").mkdir()
    return Checkout(tmp_path / "check out", tmp_path / "home")


def test_the_shell_finds_no_mistake_in_it() -> None:
    assert _run(["sh", "-n", str(ROOT / "wardroom")], {}).stderr == ""
    assert os.access(ROOT / "wardroom", os.X_OK)


def test_the_first_use_makes_the_environment_and_says_so(fresh: Checkout) -> None:
    ended = fresh.run("up", "--data-dir", "a b", "")
    answer = _answer(ended)
    assert answer["arguments"] == ["up", "--data-dir", "a b", ""]
    assert answer["prefix"] == str(fresh.root / ".venv")
    assert answer["installed"] == ["tiny"]
    assert ended.stderr.splitlines() == [
        f"wardroom: making a Python environment in {fresh.root}/.venv with {sys.executable}"
        " (first use)",
        "wardroom: installing the packages of requirements.lock",
    ]


def test_a_later_use_starts_at_once_without_looking_for_python(
    installed: Checkout, tmp_path: Path
) -> None:
    ended = installed.run("up", PATH=_tools(tmp_path / "bin"), WARDROOM_PYTHON="/nowhere")
    assert ended.stderr == ""
    assert _answer(ended)["prefix"] == str(installed.root / ".venv")


def test_the_exit_status_is_that_of_the_command(installed: Checkout) -> None:
    assert installed.run("exit", "3").returncode == 3


def test_a_changed_lock_is_installed_into_the_environment_that_is_there(
    installed: Checkout, tmp_path: Path
) -> None:
    installed.lock("requirements.lock", _wheel(tmp_path, "tinier"))
    ended = installed.run("up")
    assert _answer(ended)["installed"] == ["tinier", "tiny"]
    assert ended.stderr.splitlines() == ["wardroom: installing the packages of requirements.lock"]
    assert installed.run("up").stderr == ""


def test_the_packages_of_the_tests_come_when_they_are_needed(installed: Checkout) -> None:
    assert installed.answer("up")["installed"] == ["tiny"]
    for command in ("test", "check", "bench"):
        assert installed.answer(command)["installed"] == ["tiny", "tinytest"]
    (installed.root / "tests" / "requirements.lock").unlink()
    assert installed.run("up").stderr == ""


def test_it_works_through_links_and_imports_nothing_from_where_it_is_called(
    installed: Checkout, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    for name in ("json.py", "deploy.py", "venv.py"):
        (elsewhere / name).write_text("raise SystemExit('imported from the wrong place')")
    (elsewhere / "first").symlink_to("../check out/wardroom")
    (elsewhere / "second").symlink_to(elsewhere / "first")
    environment = {**installed.environment, "PYTHONPATH": str(elsewhere), "CDPATH": "/"}
    installed.lock("requirements.lock", _wheel(tmp_path, "tinier"))
    for link in ("./first", "./second"):
        answer = _answer(_run([link, "up"], environment, elsewhere))
        assert answer["prefix"] == str(installed.root / ".venv")
        assert not answer["json_from"].startswith(str(elsewhere))


def _run_obeying_permissions(checkout: Checkout, **changes: str) -> dict[str, Any]:
    launcher = [str(checkout.root / "wardroom"), "up"]
    command = [sys.executable, "-c", OBEYS_PERMISSIONS, *launcher]
    checkout.root.chmod(0o555)
    try:
        return _answer(_run(command, {**checkout.environment, **changes}))
    finally:
        checkout.root.chmod(0o755)


def test_who_may_not_write_in_the_checkout_gets_an_environment_in_the_cache(
    fresh: Checkout, tmp_path: Path
) -> None:
    answer = _run_obeying_permissions(fresh, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert Path(answer["prefix"]).is_relative_to(tmp_path / "cache" / "wardroom")
    assert answer["installed"] == ["tiny"]
    assert not (fresh.root / ".venv").exists()
    again = _run_obeying_permissions(fresh, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert again == answer


def test_who_may_not_write_in_the_checkout_uses_its_environment_when_that_is_ready(
    installed: Checkout,
) -> None:
    answer = _run_obeying_permissions(installed)
    assert answer["prefix"] == str(installed.root / ".venv")
    assert list(installed.home.iterdir()) == []


def test_two_first_uses_at_once_make_one_environment(fresh: Checkout) -> None:
    both = [
        subprocess.Popen(
            [str(fresh.root / "wardroom"), "up"],
            env=fresh.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = ""
    for launcher in both:
        out, err = launcher.communicate(timeout=TIMEOUT_S)
        assert json.loads(out)["installed"] == ["tiny"], err
        said += err
    assert said.count("making a Python environment") == 1
    assert said.count("installing the packages") == 1


def test_an_environment_made_by_hand_is_adopted(installed: Checkout) -> None:
    for stamp in (installed.root / ".venv").glob(".installed-*"):
        stamp.unlink()
    (installed.root / ".venv" / "mine").touch()
    ended = installed.run("up")
    assert ended.stderr.splitlines() == ["wardroom: installing the packages of requirements.lock"]
    assert (installed.root / ".venv" / "mine").exists()


def test_an_environment_that_a_kill_left_half_made_is_made_anew(installed: Checkout) -> None:
    venv = installed.root / ".venv"
    (venv / ".installing").touch()
    (venv / ".installed-requirements.lock").unlink()
    (venv / "half").touch()
    ended = installed.run("up")
    assert _answer(ended)["installed"] == ["tiny"]
    assert "making a Python environment" in ended.stderr
    assert not (venv / "half").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(installed: Checkout) -> None:
    python = installed.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    ended = installed.run("up")
    assert _answer(ended)["installed"] == ["tiny"]
    assert "making a Python environment" in ended.stderr


def test_packages_that_do_not_match_their_hashes_are_not_installed(
    installed: Checkout, tmp_path: Path
) -> None:
    wheel = _wheel(tmp_path, "tinier")
    installed.lock("requirements.lock", wheel)
    good = wheel.read_bytes()
    wheel.write_bytes(good + b"more")
    ended = installed.run("up")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in ended.stderr
    assert "wardroom: the packages of requirements.lock could not be installed" in ended.stderr
    wheel.write_bytes(good)
    repaired = installed.run("up")
    assert _answer(repaired)["installed"] == ["tinier", "tiny"]
    assert "making" not in repaired.stderr


def test_without_python_it_says_what_to_install(fresh: Checkout, tmp_path: Path) -> None:
    ended = fresh.run("up", PATH=_tools(tmp_path / "bin"), WARDROOM_PYTHON="")
    assert ended.returncode == 1
    assert "Python 3.11 or later is needed (found: none)" in ended.stderr
    assert "apt install python3" in ended.stderr


def test_a_python_that_is_too_old_is_named(fresh: Checkout, tmp_path: Path) -> None:
    path = _tools(tmp_path / "bin")
    old = "case $* in *platform*) echo 3.9.2 ;; *) exit 1 ;; esac"
    _script(tmp_path / "bin" / "python3", old)
    ended = fresh.run("up", PATH=path, WARDROOM_PYTHON="")
    assert ended.returncode == 1
    assert "(found: 3.9.2)" in ended.stderr


def test_a_newer_python_beside_an_old_one_is_found(fresh: Checkout, tmp_path: Path) -> None:
    path = _tools(tmp_path / "bin")
    _script(tmp_path / "bin" / "python3", "exit 1")
    _script(tmp_path / "bin" / "python3.13", "case $* in *ensurepip*) exit 1 ;; esac")
    ended = fresh.run("up", PATH=path, WARDROOM_PYTHON="")
    assert "python3.13 has no venv module" in ended.stderr


def test_a_python_that_was_built_for_speed_is_preferred(fresh: Checkout, tmp_path: Path) -> None:
    path = _tools(tmp_path / "bin")
    for place, verdict in (("bin", 1), ("system", 0)):
        (tmp_path / place).mkdir(exist_ok=True)
        judged = f'case $* in *optimizations*) exit {verdict} ;; esac\nexec "{sys.executable}" "$@"'
        _script(tmp_path / place / "python3", judged)
    well_built = tmp_path / "system" / "python3"
    ended = fresh.run("up", PATH=f"{path}:{well_built.parent}", WARDROOM_PYTHON="")
    assert f"with {well_built} (first use)" in ended.stderr
    assert ended.returncode == 0


def test_a_python_that_was_not_built_for_speed_is_better_than_none(
    fresh: Checkout, tmp_path: Path
) -> None:
    path = _tools(tmp_path / "bin")
    slow = f'case $* in *optimizations*) exit 1 ;; esac\nexec "{sys.executable}" "$@"'
    _script(tmp_path / "bin" / "python3", slow)
    ended = fresh.run("up", PATH=path, WARDROOM_PYTHON="")
    assert f"with {tmp_path}/bin/python3 (first use)" in ended.stderr
    assert ended.returncode == 0


def test_a_wrong_wardroom_python_is_not_replaced_by_another(fresh: Checkout) -> None:
    ended = fresh.run("up", WARDROOM_PYTHON="/nowhere/python3")
    assert ended.returncode == 1
    assert "WARDROOM_PYTHON is /nowhere/python3, which is not a Python 3.11" in ended.stderr


def test_a_python_without_the_venv_module_is_told_what_to_install(
    fresh: Checkout, tmp_path: Path
) -> None:
    bare = tmp_path / "bare-python"
    _script(bare, f'case $* in *ensurepip*) exit 1 ;; esac\nexec "{sys.executable}" "$@"')
    ended = fresh.run("up", WARDROOM_PYTHON=str(bare))
    assert ended.returncode == 1
    assert "has no venv module; on Debian or Ubuntu: apt install python3-venv" in ended.stderr
    assert not (fresh.root / ".venv").exists()
