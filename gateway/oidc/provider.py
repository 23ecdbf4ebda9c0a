"""One tenant's identity provider: where it is asked, what is remembered of it, and for how long."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from actors.protocol.fetching import Fetch, FetchFailed, OutboundRequest
from gateway import strict_json
from gateway.oidc.errors import OF_FETCH, ProviderError, SignInRefused, Trouble
from gateway.oidc.id_token import Expected, claims_of, header_of
from gateway.oidc.keys import Key, KeySet, keys_of
from gateway.oidc.metadata import BASIC, POST, Metadata, discovery_url, metadata_of
from gateway.oidc.settings import ProviderSettings
from gateway.oidc.stored import KEPT
from gateway.strict_json import StrictJsonError

METADATA_FRESH_S: Final = 3_600.0
"""How long a provider's description of itself is believed."""
KEYS_FRESH_S: Final = 900.0
"""How long its keys are: one that it has withdrawn is believed no longer."""
KEYS_REFETCH_S: Final = 10.0
"""Time between two looks for a key that is not known, however many tokens name one."""
FAILURE_KEPT_S: Final = 3.0
"""How long a provider that failed is not asked again for what is the same for everybody."""
REQUESTS_AT_ONCE: Final = 8
"""Requests to one provider at the same moment."""
WAITING_MAX: Final = 32
"""Requests that may wait for those; more are told to come back."""
ACCESS_TOKEN_CHARS_MAX: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Redemption:
    """An authorisation code, and what proves that it is ours to redeem."""

    code: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str
    nonce: str = field(repr=False)
    started_s: float


