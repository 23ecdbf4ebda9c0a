"""An identity provider that is strict where the specifications are, and wrong where a test says so.

Made from OpenID Connect Core 1.0 and Discovery 1.0, RFC 6749, 7517, 7636 and 9207. It listens on loopback.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

CLIENT: Final = "wardroom"
SECRET: Final = "the client's own secret: 100%"
HERE: Final = "127.0.0.1"
Spoil = Callable[[dict[str, Any]], object]

_KEYS: Final = {number: generate_private_key(65537, 2048) for number in (1, 2)}
"""Made once: making them takes longer than most tests."""


@dataclass
class Signer:
    """A key and the name that it is published under."""

    kid: str
    key: RSAPrivateKey

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as it is published."""
        jwk: dict[str, Any] = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**jwk, "kid": self.kid, "use": "sig", "alg": "RS256"}


@dataclass
class StagedProvider:
    """What it says of whom, how it signs, and what it was asked. Fields are changed by tests."""

    port: int = 0
    claims: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "248289761001",
            "preferred_username": "ada",
            "name": "Ada Lovelace",
            "email": "ada@corp.example",
            "groups": ["soc"],
        }
    )
    more: dict[str, Any] | None = None
    """What the userinfo endpoint says; None: the token says all."""
    signer: Signer = field(default_factory=lambda: Signer("k1", _KEYS[1]))
    published: list[dict[str, Any]] | None = None
    sign: Callable[[dict[str, Any]], str] | None = None
    spoil: Spoil = field(default=lambda _: None)
    """Changes the claims of a token before it is signed."""
    spoil_discovery: Spoil = field(default=lambda _: None)
    spoil_answer: Spoil = field(default=lambda _: None)
    """Changes what the browser is sent back with."""
    raw: dict[str, bytes] = field(default_factory=dict)
    """Whole answers, by path."""
    silent: set[str] = field(default_factory=set)
    """Paths that send a byte now and then, and never an end."""
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    reusable_codes: bool = False
    tokens: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    """What a client did that a strict provider refuses."""
    name: str = ""

    @property
    def issuer(self) -> str:
        """As the discovery document has it."""
        return self.name or f"http://{HERE}:{self.port}"

    def settings(self, **changes: Any) -> dict[str, Any]:
        """What an administrator puts."""
        return {
            "issuer": self.issuer,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "roles": [
                {"group": "soc", "role": "analyst"},
                {"group": "leads", "role": "tenant_admin"},
            ],
            **changes,
        }

    def rotate(self) -> None:
        """Sign with another key from now on; the old one is published no more."""
        self.signer = Signer("k2", _KEYS[2])

    def authorize(self, location: str) -> str:
        """Somebody signs in with what his browser was sent with: where it is sent back to."""
        asked = dict(parse_qsl(urlsplit(location).query, strict_parsing=True))
        assert location.startswith(f"http://{HERE}:{self.port}/authorize?")
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        for name in ("state", "nonce", "code_challenge"):
            assert len(asked[name]) >= 43, name
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer}
        self.spoil_answer(answer)
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, target, _ = head.split("\r\n")[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            path = urlsplit(target).path
            self.asked.append(path)
            while path in self.silent:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.01)
            writer.write(self.raw.get(path) or self._answer(method, path, headers, body))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
        if path == "/.well-known/openid-configuration":
            return reply(200, self._discovery())
        if path == "/jwks":
            published = self.published if self.published is not None else [self.signer.jwk]
            return reply(200, {"keys": published})
        if path == "/token" and method == "POST":
            return self._token(headers, body)
        if path == "/userinfo":
            _, _, token = headers.get("authorization", "").partition("Bearer ")
            return reply(200, self.more or {}) if token in self.tokens else reply(401, {})
        return reply(404, {})

    def _discovery(self) -> dict[str, Any]:
        base = f"http://{HERE}:{self.port}"
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "userinfo_endpoint": f"{base}/userinfo",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        self.spoil_discovery(document)
        return document

    def _token(self, headers: dict[str, str], body: bytes) -> bytes:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        self.forms.append(form)
        _, _, basic = headers.get("authorization", "").partition("Basic ")
        pair = base64.b64decode(basic).decode().split(":")
        if [unquote_plus(part) for part in pair] != [CLIENT, SECRET]:
            self.faults.append("client")
            return reply(401, {"error": "invalid_client"})
        code = form.get("code", "")
        asked = self.codes.get(code) if self.reusable_codes else self.codes.pop(code, None)
        if asked is None or form.get("grant_type") != "authorization_code":
            self.faults.append("code")
            return reply(400, {"error": "invalid_grant"})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if shown != asked["code_challenge"] or form.get("redirect_uri") != asked["redirect_uri"]:
            self.faults.append("verifier")
            return reply(400, {"error": "invalid_grant"})
        access = secrets.token_urlsafe(16)
        self.tokens.add(access)
        id_token = self._id_token(asked["nonce"], access)
        tokens = {"access_token": access, "token_type": "Bearer", "id_token": id_token}
        return reply(200, tokens)

    def _id_token(self, nonce: str, access: str) -> str:
        now = int(time.time())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **self.claims,
        }
        self.spoil(claims)
        if self.sign is not None:
            return self.sign(claims)
        headers = {"kid": self.signer.kid}
        return jwt.encode(claims, self.signer.key, algorithm="RS256", headers=headers)


def reply(status: int, document: Any) -> bytes:
    """An answer of HTTP."""
    body = orjson.dumps(document)
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\nconnection: close\r\n\r\n".encode() + body


@asynccontextmanager
async def staged() -> AsyncIterator[StagedProvider]:
    """A provider on a port of its own."""
    made = StagedProvider()
    server = await asyncio.start_server(made.serve, HERE, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
