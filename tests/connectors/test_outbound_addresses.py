"""Which addresses may be called."""

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.protocol.outbound import (
    HTTPS_PORTS,
    OutboundPolicy,
    approved_networks,
    refusal_of_address,
)

EVERYWHERE = approved_networks(["0.0.0.0/0", "::/0"])
"""What no administrator should approve, and what must not open the forbidden addresses all the same."""
PUBLIC = ("8.8.8.8", "93.184.216.34", "2606:4700::1111")
FORBIDDEN = {
    "loopback": ("127.0.0.1", "127.255.255.254", "::1"),
    "loopback inside IPv6": (
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "2600:1900::5efe:7f00:1",
        "2600:1900::200:5efe:7f00:1",
    ),
    "link-local": ("169.254.1.1", "fe80::1", "fe80::1%eth0", "fe80::5efe:808:808"),
    "metadata": ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254"),
    "multicast": ("224.0.0.1", "239.1.1.1", "ff02::1"),
    "unspecified": ("0.0.0.0", "0.1.2.3", "::"),  # noqa: S104 -- not to listen on
}
PRIVATE = (
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.0.8",
    "198.18.0.1",
    "203.0.113.5",
    "240.0.0.1",
    "255.255.255.255",
    "fc00::1",
    "fec0::1",
    "2001:db8::1",
    "64:ff9b::a00:1",
    "::ffff:10.0.0.1",
    "2002:a00:1::",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    assert refusal_of_address(OutboundPolicy(), address, 443) is None


@pytest.mark.parametrize(
    "address", [address for addresses in FORBIDDEN.values() for address in addresses]
)
def test_what_is_forbidden_can_not_be_approved(address: str) -> None:
    assert refusal_of_address(OutboundPolicy(), address, 443) is not None
    assert refusal_of_address(OutboundPolicy(allowed=EVERYWHERE), address, 443) is not None


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_may_be_called_only_once_its_network_is_approved(address: str) -> None:
    assert refusal_of_address(OutboundPolicy(), address, 443) is not None
    elsewhere = OutboundPolicy(allowed=approved_networks(["10.99.0.0/16", "fd99::/16"]))
    assert refusal_of_address(elsewhere, address, 443) is not None
    assert refusal_of_address(OutboundPolicy(allowed=EVERYWHERE), address, 443) is None


def test_of_an_address_inside_another_the_inner_one_is_what_is_approved() -> None:
    approved = OutboundPolicy(allowed=approved_networks(["10.1.0.0/16"]))
    assert refusal_of_address(approved, "64:ff9b::a01:1", 443) is None
    assert refusal_of_address(approved, "64:ff9b::a02:1", 443) is not None
    wrapper = OutboundPolicy(allowed=approved_networks(["64:ff9b::/96"]))
    assert refusal_of_address(wrapper, "64:ff9b::a01:1", 443) is not None


def test_other_ports_than_those_of_https_must_be_approved() -> None:
    assert {443, 8443} == HTTPS_PORTS
    assert refusal_of_address(OutboundPolicy(), PUBLIC[0], 22) == "port 22 is not approved"
    assert refusal_of_address(OutboundPolicy(ports=frozenset({8089})), PUBLIC[0], 8089) is None


def test_endpoints_of_this_system_are_never_called() -> None:
    own = frozenset({(ip_address("10.0.0.5"), 27017)})
    policy = OutboundPolicy(allowed=EVERYWHERE, ports=frozenset({443, 27017}), own=own)
    assert refusal_of_address(policy, "10.0.0.5", 443) is None
    assert refusal_of_address(policy, "10.0.0.5", 27017) == "an endpoint of this system"
    assert refusal_of_address(policy, "::ffff:10.0.0.5", 27017) == "an endpoint of this system"


def test_loopback_is_for_whoever_operates_an_evaluation_on_one_machine() -> None:
    assert refusal_of_address(OutboundPolicy(loopback=True), "127.0.0.1", 443) is None
    assert refusal_of_address(OutboundPolicy(loopback=True), "::1", 443) is None
    assert refusal_of_address(OutboundPolicy(loopback=True), "169.254.169.254", 443) is not None


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3.4.5"]
)
def test_what_is_not_an_address_is_not_called(text: str) -> None:
    assert refusal_of_address(OutboundPolicy(loopback=True), text, 443) == "not an address"


@pytest.mark.parametrize("name", ["0x7f000001", "2130706433", "127.1", "017700000001", "localhost"])
def test_every_spelling_of_loopback_is_refused_once_it_is_resolved(name: str) -> None:
    for *_, place in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM):
        assert refusal_of_address(OutboundPolicy(), str(place[0]), 443) is not None


@given(st.ip_addresses())
def test_a_verdict_on_any_address_is_the_same_however_ipv6_wraps_it(address: object) -> None:
    text = str(address)
    plain = refusal_of_address(OutboundPolicy(), text, 443)
    if ":" not in text:
        mapped = refusal_of_address(OutboundPolicy(), f"::ffff:{text}", 443)
        translated = refusal_of_address(OutboundPolicy(), f"64:ff9b::{text}", 443)
        assert (plain is None) == (mapped is None) == (translated is None)
