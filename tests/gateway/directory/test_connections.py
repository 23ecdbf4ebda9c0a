"""Which servers are trusted and asked, how long, and what is never said."""

import asyncio
import socket
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from structlog.typing import EventDict

from deploy.local.process import LOOPBACK, free_port
from gateway.directory.directory import CALLS_MAX, WAITING_MAX
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.people import Denial, Denied, DirectoryUser
from gateway.directory.settings import DirectorySettings
from tests.gateway.directory.authority import Authority
from tests.gateway.directory.conftest import Opener
from tests.gateway.directory.slapd import (
    OTHER_ADDRESS,
    PASSWORD,
    ROOT,
    SEARCHER_PASSWORD,
    Place,
    running_slapd,
)
from tests.gateway.directory.strangers import (
    Behaviour,
    babbling,
    boasting,
    breaking_off,
    dripping,
    silent,
    speaking_http,
    stranger,
)

pytestmark = pytest.mark.paced

CANARY = "canary-typed-password"
QUICK = {"connect_s": 2.0, "receive_s": 0.3, "call_s": 0.6}


async def trouble(opened: Opener, settings: DirectorySettings) -> Trouble:
    """What keeps somebody from signing in; the test fails if it is nothing."""
    with pytest.raises(DirectoryError) as raised:
        await opened(settings).authenticate("ana", PASSWORD)
    return raised.value.trouble


async def lets_in(opened: Opener, settings: DirectorySettings) -> bool:
    """Whether ana is let in."""
    return isinstance(await opened(settings).authenticate("ana", PASSWORD), DirectoryUser)


def on(place: Place, address: str = LOOPBACK, *, starttls: bool = False) -> tuple[str, ...]:
    """The server at one of its addresses."""
    if starttls:
        return (f"ldap://{address}:{place.slapd.port}",)
    return (f"ldaps://{address}:{place.slapd.tls_port}",)


@pytest.mark.parametrize("starttls", [False, True])
async def test_a_server_of_the_given_authority_and_the_right_name_is_trusted_and_no_other(
    place: Place, opened: Opener, tmp_path: Path, starttls: bool
) -> None:
    place.add_user("ana")
    how = {"tls": "starttls" if starttls else "ldaps", "servers": on(place, starttls=starttls)}
    file = tmp_path / "ca.pem"
    file.write_text(place.slapd.authority.pem)
    assert await lets_in(opened, place.settings(**how))
    assert await lets_in(opened, place.settings(**how, ca_pem="", ca_file=file))

    other = Authority(name="the authority of the tests").pem
    assert await trouble(opened, place.settings(**how, ca_pem=other)) is Trouble.TLS_FAILED
    assert await trouble(opened, place.settings(**how, ca_pem="")) is Trouble.TLS_FAILED
    broken = place.settings(**how, ca_pem="no certificate")
    assert await trouble(opened, broken) is Trouble.TLS_FAILED
    absent = place.settings(**how, ca_pem="", ca_file=tmp_path / "absent.pem")
    assert await trouble(opened, absent) is Trouble.TLS_FAILED

    elsewhere = {**how, "servers": on(place, OTHER_ADDRESS, starttls=starttls)}
    assert await trouble(opened, place.settings(**elsewhere)) is Trouble.TLS_FAILED


async def test_no_password_is_sent_before_a_server_is_trusted(place: Place, opened: Opener) -> None:
    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        eavesdropper.heard += await reader.read()

    async with stranger(listening) as eavesdropper:
        for how, scheme in (("ldaps", "ldaps"), ("starttls", "ldap")):
            url = f"{scheme}://{LOOPBACK}:{eavesdropper.port}"
            settings = place.settings(tls=how, servers=(url,), **QUICK)
            assert await trouble(opened, settings) is Trouble.TIMEOUT
    assert eavesdropper.visits == 2
    assert eavesdropper.heard
    assert SEARCHER_PASSWORD.encode() not in eavesdropper.heard


