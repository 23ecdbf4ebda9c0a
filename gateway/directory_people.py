"""People whom a directory keeps, as users of a tenant: made when they first sign in, and kept in step.

Nobody becomes a user of the directory by having the name of a local one: the tenant's actor refuses a name
that is taken. Who he is says the directory's key, from which the user's id is made.
"""

import secrets
from typing import Any, Final

import structlog

from actors.client import ActorClient
from actors.protocol.commands import Command, CreateUser, Origin, SynchroniseUser
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM, derived_id
from actors.protocol.limits import NAME_CHARS_MAX
from actors.protocol.roles import Role
from gateway.directories import Directories
from gateway.directory.directory import Directory
from gateway.directory.errors import DirectoryError, Trouble
from gateway.directory.people import Denied, DirectoryUser
from store.rows import UserRow
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)

RECORDER: Final = "directory"
"""In whose name it is recorded what a directory says."""
GONE: Final = "the directory does not know him any more"
NO_DIRECTORY: Final = "the tenant has no directory any more"
NO_ROLE: Final = "none of his groups gives a role"


class DirectoryPeople:
    """Signs people in with the directories of their tenants."""

    def __init__(self, actors: ActorClient, directories: Directories) -> None:
        self._actors = actors
        self._directories = directories

    async def authenticated(
        self, reader: TenantReader, name: str, password: str, origin: Origin
    ) -> UserRow | None:
        """The active user who has this name and password in the directory of a tenant; None if there
        is no directory, or it knows nobody of the kind.

        Raises:
            Refusal: `UNAVAILABLE`: the directory could not be asked; nobody is let in.
            OutcomeUnknown: no receipt in time.
        """
        try:
            directory = await self._directories.of(reader)
            if directory is None:
                return None
            answer = await directory.authenticate(name, password)
        except DirectoryError as error:
            raise unavailable(reader.tenant, error) from None
        if isinstance(answer, Denied):
            return None
        user = derived_id("usr", reader.tenant, "directory", answer.key)
        row = await reader.user(user)
        role = directory.role_of(answer)
        if row is None and role is not None:
            await self._create(reader.tenant, user, answer, role, origin)
            row = await reader.user(user)
        if row is None or not await self._in_step(reader, row, answer, role):
            return None
        row = await reader.user(user)
        return row if row is not None and row.is_active else None

    async def confirmed(self, reader: TenantReader, row: UserRow, password: str) -> bool:
        """Whether a user of the directory has this password there. He is asked for by his key: his name
        may be another one now, and somebody else's.

        Raises:
            Refusal: `UNAVAILABLE`: the directory could not be asked.
            OutcomeUnknown: no receipt in time.
        """
        try:
            directory = await self._directories.of(reader)
            if directory is None:
                return False
            answer = await directory.confirm(row.directory_key, password)
        except DirectoryError as error:
            raise unavailable(reader.tenant, error) from None
        if isinstance(answer, Denied):
            return False
        return await self._in_step(reader, row, answer, directory.role_of(answer))

    async def still_there(self, reader: TenantReader, row: UserRow) -> bool:
        """Whether a user of the directory may go on as he is; if not, his sessions have ended.

        Raises:
            Refusal: `UNAVAILABLE`: the directory could not be asked.
            OutcomeUnknown: no receipt in time.
        """
        try:
            directory = await self._directories.of(reader)
            found = await directory.look_up(row.directory_key) if directory else None
        except DirectoryError as error:
            raise unavailable(reader.tenant, error) from None
        if directory is None:
            await self.suspend(reader.tenant, row, NO_DIRECTORY)
            return False
        role = directory.role_of(found) if found else None
        return await self._in_step(reader, row, found, role) and row.role == role

    async def follow(self, reader: TenantReader, row: UserRow, directory: Directory) -> None:
        """Have a user be as the directory says.

        Raises:
            DirectoryError: it could not be asked, or nobody at all is found there any more: then it is
                the settings that are wrong, and nobody is gone.
            Refusal, OutcomeUnknown: it could not be recorded.
        """
        found = await directory.look_up(row.directory_key)
        if found is None and not row.suspended and not await _finds_anybody(directory):
            raise DirectoryError(Trouble.NOT_AS_SET, "no user is found any more")
        role = directory.role_of(found) if found else None
        await self._in_step(reader, row, found, role)

    async def suspend(self, tenant: str, row: UserRow, reason: str) -> None:
        """Keep a user out, and end his sessions.

        Raises:
            Refusal, OutcomeUnknown: it could not be recorded.
        """
        if not (row.suspended or row.deleted):
            await self._synchronise(
                tenant,
                SynchroniseUser(**_by_the_directory(), user=row.user, present=False, reason=reason),
            )

    async def _in_step(
        self, reader: TenantReader, row: UserRow, found: DirectoryUser | None, role: Role | None
    ) -> bool:
        """Whether he may sign in, once he is as the directory says."""
        reason = _reason_to_suspend(found, role)
        if found is None or reason is not None:
            await self.suspend(reader.tenant, row, reason or GONE)
            return False
        if row.deleted or row.disabled:
            return False
        name, email = _display_name(found), _email(found)
        present = (role, name, email, False)
        if (row.role, row.display_name, row.email, row.suspended) != present:
            await self._synchronise(
                reader.tenant,
                SynchroniseUser(
                    **_by_the_directory(),
                    user=row.user,
                    present=True,
                    user_role=role,
                    display_name=name,
                    email=email,
                ),
            )
        return True

    async def _synchronise(self, tenant: str, command: Command) -> None:
        try:
            await self._actors.send(tenant, TENANT_ROOM, command)
        except Refusal as refusal:
            # He is so already (an e-mail that another user has stays out), or he was deleted meanwhile.
            if refusal.code not in (ErrorCode.CONFLICT, ErrorCode.NOT_FOUND):
                raise

    async def _create(
        self, tenant: str, user: str, found: DirectoryUser, role: Role, origin: Origin
    ) -> None:
        username, email = found.username.strip(), _email(found)
        if not 0 < len(username) <= NAME_CHARS_MAX:
            log.warning("directory.user_refused", tenant=tenant, key=found.key, code="name_length")
            return
        # An e-mail that somebody has here is left out: it must keep nobody from his own name.
        for known in dict.fromkeys((email, None)):
            command = CreateUser(
                **_by_the_directory(origin),
                user=user,
                username=username,
                email=known,
                display_name=_display_name(found),
                user_role=role,
                password_hash="",
                directory_key=found.key,
            )
            try:
                await self._actors.send(tenant, TENANT_ROOM, command)
                return
            except Refusal as refusal:
                # The name is that of a local user, who stays who he is; or a second sign-in was faster.
                code = refusal.code
                log.warning("directory.user_refused", tenant=tenant, key=found.key, code=code)
                if code not in (ErrorCode.CONFLICT, ErrorCode.INVALID):
                    raise


