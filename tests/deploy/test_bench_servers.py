"""The bench on real servers: limits, rows against acknowledgements, and a whole measurement."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from deploy.bench.errors import BenchError
from deploy.bench.limits import limits
from deploy.bench.load import Login
from deploy.bench.measure import StoredRows, Watched, count_rows
from deploy.bench.run import run_bench
from deploy.bench.targets import BenchTargets
from deploy.provision.nats_identity import ensure_credentials
from store.mongo import RECORDS, tenant_database
from tests.deploy.bench_gateway import FakeGateway, serving
from tests.deploy.provisioned import Stack, new_tenant, whole_stack

pytestmark = pytest.mark.servers

SECONDS = 0.2
USERS = tuple(Login(f"user{number}", "right") for number in range(5))


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Both servers, as provisioned."""
    async with whole_stack(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture
def scratch(stack: Stack) -> Any:
    """A database that no other test uses."""
    with MongoClient[dict[str, Any]](stack.mongod.url) as mongo:
        yield mongo.get_database(
            f"scratch_{uuid4().hex}", write_concern=WriteConcern("majority", j=True)
        )


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("insert_one_journaled", {"insert_one_journaled_per_s", "insert_one_journaled_ms"}),
        ("insert_many", {"insert_many_512_per_s"}),
        ("insert_pair", {"pair_512_per_s"}),
        ("jetstream_publish", {"jetstream_publish_per_s", "jetstream_publish_1_per_s"}),
        ("fanout", {"fanout_per_s"}),
        ("record_cpu", {"record_cpu_us"}),
    ],
)
async def test_a_limit_is_measured_and_leaves_nothing_behind(
    stack: Stack, scratch: Database[dict[str, Any]], name: str, figures: set[str]
) -> None:
    async with stack.sign_in("provisioner") as session:
        for _ in range(2):
            found = await limits(scratch, session.client)[name](SECONDS)
            assert found.keys() == figures
            assert all(value > 0 for value in found.values())
        streams = await session.client.jetstream().streams_info()
        assert session.violations == []
    assert scratch.name not in {stream.config.name for stream in streams}
    assert scratch.list_collection_names() == []


def row(client_id: str, room: str = "r1", kind: str = "message") -> dict[str, Any]:
    return {"room": room, "client_id": client_id, "kind": kind, "actor": "u"}


def counted(records: Collection[dict[str, Any]], *acknowledged: str) -> StoredRows:
    return count_rows(records, "run1", ["r1", "r2"], acknowledged)


async def test_rows_are_counted_against_what_was_acknowledged(
    scratch: Database[dict[str, Any]],
) -> None:
    records = scratch[RECORDS]
    records.insert_many([row("run1-0-0"), row("run1-0-1"), row("run1-1-0", room="r2")])
    assert counted(records, "run1-0-0", "run1-0-1", "run1-1-0") == StoredRows(3, 0, 0)


async def test_an_acknowledged_message_that_is_not_stored_is_lost(
    scratch: Database[dict[str, Any]],
) -> None:
    records = scratch[RECORDS]
    records.insert_many([row("run1-0-0"), row("run1-0-2")])
    assert counted(records, "run1-0-0", "run1-0-1") == StoredRows(2, 1, 0)


async def test_a_message_stored_twice_is_doubled(scratch: Database[dict[str, Any]]) -> None:
    records = scratch[RECORDS]
    records.insert_many([row("run1-0-0"), row("run1-0-0"), row("run1-0-1")])
    assert counted(records, "run1-0-0", "run1-0-1") == StoredRows(3, 0, 1)


async def test_rows_of_other_loads_rooms_and_kinds_do_not_count(
    scratch: Database[dict[str, Any]],
) -> None:
    records = scratch[RECORDS]
    others = [row("run11-0-0"), row("run1-0-5", room="r3"), row("run1-0-6", kind="member_added")]
    records.insert_many([row("run1-0-0"), row("run10-0-0"), row("run2-0-0"), row("run1"), *others])
    assert counted(records, "run1-0-0") == StoredRows(1, 0, 0)