async def test_plain_works_only_when_it_is_allowed_and_on_this_machine(
    place: Place, opened: Opener
) -> None:
    place.add_user("ana")
    plain = {"tls": "plain", "servers": on(place, starttls=True)}
    assert await lets_in(opened, place.settings(**plain, allow_plain=True))
    with pytest.raises(ValueError, match="passwords could be read"):
        place.settings(**plain)
    for host in ("192.0.2.1", "directory.example.org", "localhost.example.org"):
        with pytest.raises(ValueError, match="on this very machine"):
            place.settings(tls="plain", allow_plain=True, servers=(f"ldap://{host}",))


async def test_a_server_that_is_down_lets_nobody_in_until_it_is_up(
    tmp_path: Path, authority: Authority, opened: Opener
) -> None:
    async with running_slapd(tmp_path, authority) as slapd:
        place = Place(slapd)
        place.add_user("ana")
        place.close()
        directory = opened(place.settings())
        user = await directory.authenticate("ana", PASSWORD)
        assert isinstance(user, DirectoryUser)
    with pytest.raises(DirectoryError, match="directory_unreachable") as raised:
        await directory.authenticate("ana", PASSWORD)
    assert raised.value.trouble is Trouble.UNREACHABLE
    with pytest.raises(DirectoryError):
        await directory.look_up(user.key)
    with pytest.raises(DirectoryError):
        await anext(directory.users())
    assert [finding.code for finding in await directory.check()] == ["directory_unreachable"]
    async with running_slapd(tmp_path, authority, tls_port=slapd.tls_port):
        assert await directory.authenticate("ana", PASSWORD) == user
        assert await directory.look_up(user.key) == user


async def test_the_next_server_is_asked_when_one_is_down_silent_or_not_trusted(
    place: Place, opened: Opener, logged: list[EventDict]
) -> None:
    place.add_user("ana")
    async with stranger(silent) as mute:
        servers = (
            f"ldaps://{LOOPBACK}:{free_port()}",
            *on(place, OTHER_ADDRESS),
            f"ldaps://{LOOPBACK}:{mute.port}",
            *on(place),
        )
        directory = opened(place.settings(servers=servers, **QUICK))
        assert isinstance(await directory.authenticate("ana", PASSWORD), DirectoryUser)
        failed = [event["trouble"] for event in logged if event["log_level"] == "warning"]
        assert failed == [Trouble.UNREACHABLE, Trouble.TLS_FAILED, Trouble.TIMEOUT]
        # The one that answered is asked first from now on.
        assert isinstance(await directory.authenticate("ana", PASSWORD), DirectoryUser)
        assert mute.visits == 1
        assert [user.username async for page in directory.users() for user in page.users] == ["ana"]
        assert [finding.code for finding in await directory.check()] == [
            *("directory_unreachable", "directory_tls_failed", "directory_timeout", "server"),
            *("users", "no_roles"),
        ]


async def test_a_wrong_password_is_tried_on_one_server_only(place: Place, opened: Opener) -> None:
    place.add_user("ana")
    async with stranger(silent) as other:
        both = {"servers": (*on(place), f"ldaps://{LOOPBACK}:{other.port}"), **QUICK}
        directory = opened(place.settings(**both))
        assert await directory.authenticate("ana", "wrong") == Denied(Denial.WRONG_PASSWORD, "49")
        of_the_searcher = place.settings(**both, bind_password="wrong")
        assert await trouble(opened, of_the_searcher) is Trouble.BIND_REFUSED
        assert other.visits == 0


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (silent, Trouble.TIMEOUT),
        (dripping, Trouble.TIMEOUT),
        (boasting, Trouble.TOO_LARGE),
        (breaking_off, Trouble.UNREACHABLE),
        (speaking_http, Trouble.BAD_ANSWER),
        (babbling, Trouble.BAD_ANSWER),
    ],
)
async def test_a_server_that_never_answers_well_is_given_up(
    place: Place, opened: Opener, behaviour: Behaviour, expected: Trouble
) -> None:
    async with stranger(behaviour) as bad:
        settings = place.settings(
            tls="plain", allow_plain=True, servers=(f"ldap://{LOOPBACK}:{bad.port}",), **QUICK
        )
        assert await trouble(opened, settings) is expected
        assert bad.visits == 1


