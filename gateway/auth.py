"""Signing in and out: passwords to sessions, sessions to tokens.

A session is a fact in the tenant's chain; the gateway checks the password, has the tenant's actor record
the session, and signs tokens for it.
"""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from actors.client import ActorClient
from actors.protocol.commands import (
    EndSession,
    OpenSession,
    Origin,
    RefreshSession,
    RehashPassword,
    SecondFactorProof,
)
from actors.protocol.envelope import Receipt
from actors.protocol.errors import ErrorCode, OutcomeUnknown, Refusal
from actors.protocol.events import SessionEnded
from actors.protocol.ids import TENANT_ROOM, time_ordered_id
from actors.protocol.roles import Role
from gateway.challenge import SecondFactorWanted
from gateway.directory_sign_in import DirectorySignIn
from gateway.failed_sign_ins import NOBODY, NOT_ACTIVE, UNKNOWN_USER, WRONG_PASSWORD
from gateway.limits import (
    ACCESS_TTL_S,
    PASSWORD_CHARS_MAX,
    REFRESH_TTL_S,
)
from gateway.lockout import Account
from gateway.passwords import PasswordCheck
from gateway.refresh_token import RefreshToken, read_refresh_token, session_ended
from gateway.second_factor import SecondFactors
from gateway.sign_in_guard import Attempt, SignInGuard
from gateway.tokens import Challenge, Principal, Tokens, new_principal
from store.reader import Reader
from store.rows import UserRow

_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a client gets; `expires_in` is the life of the access token in seconds. `restricted`: it is
    good for nothing but enrolling a second factor."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    restricted: bool


@dataclass(frozen=True, slots=True)
class Proofs:
    """What can tell whether somebody is who he says."""

    passwords: PasswordCheck
    directory: DirectorySignIn
    second_factors: SecondFactors


