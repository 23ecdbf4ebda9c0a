"""Where a server's name leads, and whether we may go there: a tenant's administrator names the servers.

Directories are usually internal, so private networks may be called; at the ports of LDAP only, and never
this machine, a link's neighbours or a cloud's metadata. The connection goes to the very address that was
judged: a name may lead elsewhere a moment later.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from actors.protocol.outbound import OutboundPolicy, approved_networks, refusal_of_address
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.settings import Server

LDAP_PORTS: Final = frozenset({389, 636, 3268, 3269})
"""LDAP and LDAPS, and those of Active Directory's global catalogue."""
PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""RFC 1918, RFC 6598, RFC 4193."""
ADDRESSES_MAX: Final = 4
"""Addresses of one name that are tried; a domain's name may lead to every controller it has."""

AddressesOf = Callable[[Server], Sequence[str | None]]
"""The addresses of a server that may be called, one at least; None: whatever its name leads to. Blocks."""


def anywhere_it_leads(_server: Server) -> Sequence[str | None]:
    """No judgement: for whoever names the servers himself."""
    return (None,)


def judged_addresses(*, loopback: bool) -> AddressesOf:
    """The judgement of what administrators of tenants have named.

    Args:
        loopback: whether this very machine may be called too, at any port; its operator says so.
    """
    policy = OutboundPolicy(approved_networks(PRIVATE), LDAP_PORTS, loopback=loopback)

    def judge(server: Server) -> Sequence[str | None]:
        found = _resolved(server)
        for address in found:
            judging = policy
            if loopback and ip_address(address.partition("%")[0]).is_loopback:
                judging = replace(policy, ports=frozenset({server.port}))
            refusal = refusal_of_address(judging, address, server.port)
            if refusal is not None:
                # The address itself is not told: whoever asks could read our name service with it.
                raise DirectoryError(Trouble.ADDRESS_REFUSED, f"{server} leads to {refusal}")
        return found[:ADDRESSES_MAX]

    return judge


def _resolved(server: Server) -> list[str]:
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise DirectoryError(Trouble.UNREACHABLE, f"{server} has no address") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
