"""Where a tenant's administrator may have us connect to."""

import socket
from typing import Any

import pytest

from gateway.directory.addresses import LDAP_PORTS, judged_addresses
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.people import DirectoryUser
from gateway.directory.settings import Server, server_of
from tests.gateway.directory.slapd import PASSWORD, Place


def leading_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name lead to these addresses."""

    def resolved(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "ldaps://127.0.0.1",
            "ldaps://[::1]",
            "ldaps://0",
            "ldaps://2130706433",
            "ldaps://0x7f.1",
        ),
        *("ldaps://localhost", "ldaps://[::ffff:127.0.0.1]", "ldaps://[64:ff9b::7f00:1]"),
        *("ldaps://169.254.169.254", "ldaps://[fe80::1]", "ldaps://[fd00:ec2::254]"),
        *("ldaps://224.0.0.1", "ldaps://100.100.100.200", "ldaps://[::]", "ldaps://240.0.0.1"),
        *("ldaps://10.0.0.1:22", "ldaps://10.0.0.1:27017", "ldap://192.168.1.1:80"),
    ],
)
def test_this_machine_its_neighbours_and_other_services_are_not_called(url: str) -> None:
    with pytest.raises(DirectoryError) as refused:
        judged_addresses(loopback=False)(server_of(url))
    assert refused.value.trouble in (Trouble.ADDRESS_REFUSED, Trouble.UNREACHABLE)


@pytest.mark.parametrize("address", ["10.1.2.3", "172.31.0.1", "192.168.7.7", "8.8.8.8", "fd12::1"])
@pytest.mark.parametrize("port", sorted(LDAP_PORTS))
def test_a_directory_may_be_internal_or_public(address: str, port: int) -> None:
    server = Server(host=address, port=port, ldaps=True)
    assert judged_addresses(loopback=False)(server) == [address]


def test_one_bad_address_of_a_name_spoils_it(monkeypatch: pytest.MonkeyPatch) -> None:
    leading_to(monkeypatch, "10.0.0.1", "127.0.0.1")
    with pytest.raises(DirectoryError) as refused:
        judged_addresses(loopback=False)(server_of("ldaps://dc.corp.test"))
    # A name service that only we can ask is not read out to whoever sets a server.
    assert "10.0.0.1" not in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)


def test_a_name_without_an_address_can_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(DirectoryError) as refused:
        judged_addresses(loopback=True)(server_of("ldaps://dc.corp.test"))
    assert refused.value.trouble is Trouble.UNREACHABLE


@pytest.mark.paced
async def test_what_was_judged_is_what_is_called(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name would lead elsewhere by then; the certificate is still asked for the name."""
    place.add_user("ada")
    settings = place.settings()
    port = settings.addresses[0].port
    elsewhere = Directory(settings, lambda _: ["127.0.0.3", "127.0.0.2"])
    try:
        # Nobody listens at the first; the certificate of the second names the host that was set.
        assert isinstance(await elsewhere.authenticate("ada", PASSWORD), DirectoryUser)
    finally:
        elsewhere.close()
    named = place.settings(servers=(f"ldaps://127.0.0.2:{port}",))
    called = Directory(named, lambda _: ["127.0.0.1"])
    try:
        with pytest.raises(DirectoryError) as refused:
            await called.authenticate("ada", PASSWORD)
        assert refused.value.trouble is Trouble.TLS_FAILED
    finally:
        called.close()


@pytest.mark.paced
async def test_a_directory_that_was_closed_says_so_instead_of_cancelling_who_asks(
    place: Place,
) -> None:
    directory = Directory(place.settings())
    directory.close()
    with pytest.raises(DirectoryError) as refused:
        await directory.authenticate("ada", PASSWORD)
    assert refused.value.trouble is Trouble.BUSY
