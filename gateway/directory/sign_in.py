"""Signing in: search, then bind as what was found. A DN is never put together from what somebody typed."""

from collections.abc import Callable, Sequence
from typing import Final

from gateway.directory.account import DENIALS_OF_AD, ad_data
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.ldap import (
    CONSTRAINT_VIOLATION,
    INAPPROPRIATE_AUTHENTICATION,
    INVALID_CREDENTIALS,
    NO_SUCH_OBJECT,
    SUCCESS,
    UNWILLING_TO_PERFORM,
    BindAnswer,
    Entry,
    LdapConnection,
)
from gateway.directory.names import Alternative
from gateway.directory.people import AccountState, Denial, Denied, DirectoryUser
from gateway.directory.search import Search
from gateway.directory.servers import Servers
from gateway.directory.settings import DirectorySettings, Server

DENIALS: Final[dict[int, Denial]] = {
    INVALID_CREDENTIALS: Denial.WRONG_PASSWORD,
    INAPPROPRIATE_AUTHENTICATION: Denial.WRONG_PASSWORD,
    NO_SUCH_OBJECT: Denial.UNKNOWN,
    CONSTRAINT_VIOLATION: Denial.LOCKED,
    UNWILLING_TO_PERFORM: Denial.DISABLED,
}
"""What results of a bind mean; 19 and 53 as 389 Directory Server uses them. All others are faults."""


def signed_in(
    servers: Servers,
    settings: DirectorySettings,
    meant: Sequence[Alternative],
    password: str,
) -> DirectoryUser | Denied:
    """Who has one of the names that are meant, and this password. Blocks.

    Raises:
        DirectoryError: the directory could not be asked.
    """
    return _bound(servers, settings, lambda search: search.named(meant), password)


def confirmed(
    servers: Servers, settings: DirectorySettings, key: str, password: str
) -> DirectoryUser | Denied:
    """The user of a key, if this is his password. Blocks.

    Raises:
        DirectoryError: the directory could not be asked.
        ValueError: it is no key.
    """
    return _bound(servers, settings, lambda search: search.keyed(key), password)


def _bound(
    servers: Servers,
    settings: DirectorySettings,
    find: Callable[[Search], list[Entry]],
    password: str,
) -> DirectoryUser | Denied:
    def ask(connection: LdapConnection, server: Server) -> DirectoryUser | Denied:
        search = Search(connection, settings)
        found = find(search)
        if len(found) != 1:
            return Denied(Denial.AMBIGUOUS if found else Denial.UNKNOWN)
        answer = connection.bind(found[0].dn, password)
        if answer.code != SUCCESS:
            return denied(answer, server)
        # Users need not be allowed to read groups; the searching account is.
        servers.bind(connection, server)
        user = search.user(found[0])
        # A server that lets a disabled account bind does not make it ours to let in.
        return user if user.state is AccountState.ACTIVE else Denied(Denial(user.state.value))

    return servers.asked(ask)


def denied(answer: BindAnswer, server: Server) -> Denied:
    """Why a password was not taken.

    Raises:
        DirectoryError: the answer is about the server, not about the password.
    """
    denial = DENIALS.get(answer.code)
    if denial is None:
        raise DirectoryError(
            Trouble.BAD_ANSWER, f"{server} answered a password with result {answer.code}"
        )
    data = ad_data(answer.message)
    return Denied(
        DENIALS_OF_AD.get(data, denial), f"{answer.code} data {data}" if data else f"{answer.code}"
    )