def targets(stack: Stack, url: str, tenant: str) -> BenchTargets:
    """A system whose gateway is at `url`, over the stack's servers."""
    return BenchTargets(
        url=url,
        tenant=tenant,
        admin=Login("admin", "right"),
        users=USERS,
        mongo_admin_url=stack.mongod.url,
        nats_url=stack.server.url,
        nats_creds_path=ensure_credentials(stack.secrets, "provisioner"),
        nats_monitoring_url=stack.server.monitoring_url,
        processes=(
            Watched("nats", stack.server.process.pid),
            Watched("mongod", stack.mongod.process.pid),
        ),
    )


def storing(records: Collection[dict[str, Any]], *, forget_every: int = 0) -> FakeGateway:
    """A gateway that keeps what it acknowledges, or nearly all of it."""
    gateway = FakeGateway()

    def store(entry: dict[str, Any]) -> None:
        if not forget_every or entry["seq"] % forget_every:
            records.insert_one({name: entry[name] for name in ("room", "client_id", "kind")})

    gateway.store = store
    return gateway


@pytest.mark.slow
async def test_a_whole_measurement_has_every_figure_and_finds_nothing_wrong(stack: Stack) -> None:
    tenant, said = new_tenant(), list[str]()
    with MongoClient[dict[str, Any]](stack.mongod.url) as mongo:
        gateway = storing(mongo[tenant_database(tenant)][RECORDS])
        with serving(gateway) as url:
            report = await run_bench(
                targets(stack, url, tenant), rounds=2, seconds=SECONDS, say=said.append
            )
        assert [name for name in mongo.list_database_names() if name.startswith("bench_")] == []
    printed = report.as_json()
    assert report.sound
    assert report.notes == []
    assert printed["workloads"].keys() == {"w1_k1", "w1_k16", "w2_200"}
    for figures in printed["workloads"].values():
        assert figures["acknowledged"] == figures["stored"] > 0
        assert figures["delivered"] == figures["acknowledged"] * 5
        assert figures["cpu_s_per_1000"] > 0
        assert {"cores_nats", "cores_mongod", "rss_mib_mongod_max"} <= figures.keys()
    assert len(printed["ratios"]) == 3 * 7
    assert len(gateway.made) == 20
    assert printed["durability"]["nats-server"] == "file storage, sync_interval: always"
    assert "means journaled" in printed["durability"]["mongod"]
    assert printed["versions"]["wardroom"] == "9.9.9"
    assert printed["versions"]["nats-server"].startswith("2.")
    assert said[0].endswith("workload w1_k1")
    assert said[-1].endswith("workload w1_k1")


async def test_a_server_that_acknowledges_what_it_does_not_store_is_found_out(
    stack: Stack,
) -> None:
    tenant = new_tenant()
    with MongoClient[dict[str, Any]](stack.mongod.url) as mongo:
        gateway = storing(mongo[tenant_database(tenant)][RECORDS], forget_every=2)
        with serving(gateway) as url:
            report = await run_bench(targets(stack, url, tenant), ["w2"], 1, seconds=0.5)
    figures = report.as_json()["workloads"]["w2_200"]
    assert not report.sound
    assert figures["lost"] == figures["acknowledged"] - figures["stored"] > 0


async def test_a_database_that_can_not_be_reached_is_said_so_without_its_password(
    stack: Stack,
) -> None:
    aim = targets(stack, "http://127.0.0.1:9", new_tenant())
    wrong = BenchTargets(
        url=aim.url,
        tenant=aim.tenant,
        admin=aim.admin,
        users=aim.users,
        mongo_admin_url=stack.mongod.url.replace("admin:", "admin:not-", 1),
        nats_url=aim.nats_url,
    )
    with pytest.raises(BenchError, match="can't look beneath") as caught:
        await run_bench(wrong)
    assert "not-" not in str(caught.value)
    assert "mongodb://" not in repr(wrong)
