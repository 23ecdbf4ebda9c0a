"""What an operator sets to connect a directory. Nothing here is read from the environment."""

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from gateway.directory import dn
from gateway.directory.roles import RoleRule

SERVERS_MAX: Final = 8
PORTS: Final = {"ldap": 389, "ldaps": 636}
DEFAULT_NAMES: Final = {
    "active_directory": {
        "key": "objectGUID",
        "username": "sAMAccountName",
        "user_filter": "(&(objectCategory=person)(objectClass=user))",
        "group_filter": "(objectClass=group)",
    },
    "ldap": {
        "key": "entryUUID",
        "username": "uid",
        "user_filter": "(objectClass=person)",
        "group_filter": "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)"
        "(objectClass=posixGroup))",
    },
}
"""What a directory of each flavour calls things, where the settings don't say."""

AttributeName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1024)]


class Flavour(StrEnum):
    """Whose rules a directory follows."""

    ACTIVE_DIRECTORY = "active_directory"
    LDAP = "ldap"


class TlsMode(StrEnum):
    """How a connection is kept from being read on the way."""

    LDAPS = "ldaps"
    STARTTLS = "starttls"
    PLAIN = "plain"


class Names(BaseModel):
    """Names of attributes; an empty one is that of the flavour.

    Attributes:
        key: what stays the same when somebody is renamed; a UUID, as 16 bytes or as text.
        member: which attribute of a group lists its members; with `memberUid` by user name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: AttributeName = ""
    username: AttributeName = ""
    email: AttributeName = "mail"
    display_name: AttributeName = "displayName"
    member: AttributeName = "member"


class Server(BaseModel):
    """One server: where it listens, and the host name that its certificate must hold."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int
    ldaps: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.ldaps else 'ldap'}://{host}:{self.port}"


class DirectorySettings(BaseModel):
    """One tenant's directory. Errors of validation do not repeat what was put in.

    Attributes:
        servers: `ldaps://host[:port]` or `ldap://host[:port]`, asked in this order.
        tls: plain needs `allow_plain` and servers on this very machine.
        ca_file, ca_pem: who signs the servers' certificates; without either, the system's list.
        bind_dn: who searches; empty for an anonymous search (not in Active Directory).
        netbios_domain: the DOMAIN of DOMAIN\\name; without it that form is refused.
        group_base: groups outside of it give nothing; empty for the base DN.
        connect_s, receive_s, call_s: seconds for a connection, for silence, for one call in all.
        roles: which groups give which role.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    servers: tuple[str, ...] = Field(min_length=1, max_length=SERVERS_MAX)
    flavour: Flavour
    tls: TlsMode = TlsMode.LDAPS
    allow_plain: bool = False
    ca_file: Path | None = None
    ca_pem: str = Field(default="", repr=False)
    bind_dn: Text = ""
    bind_password: SecretStr = SecretStr("")
    base_dn: Text = Field(min_length=1)
    netbios_domain: Text = ""
    names: Names = Names()
    user_filter: Text = ""
    group_filter: Text = ""
    group_base: Text = ""
    connect_s: float = Field(default=5.0, gt=0, le=60)
    receive_s: float = Field(default=10.0, gt=0, le=120)
    call_s: float = Field(default=20.0, gt=0, le=300)
    page_size: int = Field(default=500, ge=1, le=1000)
    """Active Directory gives 1,000 at most, whatever is asked for."""
    roles: tuple[RoleRule, ...] = Field(default=(), max_length=500)

    @field_validator("servers")
    @classmethod
    def _are_addresses(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for url in servers:
            server_of(url)
        return servers

    @field_validator("user_filter", "group_filter")
    @classmethod
    def _is_a_filter(cls, text: str) -> str:
        if text and not (text.startswith("(") and _closes_at_its_end(text)):
            raise ValueError("a filter is one pair of parentheses around all of it")
        return text

    @field_validator("base_dn", "group_base")
    @classmethod
    def _is_a_dn(cls, text: str) -> str:
        if text:
            dn.parse(text)
        return text

    @model_validator(mode="before")
    @classmethod
    def _with_the_names_of_the_flavour(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        defaults = DEFAULT_NAMES.get(str(given.get("flavour", "")), {})
        names = given.get("names", {})
        names = names.model_dump() if isinstance(names, Names) else dict(names)
        for name in ("key", "username"):
            names[name] = names.get(name) or defaults.get(name, "")
        filters = {
            name: given.get(name) or defaults.get(name, "")
            for name in ("user_filter", "group_filter")
        }
        return {**given, **filters, "names": names}

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        servers = self.addresses
        if any(server.ldaps != (self.tls is TlsMode.LDAPS) for server in servers):
            raise ValueError("ldaps:// goes with tls ldaps; ldap:// with starttls or plain")
        if self.tls is TlsMode.PLAIN:
            if not self.allow_plain:
                raise ValueError("without TLS passwords could be read; use ldaps or starttls")
            if not all(_is_loopback(server.host) for server in servers):
                raise ValueError("without TLS a server must be on this very machine")
        if self.ca_file and self.ca_pem:
            raise ValueError("give ca_file or ca_pem, not both")
        if bool(self.bind_dn) != bool(self.bind_password.get_secret_value().strip()):
            raise ValueError("bind_dn and bind_password go together")
        if self.flavour is Flavour.ACTIVE_DIRECTORY and not self.bind_dn:
            raise ValueError("Active Directory lets nobody search without a bind DN")
        return self

    @property
    def addresses(self) -> tuple[Server, ...]:
        """The servers, taken apart."""
        return tuple(server_of(url) for url in self.servers)

    @property
    def groups_under(self) -> str:
        """Where groups are looked for."""
        return self.group_base or self.base_dn


def server_of(url: str) -> Server:
    """The server that a URL names.

    Raises:
        ValueError: it is not just a scheme, a host and perhaps a port.
    """
    parts = urlsplit(url)
    plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme not in PORTS or not parts.hostname or not plain or "@" in parts.netloc:
        raise ValueError("a server is ldap://host[:port] or ldaps://host[:port]")
    if re.search(r"[\s\x00-\x20]", url):
        raise ValueError("a server's address has no spaces")
    port = parts.port or PORTS[parts.scheme]
    return Server(host=parts.hostname, port=port, ldaps=parts.scheme == "ldaps")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _closes_at_its_end(text: str) -> bool:
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth <= 0 and place < len(text) - 1:
            return False
    return depth == 0
