"""OpenLDAP's server, started for tests, and what tests put into it."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

import ldap3
import pytest

from deploy.local.process import LOOPBACK, Launch, ServerProcess, free_port, polled
from gateway.directory.settings import DirectorySettings
from tests.gateway.directory.authority import Authority

PROGRAM: Final = Path("/usr/sbin/slapd")
SUFFIX: Final = "dc=corp,dc=test"
ROOT: Final = f"cn=root,{SUFFIX}"
ROOT_PASSWORD: Final = "root-of-slapd"
SEARCHER: Final = f"cn=searcher,{SUFFIX}"
SEARCHER_PASSWORD: Final = "canary-searcher-password"
PASSWORD: Final = "canary Päss wörd"
MANY: Final = 2_000
MANY_BASE: Final = f"ou=many,{SUFFIX}"
OTHER_ADDRESS: Final = "127.0.0.2"
"""Where the same server answers too; its certificate does not say so."""
START_S: Final = 20.0
MANAGE_DSA_IT: Final = ("2.16.840.1.113730.3.4.2", True, None)
"""RFC 3296: let referrals be entries like others."""

CONFIGURATION: Final = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {directory}/slapd.pid
TLSCACertificateFile {directory}/ca.crt
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSVerifyClient never
database mdb
suffix "{suffix}"
rootdn "{root}"
rootpw {root_password}
directory {directory}/data
maxsize 268435456
dbnosync
index objectClass,uid,mail,member,entryUUID eq
limits dn.exact="{searcher}" size.soft=1000 size.hard=1000 size.pr=1000 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{searcher}" read by * none
overlay ppolicy
"""


@dataclass(frozen=True)
class Slapd:
    """A running server."""

    port: int
    tls_port: int
    authority: Authority
    process: ServerProcess

    def settings(self, base: str = SUFFIX, **changes: Any) -> DirectorySettings:
        """Settings with which the server can be used, but for the changes."""
        given = {
            "servers": (f"ldaps://{LOOPBACK}:{self.tls_port}",),
            "flavour": "ldap",
            "ca_pem": self.authority.pem,
            "bind_dn": SEARCHER,
            "bind_password": SEARCHER_PASSWORD,
            "base_dn": base,
        }
        return DirectorySettings.model_validate({**given, **changes})


