"""A domain controller of Active Directory (Samba's), started for tests without systemd.

Its LDAP ports are fixed (389, 636), so it gets a loopback address of its own, and needs root.
"""

import asyncio
import os
import random
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import ldap3
import pytest

from deploy.local.process import Launch, ServerProcess, polled
from gateway.directory.settings import DirectorySettings
from tests.gateway.directory.authority import Authority
from tests.gateway.directory.slapd import listening

PROGRAMS: Final = {
    Path("/usr/sbin/samba"): "samba-ad-dc",
    Path("/usr/bin/samba-tool"): "samba-ad-dc",
    Path("/usr/share/samba/setup/provision.ldif"): "samba-ad-provision",
    Path("/usr/lib/x86_64-linux-gnu/samba/ldb/samba_dsdb.so"): "samba-dsdb-modules",
}
SUFFIX: Final = "DC=corp,DC=test"
ADMINISTRATOR: Final = f"CN=Administrator,CN=Users,{SUFFIX}"
ADMINISTRATOR_PASSWORD: Final = "canary-Pr0vision!Admin"
PASSWORD: Final = "canary Pässw0rd 1"
TLS_PORT: Final = 636
LOCKED_AFTER: Final = 3
HALF_AN_HOUR: Final = "-18000000000"
"""AD's durations are negative and in units of 100 ns."""
NORMAL_ACCOUNT: Final = 0x200
DISABLED_ACCOUNT: Final = 0x202
PROVISION_S: Final = 110.0
START_S: Final = 60.0

CONFIGURATION: Final = """
[global]
    netbios name = DC1
    realm = CORP.TEST
    workgroup = CORP
    server role = active directory domain controller
    server services = ldap
    interfaces = {address}/8
    bind interfaces only = yes
    private dir = {directory}/private
    lock directory = {directory}
    state directory = {directory}/state
    cache directory = {directory}/cache
    pid directory = {directory}
    ncalrpc dir = {directory}/ncalrpc
    binddns dir = {directory}/bind-dns
    log file = {directory}/samba.%m
    tls enabled = yes
    tls cafile = {directory}/ca.crt
    tls certfile = {certificate}
    tls keyfile = {key}
"""


@dataclass(frozen=True)
class Domain:
    """A running domain controller."""

    address: str
    authority: Authority

    def settings(self, base: str = SUFFIX, **changes: Any) -> DirectorySettings:
        """Settings with which it can be used, but for the changes."""
        given = {
            "servers": (f"ldaps://{self.address}",),
            "flavour": "active_directory",
            "ca_pem": self.authority.pem,
            "bind_dn": ADMINISTRATOR,
            "bind_password": ADMINISTRATOR_PASSWORD,
            "base_dn": base,
            "netbios_domain": "CORP",
        }
        return DirectorySettings.model_validate({**given, **changes})


class Unit:
    """An organizational unit of one test. Account names are the domain's: `name` makes new ones."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._id = uuid4().hex[:8]
        self.base = f"OU=t{self._id},{SUFFIX}"
        self._root: Any = administrator(domain.address)
        self._root.add(self.base, ["organizationalUnit"])

    def close(self) -> None:
        """End the administrator's connection."""
        self._root.unbind()

    def name(self, name: str) -> str:
        """A name that no other test uses."""
        return f"{name}-{self._id}"

    def settings(self, **changes: Any) -> DirectorySettings:
        """Settings for the whole domain, with this unit as the place of groups."""
        return self.domain.settings(**{"group_base": self.base, **changes})

    def add_user(self, name: str, control: int = NORMAL_ACCOUNT, **attributes: Any) -> str:
        """A user with a mail address and a principal name; returns the DN."""
        account = self.name(name)
        dn = f"CN={account},{self.base}"
        given = {
            "sAMAccountName": account,
            "userPrincipalName": f"{account}@people.test",
            "mail": f"{account}@mail.test",
            "displayName": name.title(),
            "unicodePwd": f'"{PASSWORD}"'.encode("utf-16-le"),
            "userAccountControl": control,
        }
        self._root.add(dn, ["user"], {**given, **attributes})
        return dn

    def add_group(self, name: str, *members: str) -> str:
        """A group; returns its DN."""
        account = self.name(name)
        dn = f"CN={account},{self.base}"
        attributes: dict[str, Any] = {"sAMAccountName": account}
        if members:
            attributes["member"] = list(members)
        self._root.add(dn, ["group"], attributes)
        return dn

    def change(self, dn: str, **attributes: Any) -> None:
        """Replace attributes; an empty list removes one."""
        self._root.modify(
            dn,
            {
                name: [(ldap3.MODIFY_REPLACE, value if isinstance(value, list) else [value])]
                for name, value in attributes.items()
            },
        )

    def delete(self, dn: str) -> None:
        """Remove an entry."""
        self._root.delete(dn)

    def rename(self, dn: str, to: str) -> None:
        """Give an entry another first part."""
        self._root.modify_dn(dn, to)


