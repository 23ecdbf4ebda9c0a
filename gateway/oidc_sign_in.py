"""Signing in at a tenant's identity provider (OpenID Connect Core 1.0, section 3.1; RFC 9700).

start     what the browser is sent to the provider with; all of it goes along sealed in its cookie
finish    what it comes back with is judged; it leaves with a handover, which is no token
redeem    the client that has begun, and no other, turns the handover into a user, once
"""

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from actors.client import ActorClient
from actors.protocol.commands import Origin
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import is_tenant_id
from gateway.failed_sign_ins import NOBODY
from gateway.oidc.errors import ProviderError, SignInRefused
from gateway.oidc.flow import (
    Flow,
    Handover,
    challenge_of,
    opened_flow,
    opened_handover,
    place_of,
    sealed,
)
from gateway.oidc.metadata import Metadata
from gateway.oidc.person import Person, is_told, person_of
from gateway.oidc.provider import Provider, Redemption, text_of
from gateway.oidc.providers import Providers
from gateway.oidc_people import OidcPeople
from gateway.sign_in_guard import SignInGuard
from store.reader import Reader
from store.rows import UserRow
from store.tenant_reader import TenantReader

log = structlog.get_logger(__name__)

HANDOVER_PARAMETER: Final = "sign_in"
RECORDED_AS: Final = "oidc_"
"""Before the reason of a refusal in the tenant's record, to be told from those of passwords."""
AGAIN: Final = "this can't be used to sign in; start again, in the same browser"
_REASONS: Final = {
    "no_role": "you have signed in there, and none of your groups lets you in here",
    "name_taken": "another user has your name here; ask your administrator",
    "disabled_here": "your administrator has disabled you here",
    "acr": "your organisation wants you to sign in there in a stronger way",
    "denied": "the identity provider of your organisation did not let you in",
}
"""What somebody may be told who has come back from the provider; of all else he is told to start again."""


@dataclass(frozen=True, slots=True)
class Started:
    """Where the browser goes, and what it keeps meanwhile."""

    location: str
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the browser came back with; each is empty if it did not."""

    state: str
    code: str = field(default="", repr=False)
    issuer: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Front:
    """How browsers see this system: where it is, empty if its operator has not said so, and pages of which
    other origins may call it."""

    public_url: str
    origins: frozenset[str]


@dataclass(frozen=True, slots=True)
class Door:
    """Who comes in as whom, and what is kept of those who don't."""

    people: OidcPeople
    guard: SignInGuard


