"""Signed tokens: access tokens (RFC 9068) and WebSocket tickets.

Ed25519 only. What a token says about its own verification is not believed: the algorithm is fixed, the
key is looked up by `kid` in what this deployment knows, and the type must be the one that is asked
for (RFC 8725, sections 3.1 and 3.11).
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from jwt.exceptions import InvalidTokenError

from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import is_tenant_id, is_token
from actors.protocol.limits import TIME_MS_MAX
from actors.protocol.markings import HIGHEST, LOWEST
from actors.protocol.roles import Role
from gateway.limits import (
    ACCESS_TTL_S,
    CHALLENGE_TTL_S,
    CLOCK_SKEW_S,
    TICKET_TTL_S,
    TOKEN_CHARS_MAX,
)

AUDIENCE: Final = "wardroom"
TICKET_AUDIENCE: Final = "wardroom-ws"
CHALLENGE_AUDIENCE: Final = "wardroom-second-factor"
ACCESS_TYPE: Final = "at+jwt"
TICKET_TYPE: Final = "ws-ticket+jwt"
CHALLENGE_TYPE: Final = "second-factor+jwt"
ENROL_SCOPE: Final = "enrol"
"""The claim `scope` of a token that is for nothing but enrolling a second factor."""
_ALGORITHM: Final = "EdDSA"
_PEOPLE: Final = tuple(role for role in Role if role not in (Role.EXTERNAL, Role.SYSTEM))
_HEADER: Final = frozenset({"alg", "typ", "kid"})
_TIMES: Final = ("iat", "nbf", "exp")
_TIME_S_MAX: Final = TIME_MS_MAX // 1000
_REQUIRED: Final = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The key that signs here, and every key whose signature is believed, by key id.

    A key in `until` is retired: from that time on (Unix seconds) nothing it signed is believed.
    """

    issuer: str
    kid: str
    private_key: Ed25519PrivateKey = field(repr=False)
    public_keys: Mapping[str, Ed25519PublicKey]
    until: Mapping[str, int] = field(default_factory=dict)

    def believed(self, kid: str, now_s: float) -> Ed25519PublicKey | None:
        """The key of this id, if its signature counts at this time."""
        is_over = kid in self.until and now_s >= self.until[kid]
        return None if is_over else self.public_keys.get(kid)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking. `expires` is Unix seconds, after which the claim must be renewed. `custom_role` is the
    id of a role that the tenant has made; then `role` is the built-in one as which it acts in rooms. Who is
    `restricted` lacks the second factor that his tenant requires, and may only enrol one."""

    tenant: str
    user: str
    role: Role
    session: str
    expires: int
    custom_role: str = ""
    clearance: int = LOWEST
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Challenge:
    """Somebody who has shown his password, and has to show a second factor. `credential` is the
    SHA-256 of the password's hash: with another password it is void."""

    tenant: str
    user: str
    credential: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a WebSocket ticket stands for; `id` may be used once."""

    id: str
    principal: Principal


class Tokens:
    """Makes and reads the tokens of one deployment. `clock` tells Unix seconds."""

    def __init__(self, keys: TokenKeys, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock

    def use_keys(self, keys: TokenKeys) -> None:
        """Sign and believe by these keys from now on."""
        self._keys = keys

    def access_token(self, principal: Principal) -> str:
        """An access token for `principal`, good until its `expires`."""
        return self._sign(principal, ACCESS_TYPE, AUDIENCE, principal.expires, {})

    def ticket(self, principal: Principal) -> str:
        """A ticket that opens one socket within `TICKET_TTL_S`."""
        until = int(time.time()) + TICKET_TTL_S
        claims = {"session_exp": principal.expires}
        return self._sign(principal, TICKET_TYPE, TICKET_AUDIENCE, until, claims)

    def challenge(self, challenge: Challenge) -> str:
        """What goes back with the code, within `CHALLENGE_TTL_S`."""
        claims = {
            "sub": challenge.user,
            "tenant": challenge.tenant,
            "credential": challenge.credential,
        }
        until = int(time.time()) + CHALLENGE_TTL_S
        return self._signed(claims, CHALLENGE_TYPE, CHALLENGE_AUDIENCE, until)

    def read_challenge(self, token: str) -> Challenge:
        """Whose turn it is to show a code.

        Raises:
            Refusal: `UNAUTHENTICATED`.
        """
        claims = self._read(token, CHALLENGE_TYPE, CHALLENGE_AUDIENCE)
        tenant, credential = claims.get("tenant"), claims.get("credential")
        if not (isinstance(tenant, str) and is_tenant_id(tenant) and is_token(claims["sub"])):
            _refuse()
        if not isinstance(credential, str):
            _refuse()
        return Challenge(tenant, claims["sub"], credential)

    def read_access_token(self, token: str) -> Principal:
        """Who an access token speaks for.

        Raises:
            Refusal: `UNAUTHENTICATED`; why is not told.
        """
        claims = self._read(token, ACCESS_TYPE, AUDIENCE)
        return _principal(claims, claims["exp"])

    def read_ticket(self, token: str) -> Ticket:
        """What a ticket stands for; whether it was used before is not known here.

        Raises:
            Refusal: `UNAUTHENTICATED`.
        """
        claims = self._read(token, TICKET_TYPE, TICKET_AUDIENCE)
        return Ticket(claims["jti"], _principal(claims, claims.get("session_exp")))

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JSON Web Key Set (RFC 8037), the next one among them."""
        now = self._clock()
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "use": "sig",
                    "alg": _ALGORITHM,
                    "kid": kid,
                    "x": base64.urlsafe_b64encode(key.public_bytes_raw()).rstrip(b"=").decode(),
                }
                for kid in self._keys.public_keys
                if (key := self._keys.believed(kid, now)) is not None
            ]
        }

    def _sign(
        self, principal: Principal, type_: str, audience: str, expires: int, more: dict[str, Any]
    ) -> str:
        claims = {
            "sub": principal.user,
            "tenant": principal.tenant,
            "role": principal.role.value,
            "sid": principal.session,
            "clearance": principal.clearance,
            **({"custom_role": principal.custom_role} if principal.custom_role else {}),
            **({"scope": ENROL_SCOPE} if principal.restricted else {}),
            **more,
        }
        return self._signed(claims, type_, audience, expires)

    def _signed(self, more: dict[str, Any], type_: str, audience: str, expires: int) -> str:
        now = int(time.time())
        claims = {
            "iss": self._keys.issuer,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": expires,
            "jti": secrets.token_hex(16),
            **more,
        }
        headers = {"typ": type_, "kid": self._keys.kid}
        return jwt.encode(claims, self._keys.private_key, algorithm=_ALGORITHM, headers=headers)

    def _read(self, token: str, type_: str, audience: str) -> dict[str, Any]:
        if len(token) > TOKEN_CHARS_MAX:
            _refuse()
        try:
            header = jwt.get_unverified_header(token)
            # Ours say no more than this: no place to fetch a key from, and nothing critical.
            if header.keys() != _HEADER or header["typ"] != type_ or header["alg"] != _ALGORITHM:
                _refuse()
            key = self._keys.believed(str(header["kid"]), self._clock())
            if key is None:
                _refuse()
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                audience=audience,
                issuer=self._keys.issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except (InvalidTokenError, ValueError, OverflowError):
            _refuse()
        # The library takes a text or a truth value for a time.
        if not all(type(claims[name]) is int and claims[name] <= _TIME_S_MAX for name in _TIMES):
            _refuse()
        if not is_token(claims["jti"]):
            _refuse()
        return claims


