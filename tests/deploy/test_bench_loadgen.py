"""The load generator's own accounting: it must notice everything a server can do wrong."""

import asyncio
import os
import threading
import time
from dataclasses import replace
from itertools import repeat
from typing import Any

import orjson
import pytest

from deploy.bench.client import RoomClient, Window
from deploy.bench.errors import BenchError
from deploy.bench.load import JOB, LoadJob, LoadResult, Login, run_load
from deploy.bench.loadgen import percentile_ms, run_job
from deploy.bench.measure import Watched
from tests.deploy.bench_gateway import FakeGateway, Fate, serving

CLIENTS = 3
SECONDS = 0.3


def job(url: str, **changes: Any) -> LoadJob:
    """A short closed loop in one room."""
    plain = LoadJob(
        url=url,
        run="run",
        rooms=("room-1",),
        clients=CLIENTS,
        seconds=SECONDS,
        in_flight=4,
        warmup_s=0.0,
        drain_s=0.5,
        tokens=("token",),
    )
    return replace(plain, **changes)


async def loaded(gateway: FakeGateway, **changes: Any) -> LoadResult:
    """The result of a short load on a gateway."""
    with serving(gateway) as url:
        return await run_job(job(url, **changes))


def all_acknowledged(result: LoadResult) -> set[str]:
    return {name for trail in result.trails for name in trail.acknowledged_ids()}


def flaws(result: LoadResult) -> dict[str, int]:
    """The counts that are zero when all is well and are not zero here."""
    counts = {
        "lost": result.lost,
        "doubled": result.doubled,
        "reordered": result.reordered,
        "altered": result.altered,
        "unacknowledged": result.unacknowledged,
    }
    return {name: count for name, count in {**counts, **result.faults}.items() if count}


@pytest.mark.paced
async def test_an_honest_server_gets_a_clean_report_in_which_everything_adds_up() -> None:
    gateway = FakeGateway()
    result = await loaded(gateway, rooms=("room-1", "room-2"))
    assert flaws(result) == {}
    assert result.sent == result.acknowledged == len(gateway.posts) > 0
    assert result.delivered == result.acknowledged * CLIENTS
    assert all_acknowledged(result) == gateway.acknowledged
    assert 0 < result.window_acknowledged <= result.acknowledged
    assert result.p50_ms is not None
    assert result.p999_ms is not None
    assert 0 < result.p50_ms <= result.p999_ms


@pytest.mark.paced
async def test_every_body_is_256_ascii_bytes_and_no_two_are_alike() -> None:
    gateway = FakeGateway()
    await loaded(gateway)
    bodies = [post["body"] for post in gateway.posts]
    assert {len(body.encode("ascii")) for body in bodies} == {256}
    assert len(set(bodies)) == len(bodies)


@pytest.mark.paced
async def test_frames_with_their_keys_in_another_order_are_understood() -> None:
    gateway = FakeGateway(
        encode=lambda entry: orjson.dumps(dict(reversed(entry.items())), option=orjson.OPT_INDENT_2)
    )
    result = await loaded(gateway)
    assert flaws(result) == {}
    assert result.delivered == result.acknowledged * CLIENTS > 0


@pytest.mark.paced
async def test_an_entry_that_one_socket_never_gets_is_lost() -> None:
    gateway = FakeGateway(deliver=lambda seq, to, frame: [] if (seq, to) == (5, 1) else [frame])
    assert flaws(await loaded(gateway)).pop("lost") == 1


@pytest.mark.paced
async def test_entries_that_stop_coming_are_lost_though_no_gap_is_seen() -> None:
    gateway = FakeGateway(deliver=lambda seq, to, frame: [] if seq > 9 and to == 2 else [frame])
    result = await loaded(gateway, in_flight=1)
    assert result.lost == gateway.rooms["room-1"].seq - 9 > 0


@pytest.mark.paced
async def test_an_entry_that_comes_twice_is_doubled() -> None:
    gateway = FakeGateway(
        deliver=lambda seq, to, frame: [frame] * (2 if (seq, to) == (5, 1) else 1)
    )
    assert flaws(await loaded(gateway)) == {"doubled": 1}


@pytest.mark.paced
async def test_a_message_that_is_committed_at_two_places_is_doubled() -> None:
    def fate(number: int) -> Fate:
        return "commit_twice" if number == 7 else "commit"

    assert flaws(await loaded(FakeGateway(fate=fate))) == {"doubled": 1}


@pytest.mark.paced
async def test_entries_in_the_wrong_order_are_told_from_lost_ones() -> None:
    held: list[bytes] = []

    def swap(seq: int, to: int, frame: bytes) -> list[bytes]:
        if (seq, to) == (5, 1):
            held.append(frame)
            return []
        return [frame, *held] if (seq, to) == (6, 1) else [frame]

    assert flaws(await loaded(FakeGateway(deliver=swap))) == {"reordered": 1}


@pytest.mark.paced
async def test_a_message_that_comes_back_with_another_text_is_altered() -> None:
    def encode(entry: dict[str, Any]) -> bytes:
        body = entry["body"][:-1] + "!" if entry["seq"] == 5 else entry["body"]
        return orjson.dumps({**entry, "body": body})

    assert flaws(await loaded(FakeGateway(encode=encode))) == {"altered": 1}