def unavailable(tenant: str, error: DirectoryError) -> Refusal:
    """What whoever signs in is told when the directory can't be asked."""
    log.warning("directory.unavailable", tenant=tenant, trouble=error.trouble)
    detail = "the directory of your organisation does not answer; try again in a moment"
    return Refusal(ErrorCode.UNAVAILABLE, detail)


async def _finds_anybody(directory: Directory) -> bool:
    return any(finding.code == "users" for finding in await directory.check())


def _reason_to_suspend(found: DirectoryUser | None, role: Role | None) -> str | None:
    if found is None:
        return GONE
    if found.disabled:
        return f"the directory says {found.state}"
    return NO_ROLE if role is None else None


def _by_the_directory(origin: Origin | None = None) -> dict[str, Any]:
    return {
        "client_id": secrets.token_urlsafe(16),
        "actor": RECORDER,
        "role": Role.SYSTEM,
        "origin": origin or Origin(method="system"),
    }


def _display_name(found: DirectoryUser) -> str:
    name = found.display_name.strip()[:NAME_CHARS_MAX].strip()
    return name or found.username.strip()[:NAME_CHARS_MAX]


def _email(found: DirectoryUser) -> str | None:
    email = found.email.strip()
    return email if 0 < len(email) <= NAME_CHARS_MAX else None
