"""Accounting of processes from /proc, and of acknowledgements against rows."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.bench.errors import BenchError
from deploy.bench.measure import Meter, Watched, cpu_seconds, machine_busy_seconds, resident_bytes

BURN_S = 0.2
BURN = f"""
import threading, time
def burn():
    while time.process_time() < {BURN_S}:
        pass
threads = [threading.Thread(target=burn) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("burnt", flush=True)
input()
"""


@contextmanager
def burner() -> Iterator[subprocess.Popen[str]]:
    """A process that waits to be told, burns processor time in two threads, says so, and stays."""
    process = subprocess.Popen(
        [sys.executable, "-c", "input()\n" + BURN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.communicate("\n")


def burn(process: subprocess.Popen[str]) -> None:
    """Let it burn, and wait until it has."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "burnt\n"


@pytest.mark.paced
def test_a_meter_reads_what_processes_used_since_its_start_all_threads_together() -> None:
    with burner() as one, burner() as other:
        burn(one)
        meter = Meter([Watched("actors", one.pid), Watched("gateway", other.pid)])
        burn(other)
        use = meter.read()
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    # Two counters, each cut to whole ticks, and a tick for what binary fractions make of 0.2 - 0.02.
    assert use.cpu_s["gateway"] >= BURN_S - 3 * tick_s
    assert use.cpu_s["actors"] <= tick_s
    assert use.cpu_total_s == sum(use.cpu_s.values())


@pytest.mark.paced
def test_processes_of_one_name_are_added_up() -> None:
    with burner() as one, burner() as other:
        meter = Meter([Watched("gateway", one.pid), Watched("gateway", other.pid)])
        burn(one)
        burn(other)
        use = meter.read()
        together = resident_bytes(Watched("", one.pid)) + resident_bytes(Watched("", other.pid))
    assert use.cpu_s.keys() == {"gateway"}
    assert use.cpu_s["gateway"] >= 2 * BURN_S - 4 / os.sysconf("SC_CLK_TCK")
    assert use.rss_bytes["gateway"] == pytest.approx(together, rel=0.5)


def test_a_process_name_with_brackets_and_spaces_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"7 (odd ) name) S 1 7 7 0 -1 0 0 0 0 0 {3 * ticks} {4 * ticks} 9 9 20 0 1 0 1 1 1"
    monkeypatch.setattr("pathlib.Path.read_text", lambda self: stat)
    assert cpu_seconds(Watched("odd", 7)) == 7.0


@pytest.mark.paced
def test_a_server_that_died_during_the_measurement_is_named() -> None:
    with burner() as process:
        meter = Meter([Watched("mongod", process.pid)])
    with pytest.raises(BenchError, match=rf"mongod \(pid {process.pid}\) ended"):
        meter.read()


def test_time_of_the_machine_never_runs_backwards() -> None:
    before = machine_busy_seconds()
    assert machine_busy_seconds() >= before > 0
