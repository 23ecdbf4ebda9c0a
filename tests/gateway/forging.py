"""Tokens as RFC 8725 says that attackers make them: each is one change away from a good one."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from actors.protocol.roles import Role
from gateway.limits import CLOCK_SKEW_S
from gateway.tokens import TokenKeys, Tokens, new_principal

STRANGER: Final = Ed25519PrivateKey.generate()
CLAIMS: Final = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "tenant", "role", "sid")
INJECTIONS: Final[dict[str, Any]] = {
    "a path": "../../k1",
    "a file that holds known bytes": "/dev/null",
    "SQL": "k1' UNION SELECT 'AAAA' --",
    "a query operator": {"$ne": ""},
    "an address": "http://127.0.0.1/k1",
    "a list": ["k1"],
    "a number": 1,
    "nothing": None,
    "of other letters": "K1",
    "with a zero byte": "k1\0",
}
"""Key ids that mean something to whoever does more with them than look them up."""
FOREIGN_KEYS: Final[dict[str, Any]] = {
    "jku": "http://127.0.0.1/keys",
    "x5u": "http://127.0.0.1/chain.pem",
    "jwk": {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64.urlsafe_b64encode(STRANGER.public_key().public_bytes_raw()).decode(),
    },
    "x5c": ["AAAA"],
    "x5t": "AAAA",
}
"""Headers that name or bring the key to verify with (RFC 7515, section 4.1)."""


class Forger:
    """Makes tokens from the claims of one that is good, with our key or without."""

    def __init__(self, keys: TokenKeys, **claims: Any) -> None:
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 600}
        who = {"sub": "usr_ana", "tenant": "acme", "role": "analyst", "sid": "ses_ana"}
        origin = {"iss": keys.issuer, "aud": "wardroom", "jti": "a1"}
        self.keys = keys
        self.good: dict[str, Any] = {**times, **who, **origin, **claims}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """The claims, changed."""
        return {**self.good, **changes}

    def signed(self, claims: dict[str, Any], typ: str = "at+jwt", **header: Any) -> str:
        """A token with our own signature."""
        return self.by_hand({"typ": typ, "kid": self.keys.kid, **header}, claims)

    def by_hand(
        self, header: dict[str, Any], claims: Any, key: Ed25519PrivateKey | None = None
    ) -> str:
        """A token that no library has looked at; signed by us unless a key is given."""
        said = ".".join(_part(item) for item in ({"alg": "EdDSA", **header}, claims))
        signature = (key or self.keys.private_key).sign(said.encode())
        return f"{said}.{_base64(signature)}"

    def attacks(self) -> dict[str, str]:
        """All of them."""
        groups = (
            *(self._malformed(), self._algorithms(), self._key_ids(), self._headers()),
            *(self._missing(), self._wrong_types(), self._wrong_values(), self._altered()),
        )
        return {name: token for group in groups for name, token in group}

    def _malformed(self) -> Iterator[tuple[str, str]]:
        yield "no token", ""
        yield "no JWT", "a.b.c"
        yield "not ASCII", "\u00e9.\u00e9.\u00e9"
        yield "two parts", self.signed(self.good).rpartition(".")[0]
        yield "four parts", self.signed(self.good) + ".AAAA"
        yield "claims that are a list", self.by_hand(self._header(), [self.good])

    def _algorithms(self) -> Iterator[tuple[str, str]]:
        for alg in ("none", "None", "NONE", "nOnE", ""):
            header = {**self._header(), "alg": alg}
            yield f"the algorithm {alg!r}", f"{_part(header)}.{_part(self.good)}."
        yield "an empty signature", f"{_part(self._header())}.{_part(self.good)}."
        public = self.keys.public_keys[self.keys.kid]
        # By hand: the library does not make such tokens any more.
        for encoding, form in (
            (Encoding.Raw, PublicFormat.Raw),
            (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        ):
            secret = public.public_bytes(encoding, form)
            for alg, digest in (("HS256", "sha256"), ("HS512", "sha512")):
                said = f"{_part({**self._header(), 'alg': alg})}.{_part(self.good)}"
                mark = _base64(hmac.digest(secret, said.encode(), digest))
                yield f"{alg} with our public key of {len(secret)} bytes", f"{said}.{mark}"

    def _key_ids(self) -> Iterator[tuple[str, str]]:
        for what, kid in INJECTIONS.items():
            yield f"a key id that is {what}", self.signed(self.good, kid=kid)
        yield "an unknown key id", self.signed(self.good, kid="k2")
        yield "no key id", self.by_hand({"typ": "at+jwt"}, self.good)
        yield "another key under our key id", self.by_hand(self._header(), self.good, STRANGER)

    def _headers(self) -> Iterator[tuple[str, str]]:
        for name, value in FOREIGN_KEYS.items():
            header = {**self._header(), name: value}
            yield f"{name} and its key", self.by_hand(header, self.good, STRANGER)
            yield f"{name} and our key", self.by_hand(header, self.good)
        for crit in (["exp"], ["urn:unknown"], [], "exp"):
            header = {**self._header(), "urn:unknown": True, "crit": crit}
            yield f"critical {crit}", self.by_hand(header, self.good)
        yield "an unencoded payload", self.signed(self.good, b64=False, crit=["b64"])
        for typ in ("JWT", "jwt", "", "application/at+jwt", "ws-ticket+jwt", None, ["at+jwt"]):
            yield f"the type {typ}", self.by_hand({**self._header(), "typ": typ}, self.good)
        yield "no type", self.by_hand({"kid": self.keys.kid}, self.good)

    def _missing(self) -> Iterator[tuple[str, str]]:
        for claim in CLAIMS:
            rest = {name: value for name, value in self.good.items() if name != claim}
            yield f"no {claim}", self.signed(rest)
            yield f"{claim} is null", self.signed(self.claims(**{claim: None}))

    def _wrong_types(self) -> Iterator[tuple[str, str]]:
        for claim in ("exp", "nbf", "iat"):
            good = self.good[claim]
            for what, wrong in (
                *(("a text", str(good)), ("a fraction", good + 0.5), ("a list", [good])),
                *(("an operator", {"$gt": 0}), ("true", True), ("a word", "soon")),
                ("endless", 10**400),
            ):
                yield f"{claim} is {what}", self.signed(self.claims(**{claim: wrong}))
        for claim in ("iss", "aud", "sub", "jti", "tenant", "role", "sid"):
            for wrong in ([self.good[claim]], {"$ne": ""}, 1, True, ""):
                yield f"{claim} is {wrong!r}", self.signed(self.claims(**{claim: wrong}))

    def _wrong_values(self) -> Iterator[tuple[str, str]]:
        now = int(time.time())
        for claim, wrong in (
            *(("iss", "https://elsewhere"), ("aud", "wardroom-ws"), ("aud", "other")),
            *(("aud", ["wardroom", "other"]), ("sub", "a.b"), ("sub", "*")),
            *(("tenant", "ACME/../globex"), ("role", "emperor"), ("role", "system")),
            *(("exp", 0), ("exp", -1)),
        ):
            yield f"{claim} is {wrong}", self.signed(self.claims(**{claim: wrong}))
        # By their distance from now: a name that holds the time is another one in every process.
        for claim, from_now_s in (("exp", -CLOCK_SKEW_S - 1), ("nbf", 36_000), ("iat", 36_000)):
            wrong_time = self.claims(**{claim: now + from_now_s})
            yield f"{claim} is {from_now_s} s from now", self.signed(wrong_time)
        someone = new_principal("acme", "usr_ana", Role.ANALYST, "ses_ana")
        yield "a ticket", Tokens(self.keys).ticket(someone)

    def _altered(self) -> Iterator[tuple[str, str]]:
        head, _, signature = self.signed(self.good).split(".")
        for claim, value in (
            *(("role", "tenant_admin"), ("sub", "usr_tom"), ("sid", "ses_tom")),
            *(("tenant", "globex"), ("exp", self.good["exp"] + 1)),
        ):
            body = _part(self.claims(**{claim: value}))
            yield f"{claim} changed after signing", f"{head}.{body}.{signature}"

    def _header(self) -> dict[str, Any]:
        return {"alg": "EdDSA", "typ": "at+jwt", "kid": self.keys.kid}


def _part(value: Any) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