class OidcSignIn:
    """Takes people to their provider and back. `wall_clock` tells Unix seconds."""

    def __init__(
        self,
        reader: Reader,
        actors: ActorClient,
        providers: Providers,
        door: Door,
        front: Front,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._actors = actors
        self._providers = providers
        self._people = door.people
        self._guard = door.guard
        self._front = front
        self._wall_clock = wall_clock

    @property
    def is_tls(self) -> bool:
        """Whether browsers come here by TLS."""
        return self._front.public_url.startswith("https://")

    def redirect_uri(self, tenant: str) -> str:
        """Where a tenant's provider sends browsers back to; empty if the operator has not said where we
        are. A path of its own for each tenant: answers of one provider are no answers of another (RFC
        9700, section 4.4.2)."""
        url = self._front.public_url.rstrip("/")
        return f"{url}/api/v1/auth/oidc/{tenant}/callback" if url else ""

    async def start(self, tenant: str, challenge: str, return_to: str) -> Started:
        """Begin to sign in.

        Args:
            tenant: whose provider is asked.
            challenge: of the client, which shows the verifier when it fetches the tokens (S256).
            return_to: where the browser is sent in the end: a path here, or a page of an allowed origin.

        Raises:
            Refusal: `NOT_FOUND`: there is no such tenant, or it has no provider; `INVALID`: nobody is sent
                there; `UNAVAILABLE`: the provider can't be asked.
        """
        reader, provider = await self._provider_of(tenant)
        place = place_of(return_to, self._front.origins)
        if place is None:
            raise Refusal(
                ErrorCode.INVALID, "return_to: a path here, or a page of an allowed origin"
            )
        redirect_uri = self.redirect_uri(tenant)
        if not redirect_uri:
            raise Refusal(
                ErrorCode.UNAVAILABLE, "the operator has to set the public URL of this system"
            )
        try:
            metadata = await provider.metadata()
        except ProviderError as error:
            raise _unavailable(tenant, error) from None
        flow = Flow.begin(challenge, place, provider.digest, self._wall_clock())
        asked = {
            "response_type": "code",
            "client_id": provider.settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(provider.settings.scopes),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": challenge_of(flow.verifier),
            "code_challenge_method": "S256",
        }
        if provider.settings.required_acr:
            asked["acr_values"] = provider.settings.required_acr
        location = text_of(asked, metadata.authorization_endpoint)
        return Started(location, await sealed(reader, flow))

    async def finish(self, tenant: str, answer: Answer, cookie: str, origin: Origin) -> str:
        """Where a browser goes that came back from the provider.

        Args:
            tenant: whose provider was asked.
            answer: what it came back with.
            cookie: what it had kept.
            origin: where the request came from, for the record.

        Raises:
            Refusal: `LOGIN_FAILED`: nobody signs in with that; `NOT_FOUND`: there is no such tenant, or it
                has no provider; `UNAVAILABLE`: the provider can't be asked.
            OutcomeUnknown: no receipt in time.
        """
        reader, provider = await self._provider_of(tenant)
        try:
            flow = await self._flow_of(reader, provider, answer, cookie)
            metadata = await provider.metadata()
            _judge_issuer(metadata, answer)
            if answer.error or not answer.code:
                raise SignInRefused("denied")
            person = await self._person(tenant, provider, flow, answer.code)
            if not await self._actors.redeem_once(f"oidc-{flow.state}"):
                raise SignInRefused("state_used")
            role = provider.settings.role_of(person.groups)
            issuer = provider.settings.issuer
            user = await self._people.user_of(reader, issuer, person, role, origin)
        except ProviderError as error:
            self._note(tenant, error.trouble, origin)
            raise _unavailable(tenant, error) from None
        except SignInRefused as refused:
            self._note(tenant, refused.reason, origin, refused.user)
            raise _refused(tenant, refused) from None
        handover = Handover(
            secrets.token_hex(16), user.user, flow.challenge, int(self._wall_clock())
        )
        return f"{flow.return_to}#{HANDOVER_PARAMETER}={await sealed(reader, handover)}"

    async def redeem(self, tenant: str, code: str, verifier: str, origin: Origin) -> UserRow:
        """The user who has signed in, once; whoever asks opens the session.

        Args:
            tenant: whose provider was asked.
            code: the handover.
            verifier: of the challenge that it was begun with.
            origin: where the request came from, for the record.

        Raises:
            Refusal: `LOGIN_FAILED`: it is none, is too old, of another client, or was used.
        """
        reader = await self._reader.tenant(tenant) if is_tenant_id(tenant) else None
        try:
            handover = await opened_handover(reader, code) if reader is not None else None
            if reader is None or handover is None or handover.is_over(self._wall_clock()):
                raise SignInRefused("handover")
            if not handover.is_for(verifier):
                raise SignInRefused("verifier")
            if not await self._actors.redeem_once(f"oidc-{handover.id}"):
                raise SignInRefused("handover_used")
            user = await reader.user(handover.user)
            if user is None or not user.is_active or not user.provider_key:
                raise SignInRefused("not_active", handover.user if user is not None else "")
        except SignInRefused as refused:
            if reader is not None:
                self._note(tenant, refused.reason, origin, refused.user)
            raise _refused(tenant, refused) from None
        return user

    def _note(self, tenant: str, reason: str, origin: Origin, user: str = NOBODY) -> None:
        self._guard.note(f"{RECORDED_AS}{reason}", ((tenant, user),), origin.address)

    async def _provider_of(self, tenant: str) -> tuple[TenantReader, Provider]:
        reader = await self._reader.tenant(tenant) if is_tenant_id(tenant) else None
        try:
            found = await self._providers.of(reader) if reader is not None else None
        except ProviderError as error:
            raise _unavailable(tenant, error) from None
        if reader is None or found is None:
            # Alike, so that nobody learns which tenants there are.
            raise Refusal(ErrorCode.NOT_FOUND, "there is no identity provider to sign in at")
        return reader, found

    async def _flow_of(
        self, reader: TenantReader, provider: Provider, answer: Answer, cookie: str
    ) -> Flow:
        flow = await opened_flow(reader, cookie)
        if flow is None:
            raise SignInRefused("no_cookie")
        if not hmac.compare_digest(flow.state.encode(), answer.state.encode()):
            raise SignInRefused("state")
        if flow.is_over(self._wall_clock()):
            raise SignInRefused("too_late")
        if flow.settings != provider.digest:
            # What was begun with one provider is not ended with another.
            raise SignInRefused("settings_changed")
        return flow

    async def _person(self, tenant: str, provider: Provider, flow: Flow, code: str) -> Person:
        redemption = Redemption(
            code=code,
            verifier=flow.verifier,
            redirect_uri=self.redirect_uri(tenant),
            nonce=flow.nonce,
            started_s=flow.started_s,
        )
        claims, access_token = await provider.claims(redemption)
        wanted = provider.settings.required_acr
        if wanted and claims.get("acr") != wanted:
            raise SignInRefused("acr")
        if not is_told(claims, provider.settings):
            more = await provider.more_claims(claims["sub"], access_token)
            # What is signed counts more.
            claims = {**more, **claims}
        return person_of(claims, provider.settings)


def _judge_issuer(metadata: Metadata, answer: Answer) -> None:
    if (answer.issuer or metadata.names_itself) and answer.issuer != metadata.issuer:
        raise SignInRefused("issuer")


def _unavailable(tenant: str, error: ProviderError) -> Refusal:
    log.warning("oidc.unavailable", tenant=tenant, trouble=error.trouble, happened=error.happened)
    detail = "the identity provider of your organisation can't be used now; try again in a moment"
    return Refusal(ErrorCode.UNAVAILABLE, detail)


def _refused(tenant: str, refused: SignInRefused) -> Refusal:
    log.warning("oidc.refused", tenant=tenant, reason=refused.reason)
    return Refusal(ErrorCode.LOGIN_FAILED, _REASONS.get(refused.reason, AGAIN))
