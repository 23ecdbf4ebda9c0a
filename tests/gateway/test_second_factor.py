"""Second factors at the gateway: enrolling, the two steps of signing in, and what a code is good for."""

import asyncio
from typing import Any, Final

import orjson
import pyotp
import pytest
from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from gateway.limits import CHALLENGE_TTL_S, LOGIN_FAILURES_ACCOUNT, RECOVERY_CODES
from gateway.second_factor import matching_step, new_recovery_codes, recovery_digest
from tests.gateway.enrolling import (
    OWN,
    Authenticator,
    WallClock,
    answer,
    challenged,
    login,
    sign_in,
    two_gateways,
)
from tests.gateway.serving import PASSWORD, peopled, served
from tests.gateway.test_lockout import Clock
from tests.gateway.world import World, eventually

RFC_SECRET: Final = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""The ASCII text 12345678901234567890 (RFC 6238, appendix B) in base32."""


def records(world: World, kind: str) -> list[dict[str, Any]]:
    """What the tenant's chain says of a kind."""
    entries = world.at("acme", TENANT_ROOM).entries
    return [orjson.loads(entry.content or b"") for entry in entries if entry.kind == kind]


@pytest.mark.parametrize(
    ("at_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_rfc(at_s: int, code: str) -> None:
    assert matching_step(RFC_SECRET, code, at_s) == at_s // 30


def test_one_step_of_drift_counts_either_way_and_no_more() -> None:
    totp, now = pyotp.TOTP(RFC_SECRET), 60_000_000
    found = [
        matching_step(RFC_SECRET, totp.generate_otp(now + n), now * 30 + 29) for n in range(-3, 4)
    ]
    assert found == [None, None, now - 1, now, now + 1, None, None]


def test_recovery_codes_are_all_different_and_however_spelled_the_same() -> None:
    made = new_recovery_codes("acme", "usr_ana")
    assert len(set(made.codes)) == len(set(made.digests)) == RECOVERY_CODES
    code = made.codes[0]
    for spelled in (code.upper(), code.replace("-", ""), f" {code} ", code.replace("-", " ")):
        assert recovery_digest("acme", "usr_ana", spelled) == made.digests[0]
    assert recovery_digest("globex", "usr_ana", code) != made.digests[0]
    assert recovery_digest("acme", "usr_bob", code) != made.digests[0]
    assert recovery_digest("acme", "usr_ana", "123456") is None


async def test_a_second_factor_counts_once_it_is_confirmed_and_then_signing_in_takes_two_steps() -> (
    None
):
    clock, world = WallClock(), peopled("acme")
    async with served(world, wall_clock=clock) as it:
        ana, other = await sign_in(it), await sign_in(it)
        begun = await ana.call("POST", OWN, {"password": PASSWORD})
        assert begun["uri"].startswith("otpauth://totp/Wardroom:ana?secret=" + begun["secret"])
        assert (await login(it)).status_code == 200
        wrong = await ana.ask("POST", f"{OWN}/confirm", {"code": "12 34"})
        assert (wrong.status_code, wrong.json()["code"]) == (403, "second_factor_failed")
        code = pyotp.TOTP(begun["secret"]).at(clock.now)
        done = await ana.call("POST", f"{OWN}/confirm", {"code": code})
        assert len(done["recovery_codes"]) == RECOVERY_CODES
        assert (await other.ask("GET", "/auth/me")).status_code == 401
        told = await ana.call("GET", OWN)
        assert told == {
            "active": True,
            "begun": False,
            "recovery_codes_left": RECOVERY_CODES,
            "policy": "optional",
        }

        refused = await login(it)
        problem = refused.json()
        assert refused.headers["cache-control"] == "no-store"
        assert (refused.status_code, problem["code"]) == (401, "second_factor_required")
        assert problem["expires_in"] == CHALLENGE_TTL_S == 300
        assert not {"access_token", "refresh_token"} & problem.keys()
        clock.step_on()
        code = pyotp.TOTP(begun["secret"]).at(clock.now)
        entered = await answer(it, problem["challenge"], code)
        assert entered.status_code == 200
        assert entered.json().keys() == {
            "access_token",
            "refresh_token",
            "token_type",
            "expires_in",
        }


async def test_a_code_with_the_password_signs_in_at_once() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        device, codes = await (await sign_in(it)).enrol(clock)
        clock.step_on()
        code = device.code()
        await sign_in(it, otp=f"{code[:3]} {code[3:]}")
        await sign_in(it, otp=codes[0].upper())
        for otp in (device.wrong(), code, codes[0], "x"):
            refused = await login(it, otp=otp)
            assert (refused.status_code, refused.json()["code"]) == (401, "login_failed"), otp
        clock.step_on()
        wrong = await login(it, password="a guess", otp=device.code())
        assert (wrong.status_code, wrong.json()["code"]) == (401, "login_failed")
        assert (await login(it, "bob", otp="000000")).status_code == 200


async def test_a_used_code_is_refused_at_another_gateway_too_and_so_are_those_before_it() -> None:
    clock = WallClock()
    async with two_gateways(peopled("acme"), clock) as (one, other):
        device, _ = await (await sign_in(one)).enrol(clock)
        # The code that confirmed is used too.
        assert (await answer(other, await challenged(one), device.code())).status_code == 401
        clock.step_on(2)
        assert (await answer(one, await challenged(one), device.code())).status_code == 200
        for it in (one, other):
            for code in (device.code(), device.code(-1)):
                again = await answer(it, await challenged(it), code)
                assert (again.status_code, again.json()["code"]) == (401, "login_failed")
        assert (await answer(other, await challenged(one), device.code(1))).status_code == 200


async def test_of_one_code_at_two_gateways_at_once_exactly_one_comes_in() -> None:
    clock, world = WallClock(), peopled("acme")
    async with two_gateways(world, clock) as (one, other):
        device, codes = await (await sign_in(one)).enrol(clock)
        clock.step_on()
        for code in (device.code(), codes[0]):
            challenges = [await challenged(it) for it in (one, other) for _ in range(2)]
            tries = zip((one, one, other, other), challenges, strict=True)
            found = await asyncio.gather(*(answer(it, c, code) for it, c in tries))
            assert sorted(each.status_code for each in found) == [200, 401, 401, 401]


async def test_a_challenge_is_good_for_nothing_but_its_code() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        device, _ = await (await sign_in(it)).enrol(clock)
        clock.step_on()
        challenge = await challenged(it)
        headers = {"Authorization": f"Bearer {challenge}"}
        for method, path in (
            ("GET", "/auth/me"),
            ("POST", "/auth/ws-ticket"),
            ("GET", OWN),
            ("POST", "/auth/logout"),
            ("GET", "/rooms"),
        ):
            refused = await it.http.request(method, f"/api/v1{path}", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated"), path
        body = {"refresh_token": challenge}
        assert (await it.http.post("/api/v1/auth/refresh", json=body)).status_code == 401
        async with it.socket() as socket:
            await socket.send(type="hello", token=challenge)
            assert await socket.closed() == 4401
        async with it.socket(f"?ticket={challenge}") as socket:
            assert await socket.closed() == 4401
        for token in (it.token("ana"), it.tokens.ticket(it.principal("ana")), "x", ""):
            refused = await answer(it, token, device.code())
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")


async def test_a_challenge_is_void_after_five_minutes_and_with_another_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        ana = await sign_in(it)
        _, codes = await ana.enrol(clock)
        before = await challenged(it)
        change = {"old_password": PASSWORD, "password": "another good password"}
        await ana.call("POST", "/auth/password", change)
        refused = await answer(it, before, codes[0])
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
        found = await login(it, password="another good password")
        monkeypatch.setattr("gateway.tokens.CHALLENGE_TTL_S", -10)
        late = await login(it, password="another good password")
        assert (await answer(it, late.json()["challenge"], codes[1])).status_code == 401
        assert (await answer(it, found.json()["challenge"], codes[1])).status_code == 200


async def test_wrong_codes_lock_and_a_right_password_in_between_does_not_help() -> None:
    clock, monotonic, world = WallClock(), Clock(), peopled("acme")
    async with served(world, clock=monotonic, wall_clock=clock) as it:
        ana = await sign_in(it)
        device, _ = await ana.enrol(clock)
        clock.step_on()
        for _ in range(LOGIN_FAILURES_ACCOUNT):
            # The password counts as shown, by any of the names, and for whoever is signed in.
            await challenged(it, "ana@acme")
            assert (await login(it, otp=device.wrong())).status_code == 401
        locked = await answer(it, await challenged(it), device.code())
        assert (locked.status_code, locked.json()["code"]) == (429, "too_many")
        assert (await login(it, otp=device.code())).status_code == 429
        body = {"password": PASSWORD, "code": device.code()}
        assert (await ana.ask("POST", f"{OWN}/remove", body)).status_code == 429
        await sign_in(it, "bob")
        monotonic.now += 1
        await sign_in(it, otp=device.code())
        await eventually(lambda: bool(records(world, "sign_in_failed")))
        [failed] = records(world, "sign_in_failed")
        assert (failed["user"], failed["reason"]) == ("usr_ana", "wrong_code")


async def test_wrong_codes_count_for_their_address_too() -> None:
    clock = WallClock()
    async with served(
        clock=Clock(), wall_clock=clock, login_failures_account=100, login_failures_address=2
    ) as it:
        device, _ = await (await sign_in(it)).enrol(clock)
        for _ in range(2):
            assert (await login(it, otp=device.wrong())).status_code == 401
        assert (await login(it, "bob")).status_code == 429


async def test_codes_that_are_guessed_in_a_session_lock_as_those_at_the_door() -> None:
    clock = WallClock()
    async with served(clock=Clock(), wall_clock=clock) as it:
        ana = await sign_in(it)
        device, _ = await ana.enrol(clock)
        body = {"password": PASSWORD, "code": device.wrong()}
        paths = [f"{OWN}/remove", f"{OWN}/recovery-codes", OWN]
        statuses = [
            (await ana.ask("POST", paths[n % 3], body)).status_code
            for n in range(LOGIN_FAILURES_ACCOUNT + 1)
        ]
        assert statuses == [403] * LOGIN_FAILURES_ACCOUNT + [429]


async def test_codes_that_are_guessed_to_confirm_an_enrolment_lock_too() -> None:
    clock = WallClock()
    async with served(clock=Clock(), wall_clock=clock) as it:
        ana = await sign_in(it)
        begun = await ana.call("POST", OWN, {"password": PASSWORD})
        device = Authenticator(begun["secret"], clock)
        path = f"{OWN}/confirm"
        for _ in range(LOGIN_FAILURES_ACCOUNT):
            assert (await ana.ask("POST", path, {"code": device.wrong()})).status_code == 403
        assert (await ana.ask("POST", path, {"code": device.code()})).status_code == 429


async def test_what_is_shown_once_is_shown_once() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        ana = await sign_in(it)
        key = {"Idempotency-Key": "once"}
        first = await ana.ask("POST", OWN, {"password": PASSWORD}, headers=key)
        again = await ana.ask("POST", OWN, {"password": PASSWORD}, headers=key)
        assert (first.status_code, again.status_code) == (200, 409)
        assert "secret" not in again.json()
        assert first.json()["secret"] not in (await ana.ask("GET", OWN)).text


async def test_enrolling_takes_the_password_and_replacing_a_code_besides() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        ana = await sign_in(it)
        assert (await ana.ask("POST", OWN, {"password": "a guess"})).status_code == 403
        nothing = await ana.ask("POST", f"{OWN}/confirm", {"code": "123456"})
        assert (nothing.status_code, nothing.json()["code"]) == (409, "conflict")
        old, codes = await ana.enrol(clock)
        clock.step_on()
        bare = await ana.ask("POST", OWN, {"password": PASSWORD})
        assert (bare.status_code, bare.json()["code"]) == (403, "second_factor_failed")
        new, _ = await ana.enrol(clock, code=codes[0])
        clock.step_on()
        assert (await login(it, otp=old.code())).status_code == 401
        assert (await login(it, otp=codes[1])).status_code == 401
        await sign_in(it, otp=new.code())


async def test_removing_takes_password_and_code_and_then_a_password_is_enough() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        ana = await sign_in(it)
        nothing = await ana.ask("POST", f"{OWN}/remove", {"password": PASSWORD, "code": "1"})
        assert nothing.status_code == 409
        device, _ = await ana.enrol(clock)
        used = {"password": PASSWORD, "code": device.code()}
        clock.step_on()
        wrong = {"password": "a guess", "code": device.code()}
        for body in (used, wrong):
            assert (await ana.ask("POST", f"{OWN}/remove", body)).status_code == 403
        right, key = {"password": PASSWORD, "code": device.code()}, {"Idempotency-Key": "bye"}
        done = await ana.ask("POST", f"{OWN}/remove", right, headers=key)
        again = await ana.ask("POST", f"{OWN}/remove", right, headers=key)
        assert (done.status_code, again.status_code) == (200, 200)
        assert again.json()["receipt"] == done.json()["receipt"]
        await sign_in(it)


async def test_new_recovery_codes_are_shown_once_and_void_the_old_ones() -> None:
    clock = WallClock()
    async with served(wall_clock=clock) as it:
        ana = await sign_in(it)
        _, old = await ana.enrol(clock)
        body = {"password": PASSWORD, "code": old[0]}
        new = (await ana.call("POST", f"{OWN}/recovery-codes", body))["recovery_codes"]
        assert not set(new) & set(old)
        assert (await login(it, otp=old[1])).status_code == 401
        await sign_in(it, otp=new[0])
        assert (await ana.call("GET", OWN))["recovery_codes_left"] == RECOVERY_CODES - 1


async def test_an_administrator_resets_the_second_factor_of_another_and_not_his_own() -> None:
    clock, world = WallClock(), peopled("acme")
    async with served(world, wall_clock=clock) as it:
        ana, tom = await sign_in(it), await sign_in(it, "tom")
        await ana.enrol(clock)
        await tom.enrol(clock)
        assert (await tom.call("GET", "/users/usr_ana"))["second_factor"] is True
        path = "/users/usr_ana/second-factor/reset"
        assert (await ana.ask("POST", path)).status_code == 403
        assert (await tom.ask("POST", "/users/usr_tom/second-factor/reset")).status_code == 403
        await tom.call("POST", path)
        assert (await ana.ask("GET", "/auth/me")).status_code == 401
        await sign_in(it)
        [reset] = records(world, "second_factor_reset")
        assert reset["user"] == "usr_ana"
        assert world.at("acme", TENANT_ROOM).entries[-1].kind != "second_factor_reset"


async def test_no_log_no_record_and_no_answer_holds_a_secret_or_a_code(
    logged: list[EventDict],
) -> None:
    clock, world = WallClock(), peopled("acme")
    async with served(world, wall_clock=clock) as it:
        ana, tom = await sign_in(it), await sign_in(it, "tom")
        device, codes = await ana.enrol(clock)
        clock.step_on()
        totp = device.code()
        await sign_in(it, otp=totp)
        await sign_in(it, otp=codes[0])
        await login(it, otp=codes[0])
        audit = (await tom.ask("GET", "/audit-logs?limit=200")).text
        row = repr(world.at("acme", TENANT_ROOM).state)
        stored = b"".join(e.content or b"" for e in world.at("acme", TENANT_ROOM).entries).decode()
    for text in (stored, audit, row, str(logged)):
        for secret in (device.secret, totp, *codes, *(code.replace("-", "") for code in codes)):
            assert secret not in text


async def test_somebody_of_another_tenant_has_another_second_factor() -> None:
    clock = WallClock()
    world = peopled("acme", "globex")
    async with served(world, wall_clock=clock) as it:
        ana = await sign_in(it, "ana@acme")
        device, codes = await ana.enrol(clock)
        clock.step_on()
        await sign_in(it, "ana@globex")
        theirs, _ = await (await sign_in(it, "ana@globex")).enrol(clock)
        clock.step_on()
        for otp in (device.code(), codes[0]):
            assert (await login(it, "ana@globex", otp=otp)).status_code == 401
        await sign_in(it, "ana@globex", otp=theirs.code())


async def test_codes_that_nobody_could_have_are_refused_and_break_nothing() -> None:
    clock = WallClock()
    async with served(wall_clock=clock, login_failures_account=100) as it:
        await (await sign_in(it)).enrol(clock)
        challenge = await challenged(it)
        for code in ("٣" * 6, "\x00", "a" * 64, "-" * 9, "１２３４５６", "0" * 16, "null"):
            refused = await answer(it, challenge, code)
            assert (refused.status_code, refused.json()["code"]) == (401, "login_failed"), code
        assert (await answer(it, challenge, "a" * 65)).status_code == 422
        assert (await answer(it, challenge, "")).status_code == 422
