"""Sign-ins under names that nobody has: the tenant's audit trail says that there were some, not which."""

import orjson
import pytest

from actors.protocol.ids import TENANT_ROOM
from gateway.failed_sign_ins import FailureRecords
from gateway.limits import FAILURES_RECORDED_S
from gateway.tasks import Background
from tests.gateway.serving import PASSWORD, peopled, served
from tests.gateway.test_lockout import Clock
from tests.gateway.test_sign_in_guard import failures, login
from tests.gateway.world import World, eventually, tenant_command

STRANGERS = (("acme", ""),)


async def test_a_name_that_nobody_has_makes_a_record_of_the_tenant_that_was_meant() -> None:
    world = peopled("acme", "globex")
    async with served(world) as it:
        # Somebody who types his password into the wrong field.
        typed = f"{PASSWORD}@acme"
        assert (await login(it, typed, "ana")).status_code == 401
        await eventually(lambda: len(failures(world)) == 1)
        assert (
            failures(world)[0] | {"user": "", "reason": "unknown_user", "count": 1}
            == (failures(world)[0])
        )
        assert failures(world)[0]["address"] == "127.0.0.1"
        assert failures(world, "globex") == []
        contents = [entry.content or b"" for entry in world.at("acme", TENANT_ROOM).entries]
        assert not any(orjson.dumps(PASSWORD)[1:-1] in content for content in contents)


@pytest.mark.parametrize("name", ["nobody", "nobody@nowhere", "@acme"])
async def test_where_no_tenant_is_meant_nothing_is_recorded(name: str) -> None:
    world = peopled("acme", "globex")
    async with served(world) as it:
        assert (await login(it, name)).status_code == 401
        await login(it, "bob@globex")
        await eventually(lambda: len(failures(world, "globex")) == 1)
        assert failures(world, "globex")[0]["user"] == "usr_bob"
        assert failures(world) == []


async def test_a_bare_name_is_meant_for_the_only_tenant() -> None:
    world = peopled("acme")
    async with served(world) as it:
        assert (await login(it, "nobody")).status_code == 401
        await eventually(lambda: len(failures(world)) == 1)
        assert failures(world)[0]["user"] == ""


async def test_many_names_and_a_lock_make_one_record_a_minute_for_each_reason() -> None:
    world, clock = peopled("acme", "globex"), Clock()
    async with served(world, clock=clock, login_failures_account=2) as it:
        for name in ("a", "b", "c"):
            for _ in range(2):
                await login(it, f"{name}@acme")
        locked = await login(it, "a@acme")
        assert locked.status_code == 429
        await eventually(lambda: len(failures(world)) == 2)
        assert [one["reason"] for one in failures(world)] == ["unknown_user", "locked"]


async def test_what_was_counted_of_strangers_is_recorded_when_its_minute_is_over() -> None:
    world, clock = World("acme"), Clock()
    async with Background() as background:
        records = FailureRecords(world.actors, background.spawn, clock)
        records.note(STRANGERS, "192.0.2.1", "unknown_user")
        await eventually(lambda: len(failures(world)) == 1)
        for _ in range(39):
            records.note(STRANGERS, "192.0.2.1", "unknown_user")
        clock.now += FAILURES_RECORDED_S
        await records.sweep()
    assert [one["count"] for one in failures(world)] == [1, 39]


async def test_a_disabled_user_who_tries_is_named() -> None:
    world = peopled("acme")
    world.commit("acme", TENANT_ROOM, tenant_command(type="disable_user", user="usr_bob"))
    async with served(world) as it:
        assert (await login(it, "bob@acme", PASSWORD)).status_code == 401
        await eventually(lambda: len(failures(world)) == 1)
        found = failures(world)[0]
        assert (found["user"], found["reason"]) == ("usr_bob", "not_active")
