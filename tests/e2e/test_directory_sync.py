"""Users whom the directory has disabled or forgotten are out without their doing anything."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.process import LOOPBACK, free_port
from tests.e2e.clients import Json
from tests.e2e.employers import PATH, Employer, refreshed, told
from tests.e2e.system import Gateway, System
from tests.e2e.test_directory import (
    FAILED,
    LOCKED,
    ON_LOOPBACK,
    door,
    employer,
    place,
    slapd,
)
from tests.gateway.directory.slapd import Place
from tests.support.eventually import eventually

__all__ = ["door", "employer", "place", "slapd"]
pytestmark = pytest.mark.paced

CLOSED = 4401


@pytest.fixture(scope="module")
async def keen(system: System) -> AsyncIterator[Gateway]:
    """A gateway that looks every second."""
    async with system.another_gateway(**ON_LOOPBACK, WARDROOM_DIRECTORY_SYNC_S="1") as gateway:
        yield gateway


async def _suspended(employer: Employer, user: str, wanted: bool) -> Json:
    async def ask() -> Json | None:
        view = await employer.view(user)
        return view if view["suspended"] is wanted else None

    return await eventually(ask, f"suspended is {wanted}")


async def test_the_sockets_of_who_is_disabled_or_removed_or_demoted_are_closed_everywhere(
    employer: Employer, keen: Gateway, place: Place
) -> None:
    ada, bea, cleo = [await employer.sign_in(name) for name in ("ada", "bea", "cleo")]
    elsewhere = employer.company.system.gateways[0].http
    async with ada.at(elsewhere).socket() as first, bea.socket() as second, cleo.socket() as third:
        place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=LOCKED)
        place.delete(f"uid=bea,{place.base}")
        place.change(f"cn=chiefs,{place.base}", member=f"uid=nobody-yet,{place.base}")
        inner = [f"uid={name},{place.base}" for name in ("ada", "cleo")]
        place.change(f"cn=inner,{place.base}", member=inner)
        for socket in (first, second, third):
            assert await socket.closed() == CLOSED
    await _suspended(employer, ada.user, True)
    await _suspended(employer, bea.user, True)
    view = await employer.view(cleo.user)
    assert (view["suspended"], view["role"]) == (False, "analyst")
    assert told(await employer.knock("ada")) == FAILED
    place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=[])
    await _suspended(employer, ada.user, False)
    assert (await employer.sign_in("ada")).user == ada.user
    log = await (await employer.admin()).call(
        "GET", f"/audit-logs?operation=user.synchronise&object_id={ada.user}"
    )
    changes = [
        (entry["before"]["suspended"], entry["after"]["suspended"]) for entry in log["items"]
    ]
    assert changes == [(True, False), (False, True)]
    assert log["items"][1]["after"]["reason"] == "the directory says disabled"
    assert {entry["actor"] for entry in log["items"]} == {"directory"}


async def test_a_directory_that_is_down_or_wrongly_set_throws_nobody_out(
    employer: Employer, keen: Gateway, place: Place
) -> None:
    ada, bea = await employer.sign_in("ada"), await employer.sign_in("bea")
    empty = place.add(f"ou=empty,{place.base}", ["organizationalUnit"])
    async with ada.socket() as socket:
        for wrong in (
            {"servers": [f"ldaps://{LOOPBACK}:{free_port()}"]},
            {"base_dn": empty},
            {"base_dn": "ou=no such place,dc=corp,dc=test"},
            {"bind_password": "wrong"},
        ):
            await employer.install(**wrong)
            for _ in range(2):
                await _a_round_is_over(employer, keen)
            assert await socket.echo("still here") == []
            assert (await employer.view(ada.user))["suspended"] is False, wrong
        # It was looked all the while: what is true again counts at once.
        place.delete(f"uid=bea,{place.base}")
        await employer.install()
        await _suspended(employer, bea.user, True)
        assert await socket.echo("still here") == []
    assert (await refreshed(ada)).is_success


async def _a_round_is_over(employer: Employer, keen: Gateway) -> None:
    """Wait until the gateway has looked at the tenant once more, in vain or not."""
    tenant = employer.company.tenant.encode()

    def rounds() -> int:
        lines = keen.child.process.log().splitlines()
        return sum(b"directory.sync" in line and tenant in line for line in lines)

    before = rounds()

    async def ask() -> bool | None:
        return True if rounds() > before else None

    await eventually(ask, "a look at the directory")


async def test_without_a_directory_its_users_are_out(employer: Employer, place: Place) -> None:
    ada = await employer.sign_in("ada")
    admin = await employer.admin()
    async with ada.socket() as socket, admin.socket() as kept:
        await admin.call("DELETE", PATH)
        assert await socket.closed() == CLOSED
        assert await kept.echo("still here") == []
    assert told(await employer.knock("ada")) == FAILED
    assert told(await admin.ask("GET", PATH)) == (404, "not_found")
    assert told(await admin.ask("DELETE", PATH)) == (404, "not_found")
    await employer.install()
    assert (await employer.sign_in("ada")).user == ada.user
