"""Preparing a load: sessions and rooms through the public surface."""

import pytest

from deploy.bench.errors import BenchError
from deploy.bench.load import Login
from deploy.bench.setup import log_in, make_rooms
from deploy.bench.targets import WORKLOADS, chosen
from tests.deploy.bench_gateway import FakeGateway, serving

ADMIN = Login("admin", "right")
USERS = (Login("ann", "right"), Login("bob", "right"))


async def test_tokens_come_in_the_order_of_the_logins() -> None:
    with serving(FakeGateway()) as url:
        assert await log_in(url, USERS) == ("token-ann", "token-bob")


async def test_every_room_gets_every_user_as_a_member() -> None:
    gateway = FakeGateway()
    with serving(gateway) as url:
        assert await make_rooms(url, ADMIN, USERS, ["one", "two"]) == ("room-1", "room-2")
    members = {"id-ann": "member", "id-bob": "member"}
    assert gateway.made == [{"name": name, "members": members} for name in ("one", "two")]


async def test_a_server_that_refuses_is_quoted() -> None:
    with serving(FakeGateway(password="another")) as url, pytest.raises(BenchError, match="401"):
        await make_rooms(url, ADMIN, USERS, ["one"])


def test_asking_for_w1_asks_for_both_its_depths() -> None:
    assert [load.name for load in chosen(["w1"])] == ["w1_k1", "w1_k16"]
    assert [load.name for load in chosen([])] == ["w1_k1", "w1_k16", "w2_200"]


def test_an_unknown_workload_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BenchError, match=", ".join(WORKLOADS)):
        chosen(["w9"])
