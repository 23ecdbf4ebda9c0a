"""The data directory: private, and one process at a time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.datadir import LOCK_FILE, DataDir, status
from deploy.local.errors import DataDirBusy, DataDirRefused

ROOT = Path(__file__).resolve().parents[2]
HOLDS = """
import pathlib, sys
from deploy.local.datadir import DataDir
directory = DataDir.open(pathlib.Path(sys.argv[1]))
directory.announce("http://127.0.0.1:8080")
print("held", flush=True)
sys.stdin.read()
"""
ENDS_WITH_AN_EPHEMERAL_ONE = """
from deploy.local.datadir import DataDir
with DataDir.open_ephemeral() as directory:
    (directory.directory("mongo") / "file").write_text("x")
    print(directory.path, flush=True)
    raise SystemExit(3)
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def _held_by_another_process(path: Path) -> Iterator[int]:
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder.pid
        finally:
            holder.kill()


def test_a_new_directory_and_those_inside_are_private(tmp_path: Path) -> None:
    with DataDir.open(tmp_path / "deep" / "data") as directory:
        assert _mode(directory.path) == 0o700
        assert _mode(directory.directory("nats")) == 0o700
        assert _mode(directory.path / LOCK_FILE) == 0o600
        assert directory.directory("nats") == directory.path / "nats"
        assert not directory.ephemeral


def test_a_second_process_is_told_where_the_first_runs(tmp_path: Path) -> None:
    with _held_by_another_process(tmp_path) as pid:
        with pytest.raises(DataDirBusy, match=r"answers at http://127\.0\.0\.1:8080") as busy:
            DataDir.open(tmp_path)
        assert (busy.value.pid, busy.value.url) == (pid, "http://127.0.0.1:8080")
        running = status(tmp_path)
        assert running is not None
        assert (running.pid, running.url) == (pid, "http://127.0.0.1:8080")
        assert running.started is not None


def test_before_it_answers_the_first_is_said_to_be_starting(tmp_path: Path) -> None:
    with DataDir.open(tmp_path):
        with pytest.raises(DataDirBusy, match="still starting") as busy:
            DataDir.open(tmp_path)
        assert (busy.value.pid, busy.value.url) == (os.getpid(), None)


def test_a_lock_that_a_crash_left_is_taken_again(tmp_path: Path) -> None:
    with _held_by_another_process(tmp_path) as pid:
        os.kill(pid, signal.SIGKILL)
    assert "8080" in (tmp_path / LOCK_FILE).read_text()
    assert status(tmp_path) is None
    with DataDir.open(tmp_path):
        running = status(tmp_path)
        assert running is not None
        assert (running.pid, running.url) == (os.getpid(), None)


def test_a_closed_directory_is_free_and_can_be_closed_again(tmp_path: Path) -> None:
    directory = DataDir.open(tmp_path)
    directory.announce("http://127.0.0.1:1")
    directory.close()
    directory.close()
    assert status(tmp_path) is None
    DataDir.open(tmp_path).close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_text_that_cannot_be_read_still_says_that_it_is_held(
    text: str, tmp_path: Path
) -> None:
    with DataDir.open(tmp_path):
        (tmp_path / LOCK_FILE).write_text(text)
        with pytest.raises(DataDirBusy, match="another process") as busy:
            DataDir.open(tmp_path)
        assert busy.value.pid is None


def test_nobody_runs_where_there_is_nothing(tmp_path: Path) -> None:
    assert status(tmp_path) is None
    assert status(tmp_path / "absent") is None


def test_an_empty_directory_that_is_open_to_others_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o755)
    with DataDir.open(path):
        assert _mode(path) == 0o700


def test_a_directory_of_other_things_that_is_open_to_others_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "home"
    path.mkdir(mode=0o755)
    (path / "letter").write_text("x")
    with pytest.raises(DataDirRefused, match="chmod 700"):
        DataDir.open(path)
    assert _mode(path) == 0o755
    assert [file.name for file in path.iterdir()] == ["letter"]


def test_our_own_directory_that_was_opened_to_others_is_made_private_again(tmp_path: Path) -> None:
    DataDir.open(tmp_path).close()
    tmp_path.chmod(0o755)
    with DataDir.open(tmp_path):
        assert _mode(tmp_path) == 0o700


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(DataDirRefused, match="is not a directory"):
        DataDir.open(path)
    with pytest.raises(DataDirRefused, match="can't be used"):
        DataDir.open(path / "below")


def test_another_users_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(DataDirRefused, match=f"belongs to the user with number {os.getuid()}"):
        DataDir.open(tmp_path)


def test_an_ephemeral_directory_is_private_and_goes_with_its_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_WITH_AN_EPHEMERAL_ONE],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert ended.returncode == 3
    path = Path(ended.stdout.strip())
    assert path.name.startswith("wardroom-")
    assert not path.exists()


def test_two_ephemeral_directories_do_not_meet() -> None:
    with DataDir.open_ephemeral() as one, DataDir.open_ephemeral() as two:
        assert one.path != two.path
        assert one.ephemeral
        assert _mode(one.path) == 0o700
