"""Who looks after the users of directories, and that one tenant's trouble is not another's."""

from typing import Any

from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from gateway.directories import Directories
from gateway.directory.addresses import judged_addresses
from gateway.directory_people import DirectoryPeople
from gateway.directory_sync import DirectorySync
from tests.gateway.world import World, tenant_command

SETTINGS: dict[str, Any] = {
    "servers": ["ldaps://127.0.0.1:1"],
    "flavour": "ldap",
    "base_dn": "dc=corp,dc=test",
}


def gateway_of(world: World) -> DirectorySync:
    """What a gateway of its own has to look with."""
    directories = Directories(judged_addresses(loopback=True))
    people = DirectoryPeople(world.actors, directories)
    return DirectorySync(world.reader, world.actors, directories, people, every_s=300)


def with_directory(*tenants: str, **settings: Any) -> World:
    """Tenants that have a directory, which nobody can reach, and one user of it each."""
    world = World(*tenants)
    for tenant in tenants:
        kept = {**SETTINGS, **settings}
        put = tenant_command(type="put_directory", settings=kept, secret="")
        world.commit(tenant, TENANT_ROOM, put)
        names = {"user": "usr_ada", "username": "ada", "display_name": "Ada"}
        facts = {"user_role": "analyst", "password_hash": "", "directory_key": "key"}
        world.commit(tenant, TENANT_ROOM, tenant_command(type="create_user", **names, **facts))
    return world


def looked_at(logged: list[EventDict]) -> list[str]:
    """The tenants that were looked at, in vain or not."""
    ends = ("directory.synchronised", "directory.sync_stopped", "directory.sync_failed")
    return sorted(event["tenant"] for event in logged if event["event"] in ends)


async def test_one_gateway_looks_after_a_tenant_at_a_time(logged: list[EventDict]) -> None:
    world = with_directory("acme", "globex")
    first, second = gateway_of(world), gateway_of(world)
    await first.look(7)
    await second.look(7)
    assert looked_at(logged) == ["acme", "globex"]
    await second.look(8)
    assert looked_at(logged) == ["acme", "acme", "globex", "globex"]


async def test_a_tenant_that_never_had_a_directory_is_left_alone(logged: list[EventDict]) -> None:
    world = World("acme")
    await gateway_of(world).look(1)
    assert looked_at(logged) == []
    assert world.used_keys == set()


async def test_a_directory_that_can_not_be_asked_changes_nobody(logged: list[EventDict]) -> None:
    world = with_directory("acme")
    before = world.at("acme", TENANT_ROOM).head
    await gateway_of(world).look(1)
    assert looked_at(logged) == ["acme"]
    assert world.at("acme", TENANT_ROOM).head == before


async def test_settings_that_are_not_understood_are_one_tenants_trouble(
    logged: list[EventDict],
) -> None:
    """Those of a later version, say, after somebody has gone back to this one."""
    world = with_directory("acme", flavour="of a later version")
    other = with_directory("globex")
    world.tenants = ("acme", "globex")
    world.rooms |= other.rooms
    removed = tenant_command(type="remove_directory")
    world.commit("globex", TENANT_ROOM, removed)
    await gateway_of(world).look(1)
    assert looked_at(logged) == ["acme", "globex"]
    users = {
        tenant: world.at(tenant, TENANT_ROOM).state.users["usr_ada"].suspended
        for tenant in world.tenants
    }
    # globex has no directory any more, so nobody vouches for its user.
    assert users == {"acme": False, "globex": True}