class Place:
    """A branch of the server's tree that belongs to one test."""

    def __init__(self, slapd: Slapd) -> None:
        self.slapd = slapd
        self.base = f"ou=t{uuid4().hex[:12]},{SUFFIX}"
        self._root: Any = ldap3.Connection(
            ldap3.Server(LOOPBACK, port=slapd.port, get_info=ldap3.NONE),
            ROOT,
            ROOT_PASSWORD,
            auto_bind=True,
            raise_exceptions=True,
        )
        self.add(self.base, ["organizationalUnit"])

    def close(self) -> None:
        """End the administrator's connection."""
        self._root.unbind()

    def settings(self, **changes: Any) -> DirectorySettings:
        """Settings with this branch as the whole directory."""
        return self.slapd.settings(self.base, **changes)

    def add(self, dn: str, classes: Sequence[str], **attributes: Any) -> str:
        """An entry; returns its DN."""
        controls = [MANAGE_DSA_IT] if "referral" in classes else None
        self._root.add(dn, classes, attributes, controls=controls)
        return dn

    def add_user(self, uid: str, password: str = PASSWORD, **attributes: Any) -> str:
        """A user with a mail address of its own; returns the DN."""
        given = {"cn": uid, "sn": uid, "mail": f"{uid}@corp.test", "userPassword": password}
        extra = ["shadowAccount"] if "shadowExpire" in attributes else []
        return self.add(
            f"uid={uid},{self.base}",
            ["inetOrgPerson", *extra],
            **{"uid": uid, **given, **attributes},
        )

    def add_group(self, name: str, *members: str) -> str:
        """A group; returns its DN."""
        return self.add(f"cn={name},{self.base}", ["groupOfNames"], cn=name, member=list(members))

    def change(self, dn: str, **attributes: Any) -> None:
        """Replace attributes."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, value if isinstance(value, list) else [value])]
            for name, value in attributes.items()
        }
        self._root.modify(dn, changes)

    def delete(self, dn: str) -> None:
        """Remove an entry."""
        self._root.delete(dn)

    def rename(self, dn: str, to: str) -> None:
        """Give an entry another first part."""
        self._root.modify_dn(dn, to)


@asynccontextmanager
async def running_slapd(
    directory: Path, authority: Authority, *, many: int = 0, tls_port: int = 0
) -> AsyncIterator[Slapd]:
    """A server with a searching account, and `many` users under `MANY_BASE`; ended at the end."""
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} is not there: apt install slapd")
    (directory / "data").mkdir(exist_ok=True)
    (directory / "ca.crt").write_text(authority.pem)
    certificate, key = authority.issue(LOOPBACK, directory)
    configuration = directory / "slapd.conf"
    configuration.write_text(
        CONFIGURATION.format(
            directory=directory,
            certificate=certificate,
            key=key,
            suffix=SUFFIX,
            root=ROOT,
            root_password=ROOT_PASSWORD,
            searcher=SEARCHER,
        )
    )
    if not (directory / "data" / "data.mdb").exists():
        await asyncio.to_thread(_load, configuration, _first_entries(many))
    port, tls_port = free_port(), tls_port or free_port()
    addresses = (
        f"ldap://{LOOPBACK}:{port} ldap://{OTHER_ADDRESS}:{port}"
        f" ldaps://{LOOPBACK}:{tls_port} ldaps://{OTHER_ADDRESS}:{tls_port}"
    )
    process = await ServerProcess.start(
        Launch(
            "slapd",
            (str(PROGRAM), "-d", "0", "-h", addresses, "-f", str(configuration)),
            directory,
            lambda status, lines: "See its log.",
        )
    )
    try:
        await process.until(polled(partial(listening, LOOPBACK, tls_port)), START_S)
        yield Slapd(port, tls_port, authority, process)
    finally:
        await process.stop(START_S)


async def listening(address: str, port: int) -> Literal[True] | None:
    """Whether somebody listens there."""
    try:
        _, writer = await asyncio.open_connection(address, port)
    except OSError:
        return None
    writer.close()
    return True


def _load(configuration: Path, text: str) -> None:
    subprocess.run(
        [str(PROGRAM.with_name("slapadd")), "-q", "-f", str(configuration)],
        input=text.encode(),
        capture_output=True,
        check=True,
    )


def _first_entries(many: int) -> str:
    entries: list[Mapping[str, object]] = [
        {"dn": SUFFIX, "objectClass": ["dcObject", "organization"], "dc": "corp", "o": "corp"},
        {
            "dn": SEARCHER,
            "objectClass": ["organizationalRole", "simpleSecurityObject"],
            "cn": "searcher",
            "userPassword": SEARCHER_PASSWORD,
        },
        {"dn": MANY_BASE, "objectClass": "organizationalUnit", "ou": "many"},
    ]
    entries += [
        {
            "dn": f"uid=user{number},{MANY_BASE}",
            "objectClass": "inetOrgPerson",
            "uid": f"user{number}",
            "cn": "one of many",
            "sn": "many",
        }
        for number in range(many)
    ]
    if many:
        members = [f"uid=user{number},{MANY_BASE}" for number in range(many)]
        group = {"objectClass": "groupOfNames", "cn": "all", "member": members}
        entries.append({"dn": f"cn=all,{MANY_BASE}", **group})
    return "\n".join(_ldif(entry) for entry in entries)


def _ldif(entry: Mapping[str, object]) -> str:
    return "".join(
        f"{name}: {value}\n"
        for name, values in entry.items()
        for value in (values if isinstance(values, list) else [values])
    )