@pytest.mark.paced
async def test_messages_whose_acknowledgement_never_comes_are_named() -> None:
    def fate(number: int) -> Fate:
        return "commit_silently" if number % 10 == 0 else "commit"

    gateway = FakeGateway(fate=fate)
    result = await loaded(gateway)
    assert flaws(result) == {"unacknowledged": len(gateway.posts) // 10}
    assert all_acknowledged(result) == gateway.acknowledged


@pytest.mark.paced
async def test_messages_that_vanish_are_unacknowledged_and_nothing_is_lost() -> None:
    def fate(number: int) -> Fate:
        return "swallow" if number == 3 else "commit"

    assert flaws(await loaded(FakeGateway(fate=fate))) == {"unacknowledged": 1}


@pytest.mark.paced
async def test_refusals_are_counted_by_code_and_the_load_goes_on() -> None:
    def fate(number: int) -> Fate:
        return "reject" if number % 5 == 0 else "commit"

    gateway = FakeGateway(fate=fate)
    result = await loaded(gateway)
    assert flaws(result) == {}
    assert result.rejected == {"too_many": len(gateway.posts) // 5}
    assert result.sent == len(gateway.posts) == result.acknowledged + result.rejected["too_many"]
    assert all_acknowledged(result) == gateway.acknowledged


@pytest.mark.paced
async def test_a_closed_socket_is_a_fault_with_its_code_and_its_entries_are_lost() -> None:
    result = await loaded(FakeGateway(close_at=6))
    assert result.faults == {"close 4430": 1}
    assert result.lost > 0


@pytest.mark.paced
async def test_an_open_loop_sends_whether_or_not_anything_is_answered() -> None:
    result = await loaded(FakeGateway(fate=lambda number: "swallow"), rate_per_s=200.0)
    assert result.sent > CLIENTS
    assert result.unacknowledged == result.sent
    assert result.p50_ms is None


@pytest.mark.paced
async def test_an_open_loop_spreads_its_messages_over_all_clients() -> None:
    result = await loaded(FakeGateway(), rate_per_s=100.0)
    sent = [trail.sent for trail in result.trails]
    assert flaws(result) == {}
    assert max(sent) - min(sent) <= 1
    assert result.late_p99_ms is not None


async def test_latency_counts_from_when_a_message_was_due_not_from_when_it_was_sent() -> None:
    window = Window(opens_s=0.0)
    client = RoomClient("room-1", "run-0-", repeat(b"x" * 256), window)
    client.post(time.perf_counter() - 5.0)
    client._read(
        b'{"client_id":"run-0-0","type":"entry","room":"room-1","seq":1,"body":"@@run-0-0@@"}'
    )
    assert client.traffic.acknowledged == 1
    assert window.latencies_s[0] >= 5.0


@pytest.mark.parametrize(
    ("share", "milliseconds"), [(0.5, 50.0), (0.95, 95.0), (0.99, 99.0), (0.999, 100.0)]
)
def test_percentiles_are_of_the_nearest_rank(share: float, milliseconds: float) -> None:
    hundred_s = [number / 1000 for number in range(1, 101)]
    assert percentile_ms(hundred_s, share) == pytest.approx(milliseconds)


@pytest.mark.paced
async def test_the_generator_in_its_own_process_signs_in_and_accounts_the_servers() -> None:
    gateway = FakeGateway()
    with serving(gateway) as url:
        result = await run_load(
            job(
                url,
                tokens=(),
                logins=(Login("ann", "right"), Login("bob", "right")),
                watch=(Watched("gateway", os.getpid()),),
            )
        )
    assert flaws(result) == {}
    assert result.acknowledged == len(gateway.posts) > 0
    assert result.servers.cpu_s["gateway"] >= 0
    assert result.servers.rss_bytes["gateway"] > 0
    assert result.servers.own_cpu_s > 0


@pytest.mark.paced
async def test_a_refused_login_ends_the_load_with_its_reason_and_without_the_password() -> None:
    with serving(FakeGateway(password="another")) as url, pytest.raises(BenchError) as caught:
        await run_load(job(url, tokens=(), logins=(Login("ann", "hunter2"),)))
    assert "ann" in str(caught.value)
    assert "401" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.paced
async def test_a_refused_token_ends_the_load_before_it_begins() -> None:
    gateway = FakeGateway()
    with serving(gateway) as url, pytest.raises(BenchError, match="unauthenticated"):
        await run_load(job(url, tokens=("forged",)))
    assert gateway.posts == []


def test_a_job_shows_no_secret_and_survives_the_way_to_the_other_process() -> None:
    secret = job("http://h", tokens=("s3cret",), logins=(Login("ann", "hunter2"),))
    assert "s3cret" not in repr(secret)
    assert "hunter2" not in repr(secret)
    assert JOB.validate_json(JOB.dump_json(secret)) == secret


@pytest.mark.paced
async def test_no_thread_and_no_socket_is_left_after_a_load() -> None:
    gateway = FakeGateway()
    threads = set(threading.enumerate())
    with serving(gateway) as url:
        await run_job(job(url, rate_per_s=50.0))
        left = set(threading.enumerate()) - threads
        assert not [thread for thread in left if thread.name == "schedule"]
        for _ in range(CLIENTS):
            assert await asyncio.to_thread(gateway.left.acquire, timeout=5)
