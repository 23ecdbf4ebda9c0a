"""How people come into a tenant: they register themselves where it allows that, or are invited.

Whoever asks is nobody yet. So what he is told does not depend on which names there are, and what he can
make the system do is bounded by buckets of his address and of the tenant.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from actors.client import ActorClient
from actors.protocol.commands import Origin
from actors.protocol.envelope import Receipt
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM, is_tenant_id, is_token, time_ordered_id
from actors.protocol.people_commands import AcceptInvitation, RegisterUser
from actors.protocol.roles import Registration, Role
from gateway.directories import Directories
from gateway.directory.errors import DirectoryError
from gateway.directory_people import unavailable
from gateway.limits import (
    JOINING_ADDRESS_S,
    REGISTRATION_TENANT_BURST,
    REGISTRATION_TENANT_S,
)
from gateway.lockout import address_key
from gateway.passwords import PasswordCheck
from gateway.rate_limits import Buckets
from store.reader import Reader
from store.rows import REGISTRATION, UserRow
from store.tenant_reader import TenantReader

_SECRET_BYTES: Final = 32
NOT_OFFERED: Final = "people don't register themselves here; ask an administrator for an invitation"
PROVIDER_WARNING: Final = (
    "the identity provider of your organisation can't be asked whether it knows somebody of this name; "
    "make sure who this is: a user with the name of somebody who signs in there keeps him out"
)
NOT_VALID: Final = "the invitation is not valid, or not any more; ask for another one"


@dataclass(frozen=True, slots=True)
class InvitationToken:
    """What an invited person shows. Only the digest of the secret is kept anywhere."""

    tenant: str
    invitation: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.tenant}.{self.invitation}.{self.secret}"

    @property
    def digest(self) -> str:
        """What is stored of it. The secret is random, so a plain hash is enough."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Newcomer:
    """How somebody wants to be known. `email` is for those who are not invited by theirs."""

    username: str
    display_name: str
    password: str = field(repr=False)
    email: str | None = None


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """How newcomers become known by a password, and who is known elsewhere."""

    passwords: PasswordCheck
    directories: Directories


def new_invitation_token(tenant: str, invitation: str) -> InvitationToken:
    """A token with a new secret."""
    return InvitationToken(tenant, invitation, secrets.token_urlsafe(_SECRET_BYTES))


class Joining:
    """Registration and the acceptance of invitations. `at_once` are those of one address that need no
    wait."""

    def __init__(
        self,
        reader: Reader,
        actors: ActorClient,
        people: KnownPeople,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._actors = actors
        self._passwords = people.passwords
        self._directories = people.directories
        self._addresses = Buckets("newcomer", 1 / JOINING_ADDRESS_S, clock, burst=at_once)
        self._tenants = Buckets(
            "tenant", 1 / REGISTRATION_TENANT_S, clock, burst=REGISTRATION_TENANT_BURST
        )

    async def register(self, tenant: str, newcomer: Newcomer, origin: Origin) -> None:
        """Have somebody made a user, unless his name is taken, or that of somebody in the tenant's
        directory who was never here: that is recorded, and not told.

        Raises:
            Refusal: `FORBIDDEN`: the tenant does not allow it, or there is none; `TOO_MANY`;
                `UNAVAILABLE`: the directory can't be asked.
            OutcomeUnknown: no receipt in time.
        """
        self._addresses.take(address_key(origin.address))
        reader = await self._reader.tenant(tenant) if is_tenant_id(tenant) else None
        mode = await reader.people.policy(REGISTRATION) if reader is not None else None
        if reader is None or mode is None or mode == Registration.CLOSED:
            raise Refusal(ErrorCode.FORBIDDEN, NOT_OFFERED)
        self._tenants.take(tenant)
        user = _new_user()
        command = RegisterUser(
            client_id=user,
            actor=user,
            role=Role.SYSTEM,
            origin=origin,
            user=user,
            username=newcomer.username,
            email=newcomer.email,
            display_name=newcomer.display_name,
            in_directory=await self._in_directory(reader, newcomer),
            password_hash=await self._passwords.hashed(newcomer.password),
        )
        await self._actors.send(tenant, TENANT_ROOM, command)

    async def accept(self, text: str, newcomer: Newcomer, origin: Origin) -> tuple[str, Receipt]:
        """Make whoever shows an invitation a user; his id.

        Raises:
            Refusal: `NOT_FOUND`: the invitation is used, over, revoked or none; `CONFLICT`: the name is
                taken; `TOO_MANY`; `UNAVAILABLE`: the tenant's directory can't be asked.
            OutcomeUnknown: no receipt in time; whether it worked, signing in tells.
        """
        self._addresses.take(address_key(origin.address))
        token = _read(text)
        reader = await self._reader.tenant(token.tenant)
        row = await reader.people.invitation(token.invitation) if reader is not None else None
        # The tenant's actor decides; this is so that nobody has passwords hashed for nothing.
        if reader is None or row is None or not hmac.compare_digest(row.digest, token.digest):
            raise _not_valid()
        user = _new_user()
        command = AcceptInvitation(
            client_id=user,
            actor=user,
            role=Role.SYSTEM,
            origin=origin,
            invitation=token.invitation,
            presented=token.digest,
            user=user,
            username=newcomer.username,
            display_name=newcomer.display_name,
            in_directory=await self._in_directory(reader, newcomer),
            password_hash=await self._passwords.hashed(newcomer.password),
        )
        return user, await self._actors.send(token.tenant, TENANT_ROOM, command)

    async def _in_directory(self, reader: TenantReader, newcomer: Newcomer) -> bool:
        try:
            directory = await self._directories.of(reader)
            names = login_names(reader.tenant, newcomer)
            return directory is not None and await directory.knows(names)
        except DirectoryError as error:
            raise unavailable(reader.tenant, error) from None


def login_names(tenant: str, newcomer: Newcomer) -> list[str]:
    """All that somebody could be typing to sign in who would be taken for the newcomer: a username that
    ends in the tenant is what another one types with the tenant."""
    names = [name for name in (newcomer.username, newcomer.email) if name]
    for name in tuple(names):
        meant, at, place = name.rpartition("@")
        if at and place.strip().casefold() == tenant:
            names.append(meant)
    return names


async def warning_about(reader: TenantReader, rows: Sequence[UserRow]) -> str | None:
    """What whoever may approve one of these users should know before he does; None if there is nothing."""
    if not any(row.pending for row in rows):
        return None
    provider = await reader.people.identity_provider()
    return PROVIDER_WARNING if provider is not None and provider.settings is not None else None


def _new_user() -> str:
    return time_ordered_id("usr", time.time_ns() // 1_000_000, os.urandom(10))


def _read(text: str) -> InvitationToken:
    tenant, _, rest = text.partition(".")
    invitation, _, secret = rest.partition(".")
    if not (is_tenant_id(tenant) and is_token(invitation) and is_token(secret)):
        raise _not_valid()
    return InvitationToken(tenant, invitation, secret)


def _not_valid() -> Refusal:
    return Refusal(ErrorCode.NOT_FOUND, NOT_VALID)
