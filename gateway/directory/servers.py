"""The servers of one directory: which is asked, and what happens when it can't be."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import TypeVar

import structlog

from gateway.directory.addresses import AddressesOf, anywhere_it_leads
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.ldap import (
    INVALID_CREDENTIALS,
    SUCCESS,
    BindAnswer,
    LdapConnection,
    tls_context,
)
from gateway.directory.settings import DirectorySettings, Server

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Servers:
    """Opens connections that act as the searching account. Blocks; safe to use from many threads."""

    def __init__(
        self, settings: DirectorySettings, addresses: AddressesOf = anywhere_it_leads
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._all = settings.addresses
        self._preferred = self._all[0]

    @contextmanager
    def opened(self, server: Server) -> Iterator[LdapConnection]:
        """A connection to one server, as the searching account.

        Raises:
            DirectoryError: it can't be had.
        """
        # Made for each connection: a file that was replaced counts from then on.
        connection = self._connected(server, tls_context(self._settings))
        with closing(connection):
            self.bind(connection, server)
            yield connection

    def _connected(self, server: Server, context: ssl.SSLContext) -> LdapConnection:
        *others, last = self._addresses(server)
        for address in others:
            with suppress(DirectoryError):
                return LdapConnection(self._settings, server, context, address)
        return LdapConnection(self._settings, server, context, last)

    def bind(self, connection: LdapConnection, server: Server) -> None:
        """Let the connection act as the searching account (again).

        Raises:
            DirectoryError: the server does not let it in.
        """
        if not self._settings.bind_dn:
            return
        password = self._settings.bind_password.get_secret_value()
        answer = connection.bind(self._settings.bind_dn, password)
        if answer.code != SUCCESS:
            raise refused(answer, server)

    def asked(self, work: Callable[[LdapConnection, Server], T]) -> T:
        """What `work` makes of the first server that can be asked.

        Raises:
            DirectoryError: none can, or one answered that it will not do.
        """
        failed: list[DirectoryError] = []
        for server in self.in_order():
            try:
                with self.opened(server) as connection:
                    answer = work(connection, server)
            except DirectoryError as error:
                failed.append(noted(server, error))
            else:
                self.prefer(server)
                return answer
        raise none_left(failed)

    def in_order(self) -> tuple[Server, ...]:
        """All servers, the one that answered last before the others."""
        first = self._preferred
        return (first, *(server for server in self._all if server != first))

    def prefer(self, server: Server) -> None:
        """Ask this one first from now on: a dead one would cost every sign-in its timeout."""
        self._preferred = server


def noted(server: Server, error: DirectoryError) -> DirectoryError:
    """Log the trouble of one server and go on, if another may do better.

    Raises:
        DirectoryError: none may.
    """
    log.warning("directory.server_failed", server=str(server), trouble=error.trouble)
    if not error.is_of_one_server:
        raise error
    return error


def none_left(failed: list[DirectoryError]) -> DirectoryError:
    """What to raise when all servers have failed."""
    if len(failed) == 1:
        return failed[0]
    return DirectoryError(failed[-1].trouble, "; ".join(error.happened for error in failed))


def refused(answer: BindAnswer, server: Server) -> DirectoryError:
    """Why the searching account was not let in."""
    what = f"{server} does not let the searching account in (result {answer.code})"
    if answer.code == INVALID_CREDENTIALS:
        return DirectoryError(Trouble.BIND_REFUSED, what)
    return DirectoryError(_TROUBLES.get(answer.code, Trouble.BIND_REFUSED), what)


_TROUBLES = {51: Trouble.BAD_ANSWER, 52: Trouble.BAD_ANSWER, 80: Trouble.BAD_ANSWER}
"""busy, unavailable, other: of this server, not of the account."""