class SignIn:
    """Login, refresh, logout."""

    def __init__(
        self,
        reader: Reader,
        actors: ActorClient,
        tokens: Tokens,
        guard: SignInGuard,
        proofs: Proofs,
    ) -> None:
        self._directory = proofs.directory
        self._guard = guard
        self._second_factors = proofs.second_factors
        self._reader = reader
        self._actors = actors
        self._tokens = tokens
        self._passwords = proofs.passwords

    async def login(
        self, name: str, password: str, address: str, otp: str | None = None
    ) -> SignedIn:
        """Open a session for whoever has this name and password, and code where he has a second factor.

        Args:
            name: a username, an e-mail, or either of them and @tenant; of a user of the tenant's directory
                whatever that knows him by.
            password: as typed.
            address: where the request came from, for the record.
            otp: a code or recovery code of the second factor, where it is at hand already.

        Raises:
            SecondFactorWanted: a code is needed.
            Refusal: `LOGIN_FAILED`, the same for an unknown name and a wrong password; `TOO_MANY`
                after too many of those; `UNAVAILABLE`: a directory can't be asked.
            OutcomeUnknown: no receipt in time.
        """
        attempt = self._guard.attempt(name, address)
        tenant, user = await self._authenticated(name, password, attempt)
        if user.second_factor is None:
            signed_in = await self._open(tenant, user, address, None)
        elif otp:
            signed_in = await self._enter(tenant, user, otp, address)
        else:
            present = await self._keep_up_with_cost(tenant, user, password)
            challenge = Challenge(tenant, user.user, _digest(present))
            raise SecondFactorWanted(self._tokens.challenge(challenge))
        await self._keep_up_with_cost(tenant, user, password)
        return signed_in

    async def answer(self, challenge: str, code: str, address: str) -> SignedIn:
        """Open a session for whoever was asked for a code, and has it.

        Raises:
            Refusal: `UNAUTHENTICATED`: the challenge is none, too old, or void; `LOGIN_FAILED`: the
                code is not right; `TOO_MANY` after too many of those; `UNAVAILABLE`: a directory can't
                be asked.
            OutcomeUnknown: no receipt in time.
        """
        asked = self._tokens.read_challenge(challenge)
        tenant = await self._reader.tenant(asked.tenant)
        user = await tenant.user(asked.user) if tenant else None
        if tenant is None or user is None or not user.is_active or user.second_factor is None:
            raise _challenge_void()
        if _digest(user.password_hash) != asked.credential:
            raise _challenge_void()
        # Whose password the directory keeps has no hash here that would tell: the directory does.
        if user.directory_key and not await self._directory.still_there(tenant, user):
            raise _challenge_void()
        return await self._enter(asked.tenant, user, code, address)

    async def recognised(self, tenant: str, user: UserRow, address: str) -> SignedIn:
        """Open a session for somebody whom the tenant's identity provider has recognised.

        Raises:
            SecondFactorWanted: he has a second factor here, and a code is needed.
            Refusal: `LOGIN_FAILED`: he was changed meanwhile; `TOO_MANY` of his sessions are open.
            OutcomeUnknown: no receipt in time.
        """
        if user.second_factor is not None:
            challenge = Challenge(tenant, user.user, _digest(user.password_hash))
            raise SecondFactorWanted(self._tokens.challenge(challenge))
        return await self._open(tenant, user, address, None)

    async def _enter(self, tenant: str, user: UserRow, code: str, address: str) -> SignedIn:
        reader = await self._reader.tenant(tenant)
        if reader is None:
            raise _login_failed()
        try:
            async with self._second_factors.shown(reader, user, code, address) as proof:
                return await self._open(tenant, user, address, proof)
        except Refusal as refusal:
            if refusal.code is not ErrorCode.SECOND_FACTOR_FAILED:
                raise
            raise Refusal(ErrorCode.LOGIN_FAILED, refusal.detail) from None

    async def _open(
        self, tenant: str, user: UserRow, address: str, proof: SecondFactorProof | None
    ) -> SignedIn:
        session = time_ordered_id("ses", _now_ms(), os.urandom(10))
        refresh = RefreshToken(tenant, session, secrets.token_urlsafe(_SECRET_BYTES))
        role = Role(user.role)
        command = OpenSession(
            client_id=session,
            actor=user.user,
            role=role,
            session=session,
            user=user.user,
            refresh=refresh.digest,
            expires_ms=_now_ms() + REFRESH_TTL_S * 1000,
            address=address,
            custom_role=user.custom_role,
            clearance=user.clearance,
            proof=proof,
        )
        _, restricted = await self._send(tenant, command)
        principal = _principal_of(tenant, user, session, restricted=restricted)
        return self._signed_in(principal, refresh)

    async def _send(
        self, tenant: str, command: OpenSession | RefreshSession
    ) -> tuple[Receipt, bool]:
        """Have a session opened or gone on with; whether it is only for enrolling a second factor."""
        try:
            return await self._actors.send(tenant, TENANT_ROOM, command), False
        except Refusal as refusal:
            if refusal.code is not ErrorCode.ENROLMENT_REQUIRED:
                raise
        # The actor alone knows the policy of this moment, so it is asked instead of being foretold.
        changes = {"restricted": True, "client_id": secrets.token_urlsafe(16)}
        restricted = command.model_copy(update=changes)
        return await self._actors.send(tenant, TENANT_ROOM, restricted), True

    async def refresh(self, text: str, origin: Origin | None = None) -> SignedIn:
        """Exchange a refresh token for the next pair; the old one is then good for nothing.

        Raises:
            Refusal: `SESSION_ENDED`, or `REFRESH_REUSED`, which has ended the session; `UNAVAILABLE`: a
                directory can't be asked, and the token is still good.
            OutcomeUnknown: no receipt in time; the token may be used up.
        """
        presented = read_refresh_token(text)
        tenant = await self._reader.tenant(presented.tenant)
        row = await tenant.session(presented.session) if tenant else None
        user = await tenant.user(row.user) if tenant and row else None
        if tenant is None or user is None or not user.is_active:
            raise session_ended()
        if user.directory_key and not await self._directory.still_there(tenant, user):
            raise session_ended()
        role = Role(user.role)
        following = RefreshToken(
            presented.tenant, presented.session, secrets.token_urlsafe(_SECRET_BYTES)
        )
        command = RefreshSession(
            client_id=secrets.token_urlsafe(16),
            origin=origin,
            actor=user.user,
            role=role,
            session=presented.session,
            clearance=user.clearance,
            presented=presented.digest,
            refresh=following.digest,
            expires_ms=_now_ms() + REFRESH_TTL_S * 1000,
        )
        receipt, restricted = await self._send(presented.tenant, command)
        if receipt.kind == SessionEnded.kind:
            # Somebody used this token before: the thief or the owner. Neither goes on.
            raise Refusal(ErrorCode.REFRESH_REUSED, "this token was used before; sign in again")
        principal = _principal_of(presented.tenant, user, presented.session, restricted=restricted)
        return self._signed_in(principal, following)

    async def logout(self, principal: Principal, origin: Origin | None = None) -> None:
        """End the session of `principal`; a session that has ended is fine too.

        Raises:
            OutcomeUnknown: no receipt in time.
        """
        command = EndSession(
            client_id=secrets.token_urlsafe(16),
            origin=origin,
            actor=principal.user,
            role=principal.role,
            session=principal.session,
        )
        try:
            await self._actors.send(principal.tenant, TENANT_ROOM, command)
        except Refusal as refusal:
            if refusal.code is not ErrorCode.SESSION_ENDED:
                raise

    async def confirm(
        self, tenant: str, user: UserRow, passwords: tuple[str, ...], address: str
    ) -> bool:
        """Whether one of the passwords is the user's. It counts as a try to sign in: or whoever got
        hold of a token could guess as long as he likes.

        Raises:
            Refusal: `TOO_MANY` after too many wrong ones; `UNAVAILABLE`: it is the directory that knows,
                and it can't be asked.
        """
        attempt = self._guard.attempt(f"{user.username}@{tenant}", address)
        for password in passwords:
            if await self._is_password(tenant, user, password, attempt):
                attempt.succeeded(alone=user.second_factor is None)
                return True
        attempt.failed(((tenant, user.user),))
        return False

    async def _is_password(
        self, tenant: str, user: UserRow, password: str, attempt: Attempt
    ) -> bool:
        if not user.directory_key:
            return await self._passwords.matches(user.password_hash, password, attempt.start)
        attempt.start()
        try:
            return await self._directory.confirmed(tenant, user, password)
        except Refusal as refusal:
            if refusal.code is ErrorCode.UNAVAILABLE:
                attempt.abandoned()
            raise

    async def _keep_up_with_cost(self, tenant: str, user: UserRow, password: str) -> str:
        """Renew the hash of a password if its cost is another now; the hash that is there then."""
        if not self._passwords.is_outdated(user.password_hash):
            return user.password_hash
        # Whatever stands in the way: the next sign-in is as good a moment.
        with suppress(Refusal, OutcomeUnknown):
            command = RehashPassword(
                client_id=secrets.token_urlsafe(16),
                actor=user.user,
                role=Role(user.role),
                user=user.user,
                replaces=_digest(user.password_hash),
                password_hash=await self._passwords.hashed(password),
            )
            await self._actors.send(tenant, TENANT_ROOM, command)
            return command.password_hash
        return user.password_hash

    async def _authenticated(
        self, name: str, password: str, attempt: Attempt
    ) -> tuple[str, UserRow]:
        found = await self._candidates(name)
        known = [(tenant, user) for tenant, user in found if user.is_active]
        blamed = await self._blamed(name, found)
        if len(password) > PASSWORD_CHARS_MAX:
            attempt.failed(*blamed)
            raise _login_failed()
        matching = [
            (tenant, user)
            for tenant, user in known
            if user.is_local
            and await self._passwords.matches(user.password_hash, password, attempt.start)
        ]
        if not any(user.is_local for _, user in known):
            # Or the time that a user's row takes would tell that there is one.
            await self._reader.nobody()
            await self._passwords.matches(None, password, attempt.start)
        if not matching:
            matching = await self._from_directory(name, password, found, attempt)
        if not matching:
            attempt.failed(*blamed)
            raise _login_failed()
        attempt.succeeded(alone=len(known) == 1 and matching[0][1].second_factor is None)
        if len(matching) > 1:
            raise Refusal(
                ErrorCode.LOGIN_FAILED, "this name is known in several tenants: use name@tenant"
            )
        return matching[0]

    async def _blamed(
        self, name: str, found: list[tuple[str, UserRow]]
    ) -> tuple[tuple[Account, ...], str]:
        """Whose failure it is if nobody is let in, and of what kind. It asks the same whoever is found,
        or the time would tell who exists."""
        meant = await self._directory.tenant_meant(name)
        if not found:
            return ((meant, NOBODY),) if meant else (), UNKNOWN_USER
        active = tuple((tenant, user.user) for tenant, user in found if user.is_active)
        if active:
            return active, WRONG_PASSWORD
        return tuple((tenant, user.user) for tenant, user in found), NOT_ACTIVE

    async def _from_directory(
        self, name: str, password: str, found: list[tuple[str, UserRow]], attempt: Attempt
    ) -> list[tuple[str, UserRow]]:
        local = frozenset(tenant for tenant, user in found if not user.directory_key)
        try:
            return await self._directory.matching(name, password, local, attempt.address)
        except Refusal as refusal:
            if local:
                # A password was wrong all the same: a directory that is down is no leave to guess.
                attempt.failed(tuple((tenant, user.user) for tenant, user in found))
            elif refusal.code is ErrorCode.UNAVAILABLE:
                attempt.abandoned()
            raise

    async def _candidates(self, name: str) -> list[tuple[str, UserRow]]:
        found = []
        for candidate in await self._reader.logins(name):
            tenant = await self._reader.tenant(candidate.tenant)
            user = await tenant.user(candidate.user) if tenant else None
            if user is not None:
                found.append((candidate.tenant, user))
        return found

    def _signed_in(self, principal: Principal, refresh: RefreshToken) -> SignedIn:
        token = self._tokens.access_token(principal)
        return SignedIn(token, str(refresh), ACCESS_TTL_S, principal.restricted)


def _principal_of(tenant: str, user: UserRow, session: str, *, restricted: bool) -> Principal:
    custom_role, role = user.custom_role or "", Role(user.role)
    principal = new_principal(tenant, user.user, role, session, custom_role, user.clearance)
    return replace(principal, restricted=restricted)


def _challenge_void() -> Refusal:
    return Refusal(ErrorCode.UNAUTHENTICATED, "the challenge is void; sign in again")


def _login_failed() -> Refusal:
    return Refusal(ErrorCode.LOGIN_FAILED, "unknown user or wrong password")


def _digest(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
