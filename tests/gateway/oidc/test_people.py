"""Who somebody is here whom a provider has recognised."""

from structlog.typing import EventDict

from actors.protocol.ids import TENANT_ROOM
from tests.gateway.oidc.browsing import told
from tests.gateway.oidc.conftest import Place
from tests.gateway.oidc.refusals import REFUSED, come_back, reasons, users
from tests.gateway.oidc.stage import HERE
from tests.gateway.world import tenant_command


async def test_nobody_becomes_a_local_user_by_his_e_mail(place: Place) -> None:
    """CVE-2026-6334 and its like."""
    place.provider.claims["email"] = "tom@acme.example"
    me = await place.me(await place.signed_in())
    assert (me["user"] != "usr_tom", me["role"], me["email"]) == (True, "analyst", None)
    tom = place.it.world.at("acme", TENANT_ROOM).state.users["usr_tom"]
    assert (tom.email, tom.provider_key) == ("tom@acme.example", "")


async def test_nobody_becomes_a_local_user_by_his_name(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.claims["preferred_username"] = "TOM"
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["name_taken"]
    assert users(place) == {}


async def test_an_unverified_e_mail_is_nobodys(place: Place) -> None:
    place.provider.claims["email_verified"] = False
    assert (await place.me(await place.signed_in()))["email"] is None


async def test_the_same_subject_of_another_issuer_is_somebody_else(place: Place) -> None:
    first = await place.me(await place.signed_in())
    place.provider.name = f"http://{HERE}:{place.provider.port}/realms/other"
    place.provider.raw["/realms/other/.well-known/openid-configuration"] = place.provider._answer(
        "GET", "/.well-known/openid-configuration", {}, b""
    )
    await place.install()
    place.provider.claims |= {"preferred_username": "ada2", "email": "ada2@corp.example"}
    second = await place.me(await place.signed_in())
    assert first["user"] != second["user"]


async def test_who_is_in_no_group_of_the_table_may_not_come_in(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.claims["groups"] = ["SOC", "soc ", "others"]
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["no_role"]
    assert users(place) == {}


async def test_who_has_left_his_groups_is_suspended_until_he_has_some_again(place: Place) -> None:
    tokens = await place.signed_in()
    place.provider.claims["groups"] = []
    assert await come_back(place) == REFUSED
    [user] = users(place).values()
    assert user.suspended
    answer = await place.it.http.post(
        "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
    )
    assert told(answer) == (401, "session_ended")
    place.provider.claims["groups"] = ["soc"]
    await place.signed_in()


async def test_whom_an_administrator_has_disabled_stays_out(
    place: Place, logged: list[EventDict]
) -> None:
    await place.signed_in()
    [user] = users(place)
    disable = tenant_command(type="disable_user", user=user)
    place.it.world.commit("acme", TENANT_ROOM, disable)
    place.provider.claims["groups"] = ["leads"]
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["disabled_here"]
    assert users(place)[user].role == "analyst"


async def test_he_has_no_password_here_and_nobody_else_has_it(place: Place) -> None:
    me = await place.me(await place.signed_in())
    for password in ("", "password", "None"):
        body = {"username": me["username"], "password": password}
        answer = await place.it.http.post("/api/v1/auth/login", json=body)
        assert told(answer) == REFUSED


async def test_what_the_token_does_not_say_is_asked_at_userinfo(place: Place) -> None:
    said = place.provider.claims
    place.provider.more = {**said}
    place.provider.claims = {"sub": said["sub"]}
    me = await place.me(await place.signed_in())
    assert (me["username"], me["role"]) == ("ada", "analyst")


async def test_userinfo_about_somebody_else_is_refused(
    place: Place, logged: list[EventDict]
) -> None:
    place.provider.more = {**place.provider.claims, "sub": "somebody else"}
    place.provider.claims = {"sub": place.provider.claims["sub"]}
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["userinfo_subject"]


async def test_a_required_class_of_authentication_is_asked_for_and_must_be_told(
    place: Place, logged: list[EventDict]
) -> None:
    await place.install(required_acr="phr")
    started = await place.browser().start()
    assert "acr_values=phr" in started.headers["location"]
    assert await come_back(place) == REFUSED
    assert reasons(logged) == ["acr"]
    place.provider.claims["acr"] = "phr"
    await place.signed_in()


async def test_a_removed_provider_vouches_for_nobody(place: Place) -> None:
    tokens = await place.signed_in()
    place.it.world.commit("acme", TENANT_ROOM, tenant_command(type="remove_identity_provider"))
    answer = await place.it.http.post(
        "/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
    )
    assert told(answer) == (401, "session_ended")
    assert (await place.browser().start()).status_code == 404