async def test_referrals_are_not_followed(place: Place, opened: Opener) -> None:
    place.add_user("ana")
    async with stranger(silent) as elsewhere:
        place.add(
            f"ou=elsewhere,{place.base}",
            ["referral", "extensibleObject"],
            ou="elsewhere",
            ref=f"ldap://{LOOPBACK}:{elsewhere.port}/dc=elsewhere??sub",
        )
        directory = opened(place.settings())
        user = await directory.authenticate("ana", PASSWORD)
        assert isinstance(user, DirectoryUser)
        assert await directory.look_up(user.key) == user
        assert [one.username async for page in directory.users() for one in page.users] == ["ana"]
        beyond = place.settings(base_dn=f"ou=elsewhere,{place.base}")
        assert await trouble(opened, beyond) is Trouble.NOT_AS_SET
        assert elsewhere.visits == 0


@pytest.mark.parametrize(
    "password", ["", " ", "\t\n", "\u00a0", "\0", "a\0b", None, "\ud800", "x" * 2000]
)
async def test_what_is_no_password_never_reaches_a_server(
    place: Place, opened: Opener, password: str
) -> None:
    async with stranger(silent) as server:
        settings = place.settings(servers=(f"ldaps://{LOOPBACK}:{server.port}",))
        directory = opened(settings)
        assert await directory.authenticate("ana", password) == Denied(Denial.BAD_INPUT)
        assert server.visits == 0


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "a\nb", None, "\ud800", "x" * 300])
async def test_what_is_no_name_never_reaches_a_server(
    place: Place, opened: Opener, name: str
) -> None:
    async with stranger(silent) as server:
        directory = opened(place.settings(servers=(f"ldaps://{LOOPBACK}:{server.port}",)))
        assert await directory.authenticate(name, PASSWORD) == Denied(Denial.BAD_INPUT)
        assert server.visits == 0


async def test_a_server_that_hangs_takes_a_bounded_number_of_calls(
    place: Place, opened: Opener
) -> None:
    async with stranger(silent) as server:
        url = f"ldaps://{LOOPBACK}:{server.port}"
        quick = {**QUICK, "receive_s": 0.1}
        directory = opened(place.settings(servers=(url,), **quick))
        calls = [
            asyncio.create_task(directory.authenticate("ana", PASSWORD))
            for _ in range(CALLS_MAX + WAITING_MAX + 3)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        troubles = [answer.trouble for answer in answers if isinstance(answer, DirectoryError)]
        assert troubles.count(Trouble.BUSY) == 3
        assert troubles.count(Trouble.TIMEOUT) == CALLS_MAX + WAITING_MAX
        with pytest.raises(DirectoryError, match="directory_timeout"):
            await directory.authenticate("ana", PASSWORD)


async def test_no_password_is_in_a_log_an_exception_or_a_repr(
    place: Place, opened: Opener, logged: list[EventDict]
) -> None:
    place.add_user("ana")
    with closing(socket.socket()) as taken:
        taken.bind((LOOPBACK, 0))
        dead = f"ldaps://{LOOPBACK}:{taken.getsockname()[1]}"
        said: list[str] = []
        async with stranger(babbling) as bad:
            plain = {
                "tls": "plain",
                "allow_plain": True,
                "servers": (f"ldap://{LOOPBACK}:{bad.port}",),
            }
            for changes in (
                {},
                {"servers": (dead,)},
                {"bind_dn": ROOT},
                {"ca_pem": ""},
                {"base_dn": "dc=absent"},
                {**plain, **QUICK},
            ):
                settings = place.settings(**changes)
                directory = opened(settings)
                said += [repr(settings), str(settings), settings.model_dump_json(), repr(directory)]
                try:
                    said.append(repr(await directory.authenticate("ana", CANARY)))
                except DirectoryError as error:
                    said += traceback.format_exception(error)
                said.append(repr(await directory.check()))
        with pytest.raises(ValueError, match="ldaps://") as raised:
            place.settings(servers=("ldap://localhost",))
        said += traceback.format_exception(raised.value)
        said.append(repr(logged))
    assert len(said) > 20
    for secret in (CANARY, SEARCHER_PASSWORD):
        assert [text for text in said if secret in text] == []