def new_principal(
    tenant: str,
    user: str,
    role: Role,
    session: str,
    custom_role: str = "",
    clearance: int = LOWEST,
) -> Principal:
    """Somebody who has just proved who he is."""
    expires = int(time.time()) + ACCESS_TTL_S
    return Principal(tenant, user, role, session, expires, custom_role, clearance)


def _principal(claims: Mapping[str, Any], expires: object) -> Principal:
    tenant, user, session = claims.get("tenant"), claims["sub"], claims.get("sid")
    if not (isinstance(tenant, str) and is_tenant_id(tenant)):
        _refuse()
    if not (isinstance(user, str) and is_token(user)):
        _refuse()
    if not (isinstance(session, str) and is_token(session)):
        _refuse()
    if not isinstance(expires, int) or claims.get("role") not in _PEOPLE:
        _refuse()
    custom_role, scope = claims.get("custom_role", ""), claims.get("scope")
    if not (isinstance(custom_role, str) and (not custom_role or is_token(custom_role))):
        _refuse()
    if scope not in (None, ENROL_SCOPE):
        _refuse()
    # A token of before there was such a thing has the lowest.
    clearance = claims.get("clearance", LOWEST)
    if type(clearance) is not int or not LOWEST <= clearance <= HIGHEST:
        _refuse()
    role, restricted = Role(claims["role"]), scope is not None
    return Principal(tenant, user, role, session, expires, custom_role, clearance, restricted)


def _refuse() -> NoReturn:
    raise Refusal(ErrorCode.UNAUTHENTICATED, "the token is missing, not valid or too old") from None
