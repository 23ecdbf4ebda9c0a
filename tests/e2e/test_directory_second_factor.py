"""Second factors of people whose password the directory keeps."""

from typing import Any

import httpx
import pytest

from tests.e2e.clients import Client
from tests.e2e.employers import Employer, told
from tests.e2e.test_directory import FAILED, LOCKED, ON_LOOPBACK, door, employer, place, slapd
from tests.e2e.test_second_factor import (
    OWN,
    POLICY,
    REFUSED,
    Device,
    answer,
    client_of,
    enrol,
    refreshed,
)
from tests.gateway.directory.slapd import PASSWORD, Place, Slapd

__all__ = ["door", "employer", "place", "slapd"]
pytestmark = pytest.mark.paced


async def login(employer: Employer, name: str, **more: Any) -> httpx.Response:
    """Try to sign in with the password that the directory has."""
    who = {"username": f"{name}@{employer.company.tenant}", "password": employer.password}
    return await Client(employer.http).ask("POST", "/auth/login", {**who, **more})


async def challenged(employer: Employer, name: str) -> str:
    """The challenge that the right password brings."""
    refused = await login(employer, name)
    assert told(refused) == (401, "second_factor_required"), refused.text
    return str(refused.json()["challenge"])


async def enrolled(employer: Employer, name: str) -> tuple[Client, Device, list[str]]:
    """Somebody of the directory with a second factor."""
    client = await employer.sign_in(name)
    return client, *await enrol(client, PASSWORD)


async def test_after_the_password_of_the_directory_comes_the_code(employer: Employer) -> None:
    ada, device, codes = await enrolled(employer, "ada")
    assert told(await employer.knock("ada", "wrong")) == FAILED
    assert told(await login(employer, "ada", otp="000000")) == FAILED
    entered = await answer(employer.http, await challenged(employer, "ada"), device.code(1))
    assert entered.status_code == 200, entered.text
    client = client_of(employer.http, ada.user, entered.json())
    assert (await client.call("GET", "/auth/me"))["username"] == "ada"
    assert (await login(employer, "ada", otp=codes[0])).status_code == 200


async def test_the_directory_confirms_the_password_of_whoever_changes_his_second_factor(
    employer: Employer, place: Place
) -> None:
    ada = await employer.sign_in("ada")
    for wrong in ("wrong", "", " "):
        assert told(await ada.ask("POST", OWN, {"password": wrong})) == (403, "forbidden")
    _, codes = await enrol(ada, PASSWORD)
    wrong_one = {"password": "wrong", "code": codes[0]}
    assert told(await ada.ask("POST", f"{OWN}/remove", wrong_one)) == (403, "forbidden")
    await ada.call("POST", f"{OWN}/remove", {"password": PASSWORD, "code": codes[0]})
    assert (await login(employer, "ada")).status_code == 200


async def test_wrong_passwords_of_the_directory_lock_whoever_confirms_with_them(
    employer: Employer,
) -> None:
    ada = await employer.sign_in("ada")
    strict = {**ON_LOOPBACK, "WARDROOM_LOGIN_FAILURES_ACCOUNT": "2"}
    async with employer.company.system.another_gateway(**strict) as gateway:
        guessing = ada.at(gateway.http)
        statuses = []
        for _ in range(3):
            refused = await guessing.ask("POST", OWN, {"password": "wrong"})
            statuses.append(refused.status_code)
        assert statuses == [403, 403, 429]
        assert (await guessing.ask("POST", OWN, {"password": PASSWORD})).status_code == 429


async def test_whom_the_directory_keeps_out_comes_in_by_no_challenge(
    employer: Employer, place: Place
) -> None:
    _, device, codes = await enrolled(employer, "ada")
    challenge = await challenged(employer, "ada")
    place.change(f"uid=ada,{place.base}", pwdAccountLockedTime=LOCKED)
    for code in (device.code(1), codes[0]):
        refused = await answer(employer.http, challenge, code)
        assert told(refused) == (401, "unauthenticated")
    assert told(await employer.knock("ada")) == FAILED


async def test_a_directory_that_is_down_confirms_nothing_and_counts_nothing(
    employer: Employer, slapd: Slapd
) -> None:
    ada, device, _ = await enrolled(employer, "ada")
    challenge = await challenged(employer, "ada")
    await employer.install(servers=["ldaps://127.0.0.1:1"])
    for _ in range(12):
        refused = await ada.ask("POST", OWN, {"password": PASSWORD, "code": device.code(1)})
        assert told(refused) == (503, "unavailable")
    refused = await answer(employer.http, challenge, device.code(1))
    assert told(refused) == (503, "unavailable")
    await employer.install()
    entered = await answer(employer.http, challenge, device.code(1))
    assert entered.status_code == 200, entered.text


async def test_who_must_enrol_may_do_so_with_the_password_of_the_directory(
    employer: Employer,
) -> None:
    admin = await employer.admin()
    await enrol(admin)
    await admin.call("PUT", POLICY, {"policy": "required"})
    entered = (await login(employer, "ada")).json()
    assert entered["scope"] == "enrol"
    ada = client_of(employer.http, "", entered)
    assert told(await ada.ask("GET", "/rooms")) == (403, REFUSED)
    await enrol(ada, PASSWORD)
    ada, pair = await refreshed(ada)
    assert "scope" not in pair
    assert (await ada.ask("GET", "/rooms")).status_code == 200