class Provider:
    """Asks one provider. `clock` tells seconds that only go forward, `wall_clock` Unix seconds."""

    def __init__(
        self,
        settings: ProviderSettings,
        fetch: Fetch,
        *,
        loopback: bool,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._fetch = fetch
        self._loopback = loopback
        self._clock = clock
        self._wall_clock = wall_clock
        self._turn = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self._waiting = 0
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._looked = float("-inf")
        self._failure: tuple[float, ProviderError] | None = None
        self._lock = asyncio.Lock()

    @property
    def digest(self) -> str:
        """Which provider it is, and as which client it is asked."""
        return KEPT.destination(KEPT.shown(self.settings))

    async def metadata(self) -> Metadata:
        """What the provider says of itself.

        Raises:
            ProviderError: it can't be asked, or says what can't be used.
        """
        async with self._remembering():
            if self._metadata is None or self._is_old(self._metadata[0], METADATA_FRESH_S):
                url = discovery_url(self.settings.issuer)
                document = await self._document(OutboundRequest(url))
                found = metadata_of(document, self.settings.issuer, loopback=self._loopback)
                self._metadata = (self._clock(), found)
            return self._metadata[1]

    async def keys(self, missing: tuple[str | None, str] | None = None) -> KeySet:
        """The provider's keys.

        Args:
            missing: the id of a key and an algorithm: if there is no such key, the provider is asked anew,
                but not all the time.

        Raises:
            ProviderError: it can't be asked, or says what can't be used.
        """
        metadata = await self.metadata()
        async with self._remembering():
            if self._keys is None or self._is_old(self._keys[0], KEYS_FRESH_S):
                await self._read_keys(metadata)
            elif (
                missing is not None
                and self._keys[1].key_for(*missing) is None
                and self._is_old(self._looked, KEYS_REFETCH_S)
            ):
                self._looked = self._clock()
                await self._read_keys(metadata)
            return self._keys[1] if self._keys else KeySet()

    async def claims(self, redemption: Redemption) -> tuple[dict[str, Any], str]:
        """What the provider says of whoever has signed in there, and the token to ask more with.

        Raises:
            ProviderError: it can't be asked, or refuses this system.
            SignInRefused: the code is not good, or the answer is not for this sign-in.
        """
        answer = await self._redeemed(redemption)
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access_token, str):
            raise ProviderError(Trouble.BAD_ANSWER, "the token endpoint gave no tokens")
        header = header_of(id_token)
        key = await self._key(header.kid, header.algorithm)
        expected = Expected(
            issuer=self.settings.issuer,
            client_id=self.settings.client_id,
            nonce=redemption.nonce,
            started_s=redemption.started_s,
            now_s=self._wall_clock(),
        )
        return claims_of(id_token, header, key, expected, access_token), access_token

    async def more_claims(self, subject: str, access_token: str) -> dict[str, Any]:
        """What the provider says of somebody besides; nothing if there is no place to ask.

        Raises:
            ProviderError: it can't be asked.
            SignInRefused: it is about somebody else (OpenID Connect Core 1.0, section 5.3.2).
        """
        metadata = await self.metadata()
        fits = len(access_token) <= ACCESS_TOKEN_CHARS_MAX and access_token.isascii()
        if not metadata.userinfo_endpoint or not fits or not access_token.isprintable():
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        document = await self._document(
            OutboundRequest(metadata.userinfo_endpoint, headers=headers)
        )
        if document.get("sub") != subject:
            raise SignInRefused("userinfo_subject")
        return document

    async def _key(self, kid: str | None, algorithm: str) -> Key:
        keys = await self.keys((kid, algorithm))
        key = keys.key_for(kid, algorithm)
        if key is None:
            raise SignInRefused("id_token_key_unknown")
        return key

    async def _redeemed(self, redemption: Redemption) -> dict[str, Any]:
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": redemption.code,
            "redirect_uri": redemption.redirect_uri,
            "code_verifier": redemption.verifier,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        request = OutboundRequest(
            metadata.token_endpoint,
            "POST",
            {**headers, **self._authentication(metadata, form)},
            urlencode(form).encode(),
            self.settings.ca_pem,
        )
        status, answer = await self._answer(request)
        if status == 200:
            return answer
        error = answer.get("error")
        if error == "invalid_grant" and status == 400:
            raise SignInRefused("code_refused")
        if error in ("invalid_client", "unauthorized_client") or status == 401:
            raise ProviderError(Trouble.CLIENT_REFUSED, "the token endpoint refuses the client")
        raise ProviderError(Trouble.BAD_ANSWER, f"the token endpoint answered {status}")

    def _authentication(self, metadata: Metadata, form: dict[str, str]) -> dict[str, str]:
        """Headers that show who asks (RFC 6749, section 2.3.1); else it goes into the form."""
        client, secret = self.settings.client_id, self.settings.client_secret.get_secret_value()
        if secret and (BASIC in metadata.client_auth or POST not in metadata.client_auth):
            pair = f"{quote_plus(client)}:{quote_plus(secret)}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        form["client_id"] = client
        if secret:
            form["client_secret"] = secret
        return {}

    async def _read_keys(self, metadata: Metadata) -> None:
        found = keys_of(await self._document(OutboundRequest(metadata.jwks_uri)))
        self._keys = (self._clock(), found)

    async def _document(self, request: OutboundRequest) -> dict[str, Any]:
        headers = {"Accept": "application/json", **request.headers}
        asked = OutboundRequest(request.url, headers=headers, ca_pem=self.settings.ca_pem)
        status, answer = await self._answer(asked)
        if status != 200:
            raise ProviderError(Trouble.BAD_ANSWER, f"a document was answered with {status}")
        return answer

    async def _answer(self, request: OutboundRequest) -> tuple[int, dict[str, Any]]:
        if self._waiting >= WAITING_MAX:
            raise ProviderError(Trouble.BUSY, "too many requests are waiting")
        self._waiting += 1
        try:
            async with self._turn:
                answer = await self._fetch(request)
        except FetchFailed as failed:
            trouble = OF_FETCH[failed.trouble]
            raise ProviderError(trouble, "no answer that can be used") from None
        finally:
            self._waiting -= 1
        try:
            return answer.status, strict_json.parse_object(answer.body)
        except StrictJsonError:
            if answer.status == 200:
                raise ProviderError(Trouble.BAD_ANSWER, "an answer is no JSON object") from None
            return answer.status, {}

    @asynccontextmanager
    async def _remembering(self) -> AsyncIterator[None]:
        """One asks for what is the same for everybody, and others wait for what comes of it."""
        async with self._lock:
            if self._failure is not None and not self._is_old(self._failure[0], FAILURE_KEPT_S):
                raise ProviderError(self._failure[1].trouble, self._failure[1].happened)
            try:
                yield
            except ProviderError as error:
                self._failure = (self._clock(), error)
                raise

    def _is_old(self, since: float, fresh_s: float) -> bool:
        return self._clock() - since >= fresh_s


def text_of(parameters: Mapping[str, str], endpoint: str) -> str:
    """The URL of an endpoint with more parameters; those that it has stay (RFC 6749, section 3.1)."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"
