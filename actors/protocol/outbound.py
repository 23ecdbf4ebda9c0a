"""Which addresses this system may call: the guard against requests that somebody makes us forge (SSRF).

Names say nothing: `0x7f000001`, `2130706433` and a name of the attacker's own domain all lead to
127.0.0.1. So addresses are judged, after they were resolved, and the connection must then be made to the
very address that was judged. Addresses that carry another one inside (IPv4 in IPv6) are judged by both
(Synapse, CVE-2021-21392).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HTTPS_PORTS: Final = frozenset({443, 8443})
"""Ports that may be called unless an administrator says more."""

LAST_FOUR_BYTES: Final = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::/96"),
)
"""Networks whose addresses end with an IPv4 address: NAT64 (RFC 6052, RFC 8215), and the IPv4-compatible
ones, deprecated by RFC 4291, section 2.5.5.1, and still understood here and there."""
ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""RFC 5214, section 6.1: what stands before the IPv4 address in the interface identifier."""
METADATA: Final = (
    IPv4Address("169.254.169.254"),
    IPv4Address("100.100.100.200"),
    IPv6Address("fd00:ec2::254"),
)
"""Where clouds hand out credentials to whoever asks from inside (AWS, Azure, Google; Alibaba; AWS)."""
NOWHERE: Final = IPv4Network("0.0.0.0/8")
"""RFC 1122, section 3.2.1.3: "this host"; Linux connects to itself."""

PROTOCOL_ASSIGNMENTS: Final = IPv4Network("192.0.0.0/24")
"""RFC 6890, table 7."""


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """What may be called besides public addresses at `ports`.

    `allowed` are networks of the tenant's own products that an administrator has approved. Loopback,
    link-local, multicast and metadata addresses can't be approved; `loopback` is for evaluation on one
    machine and set by whoever operates it. `own` are endpoints of our database and broker.
    """

    allowed: tuple[Network, ...] = ()
    ports: frozenset[int] = HTTPS_PORTS
    own: frozenset[tuple[Address, int]] = field(default_factory=frozenset)
    loopback: bool = False


def approved_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from their texts (CIDR), as an administrator writes them.

    Raises:
        ValueError: one is no network, or has host bits set.
    """
    return tuple(ip_network(text) for text in texts)


def refusal_of_address(policy: OutboundPolicy, text: str, port: int) -> str | None:
    """Why a resolved address may not be called; None if it may.

    Args:
        policy: what is allowed.
        text: an IPv4 or IPv6 address, an IPv6 one perhaps with a zone.
        port: of the connection.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return "not an address"
    if port not in policy.ports:
        return f"port {port} is not approved"
    inner = tuple(_embedded(address)) if isinstance(address, IPv6Address) else ()
    # What only wraps another address is never approved itself; it may still be one of the forbidden.
    refusals = [_forbidden(policy, meant, port) for meant in (address, *inner)]
    refusals += [_unapproved(policy, meant) for meant in inner or (address,)]
    return next(filter(None, refusals), None)


def _forbidden(policy: OutboundPolicy, address: Address, port: int) -> str | None:
    if (address, port) in policy.own:
        return "an endpoint of this system"
    if address in METADATA:
        return "a metadata service"
    if address.is_loopback:
        return None if policy.loopback else "a loopback address"
    if address.is_link_local or getattr(address, "scope_id", None):
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    if address.is_unspecified or (address.version == 4 and address in NOWHERE):
        return "an unspecified address"
    return None


def _unapproved(policy: OutboundPolicy, address: Address) -> str | None:
    networks = (network for network in policy.allowed if network.version == address.version)
    if any(address in network for network in networks) or address.is_loopback:
        return None
    if address.is_global and not _is_special(address):
        return None
    return "not a public address, and not in an approved network"


def _is_special(address: Address) -> bool:
    # Python 3.11 calls these global; the registries of RFC 6890 do not.
    if isinstance(address, IPv6Address):
        return address.is_site_local or address.is_reserved
    return address.is_reserved or address in PROTOCOL_ASSIGNMENTS


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif _ends_with_an_address(address):
        yield low


def _ends_with_an_address(address: IPv6Address) -> bool:
    number = int(address)
    if any(address in network for network in LAST_FOUR_BYTES):
        return number > 1  # but for :: and ::1
    return (number >> 32) & 0xFFFFFFFF in ISATAP
