"""A tenant's directory: who has this name and password, who is this, who is there at all.

Every answer comes from a server whose certificate and name were checked. When none can be asked, an
exception says so and nobody is let in.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Final, TypeVar

import structlog

from actors.protocol.roles import Role
from gateway.directory.addresses import AddressesOf, anywhere_it_leads
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.findings import findings
from gateway.directory.ldap import LdapConnection
from gateway.directory.names import alternatives, password_may_be_asked
from gateway.directory.people import Denial, Denied, DirectoryUser, Finding, Page
from gateway.directory.roles import role_of
from gateway.directory.search import Search
from gateway.directory.servers import Servers, none_left, noted
from gateway.directory.settings import DirectorySettings, Server
from gateway.directory.sign_in import confirmed, signed_in

log = structlog.get_logger(__name__)

CALLS_MAX: Final = 4
"""Calls to one directory at once; each holds a thread for as long as its server takes."""
WAITING_MAX: Final = 32
"""Calls that may wait for a thread; more are told to come back."""

T = TypeVar("T")


def _closed() -> DirectoryError:
    return DirectoryError(Trouble.BUSY, "the settings have been changed in this moment")


class Directory:
    """One tenant's directory. Safe to use from many tasks; `close` it in the end.

    Threads are its own, so that a tenant whose servers hang holds up nobody else's sign-ins.
    """

    def __init__(
        self, settings: DirectorySettings, addresses: AddressesOf = anywhere_it_leads
    ) -> None:
        self._settings = settings
        self._servers = Servers(settings, addresses)
        self._threads = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="directory")
        self._places = BoundedSemaphore(CALLS_MAX + WAITING_MAX)

    async def authenticate(self, name: str, password: str) -> DirectoryUser | Denied:
        """Who has this name and password; or why nobody is let in, for the log.

        Args:
            name: a user name or e-mail address; in Active Directory also a principal name or
                DOMAIN\\name.
            password: as typed.

        Raises:
            DirectoryError: the directory could not be asked. Nobody is let in.
        """
        meant = alternatives(name, self._settings)
        if meant and password_may_be_asked(password):
            answer = await self._call(
                partial(signed_in, self._servers, self._settings, meant, password)
            )
        else:
            answer = Denied(Denial.BAD_INPUT)
        if isinstance(answer, Denied):
            # Without the name: people type their password there.
            log.info("directory.denied", denial=answer.denial, code=answer.code)
        return answer

    async def confirm(self, key: str, password: str) -> DirectoryUser | Denied:
        """The user of a key, if this is his password; or why not, for the log.

        Args:
            key: who he is to the directory.
            password: as typed.

        Raises:
            DirectoryError: the directory could not be asked.
            ValueError: it is no key.
        """
        if not password_may_be_asked(password):
            return Denied(Denial.BAD_INPUT)
        answer = await self._call(partial(confirmed, self._servers, self._settings, key, password))
        if isinstance(answer, Denied):
            log.info("directory.denied", denial=answer.denial, code=answer.code)
        return answer

    async def look_up(self, key: str) -> DirectoryUser | None:
        """The user of a key as it is now, perhaps disabled; None if it is gone.

        Raises:
            DirectoryError: the directory could not be asked, which says nothing about the user.
            ValueError: it is no key.
        """

        def ask(connection: LdapConnection, _: Server) -> DirectoryUser | None:
            search = Search(connection, self._settings)
            found = search.keyed(key)
            if len(found) > 1:
                raise DirectoryError(Trouble.NOT_AS_SET, "one key belongs to two entries")
            return search.user(found[0]) if found else None

        return await self._call(partial(self._servers.asked, ask))

    async def knows(self, names: Sequence[str]) -> bool:
        """Whether one of the names is somebody's, may he sign in or not.

        Args:
            names: as somebody would type them to sign in.

        Raises:
            DirectoryError: the directory could not be asked, which says nothing about the names.
        """
        meant = [way for name in names for way in alternatives(name, self._settings)]

        def ask(connection: LdapConnection, _: Server) -> bool:
            # Asked even if none can be a name: whether it answers must not depend on the names.
            return bool(meant and Search(connection, self._settings).named(meant))

        return await self._call(partial(self._servers.asked, ask))

    async def users(self) -> AsyncIterator[Page]:
        """All users, a page at a time, with their groups.

        Only the whole answer is one: who is missing is gone only if this ends without an exception.

        Raises:
            DirectoryError: the directory could not be asked, or stopped answering.
        """
        pages = self._pages()
        try:
            while (page := await self._call(partial(next, pages, None))) is not None:
                yield page
        finally:
            # Were we cancelled, a thread is still in it; the connection ends with the last reference.
            with suppress(ValueError):
                pages.close()

    async def check(self) -> list[Finding]:
        """Test the connection: every server, the searching account, users, groups.

        Raises:
            DirectoryError: too many calls wait; all other trouble is among the findings.
        """
        return await self._call(lambda: list(findings(self._servers, self._settings)))

    def role_of(self, user: DirectoryUser) -> Role | None:
        """The role that the groups of a user give; None if none does."""
        return role_of(user.groups, self._settings.roles)

    def close(self) -> None:
        """Let the threads end once they are idle."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise DirectoryError(Trouble.BUSY, "too many calls wait for the directory")
        try:
            future = self._threads.submit(work)
        except RuntimeError:
            self._places.release()
            raise _closed() from None
        # The place is free when the thread is, not when a caller stops waiting for it.
        future.add_done_callback(lambda _: self._places.release())
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                # Not the caller was told to stop: the directory was closed while he waited in line.
                raise _closed() from None
            raise

    def _pages(self) -> Generator[Page, None, None]:
        failed: list[DirectoryError] = []
        for server in self._servers.in_order():
            begun = False
            try:
                with self._servers.opened(server) as connection:
                    for page in Search(connection, self._settings).pages():
                        begun = True
                        yield page
                return
            except DirectoryError as error:
                if begun:
                    # Another server may order its users otherwise: no going on in the middle.
                    raise
                failed.append(noted(server, error))
        raise none_left(failed)
