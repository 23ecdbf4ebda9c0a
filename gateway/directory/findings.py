"""Testing a connection: what an administrator wants to know before people sign in through it."""

from collections.abc import Iterator

from gateway.directory.entries import key_of, text_of
from gateway.directory.errors import TODO, DirectoryError
from gateway.directory.ldap import LdapConnection, equals
from gateway.directory.people import Finding, Level
from gateway.directory.roles import RoleRule
from gateway.directory.search import NO_ATTRIBUTES
from gateway.directory.servers import Servers
from gateway.directory.settings import DirectorySettings, Flavour, Server, TlsMode


def findings(servers: Servers, settings: DirectorySettings) -> Iterator[Finding]:
    """What is to be said of a directory. Blocks; trouble is a finding, never an exception."""
    if settings.tls is TlsMode.PLAIN:
        yield Finding(Level.WARNING, "plain", "Passwords travel unencrypted, on this machine only.")
    usable: Server | None = None
    for server in settings.addresses:
        try:
            with servers.opened(server):
                usable = usable or server
                yield Finding(Level.OK, "server", f"{server} can be asked.")
        except DirectoryError as error:
            yield _of_error(error)
    if usable is None:
        return
    try:
        with servers.opened(usable) as connection:
            yield from _of_users(connection, settings)
            yield from _of_groups(connection, settings)
    except DirectoryError as error:
        yield _of_error(error)


def _of_error(error: DirectoryError) -> Finding:
    return Finding(Level.ERROR, error.trouble, f"{error.happened}. {TODO[error.trouble]}")


def _of_users(connection: LdapConnection, settings: DirectorySettings) -> Iterator[Finding]:
    names = settings.names
    wanted = (names.key, names.username, names.email)
    found = connection.find(settings.base_dn, settings.user_filter, wanted, 1)
    if not found:
        yield Finding(Level.ERROR, "no_users", "The user filter finds nobody below the base DN.")
        return
    raw = found[0].raw
    if key_of(raw, names.key) is None:
        yield Finding(
            Level.ERROR,
            "no_key",
            f"A user has no {names.key} that is a UUID, so nobody can be known.",
        )
    if not text_of(raw, names.username):
        yield Finding(Level.ERROR, "no_username", f"A user has no {names.username}.")
    if not text_of(raw, names.email):
        yield Finding(Level.WARNING, "no_email", f"A user has no {names.email}.")
    yield Finding(Level.OK, "users", "Users are found.")


def _of_groups(connection: LdapConnection, settings: DirectorySettings) -> Iterator[Finding]:
    if not settings.roles:
        yield Finding(Level.WARNING, "no_roles", "No group gives a role, so nobody gets in.")
    for rule in settings.roles:
        if not connection.find(
            settings.groups_under,
            f"(&{settings.group_filter}{_meant(rule, settings)})",
            NO_ATTRIBUTES,
            1,
        ):
            yield Finding(
                Level.WARNING,
                "group_missing",
                f"The group {rule.group} is not below the group base.",
            )


def _meant(rule: RoleRule, settings: DirectorySettings) -> str:
    if "=" not in rule.group:
        return equals("cn", rule.group)
    in_ad = settings.flavour is Flavour.ACTIVE_DIRECTORY
    return equals("distinguishedName" if in_ad else "entryDN", rule.group)