def administrator(address: str) -> Any:
    """A connection with all rights."""
    return ldap3.Connection(
        ldap3.Server(address, port=TLS_PORT, use_ssl=True, get_info=ldap3.NONE),
        ADMINISTRATOR,
        ADMINISTRATOR_PASSWORD,
        auto_bind=True,
        raise_exceptions=True,
        check_names=False,
    )


@asynccontextmanager
async def running_samba(directory: Path, authority: Authority) -> AsyncIterator[Domain]:
    """A new domain with its controller; ended at the end."""
    for program, package in PROGRAMS.items():
        if not program.exists():
            pytest.fail(f"{program} is not there: apt install {package}")
    if os.geteuid() != 0:
        pytest.fail("Samba's domain controller has fixed ports below 1024: run these tests as root")
    address = _free_address()
    await asyncio.to_thread(_provision, directory / "domain")
    (directory / "ca.crt").write_text(authority.pem)
    certificate, key = authority.issue(address, directory)
    home = directory / "domain"
    for name in ("cache", "ncalrpc"):
        (home / name).mkdir(exist_ok=True)
    (home / "ca.crt").write_text(authority.pem)
    configuration = directory / "smb.conf"
    configuration.write_text(
        CONFIGURATION.format(address=address, directory=home, certificate=certificate, key=key)
    )
    process = await ServerProcess.start(
        Launch(
            "samba",
            (
                *("/usr/sbin/samba", "--interactive", "--model=single", "--debug-stdout"),
                *("--no-process-group", f"--configfile={configuration}"),
            ),
            directory,
            lambda status, lines: "See its log.",
        )
    )
    try:
        await process.until(polled(partial(listening, address, TLS_PORT)), START_S)
        await asyncio.to_thread(_set_lockout, address)
        yield Domain(address, authority)
    finally:
        await process.stop(START_S)


def _provision(home: Path) -> None:
    subprocess.run(
        [
            *("/usr/bin/samba-tool", "domain", "provision", f"--targetdir={home}"),
            *("--realm=CORP.TEST", "--domain=CORP", "--server-role=dc", "--dns-backend=NONE"),
            *(f"--adminpass={ADMINISTRATOR_PASSWORD}", "--host-name=dc1", "--host-ip=127.0.0.1"),
        ],
        capture_output=True,
        check=True,
        timeout=PROVISION_S,
    )


def _set_lockout(address: str) -> None:
    connection = administrator(address)
    connection.modify(
        SUFFIX,
        {
            "lockoutThreshold": [(ldap3.MODIFY_REPLACE, [LOCKED_AFTER])],
            "lockoutDuration": [(ldap3.MODIFY_REPLACE, [HALF_AN_HOUR])],
            "lockOutObservationWindow": [(ldap3.MODIFY_REPLACE, [HALF_AN_HOUR])],
        },
    )
    connection.unbind()


def _free_address() -> str:
    while True:
        parts = (random.randrange(10, 250) for _ in range(3))  # noqa: S311 - not a secret
        address = ".".join(("127", *map(str, parts)))
        with closing(socket.socket()) as probe:
            try:
                probe.bind((address, TLS_PORT))
            except OSError:
                continue
        return address
