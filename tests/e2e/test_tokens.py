"""Tokens that must not be believed, on every route and on the socket."""

import time
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.token_keys import load_token_keys
from gateway.tokens import TokenKeys
from store.driver import MongoConnection
from store.keys import RootKey
from tests.e2e.clients import Client, Json, bare_socket
from tests.e2e.probes import ROUTES, Ids, ask, routes_of
from tests.e2e.system import Company, System

Forge = Callable[[TokenKeys, Json], str]


def signed(keys: TokenKeys, claims: Json, **header: Any) -> str:
    """A token signed with the deployment's own key."""
    headers = {"typ": "at+jwt", "kid": keys.kid, **header}
    return jwt.encode(claims, keys.private_key, algorithm="EdDSA", headers=headers)


def _expired(keys: TokenKeys, claims: Json) -> str:
    now = int(time.time())
    return signed(keys, claims | {"iat": now - 700, "nbf": now - 700, "exp": now - 100})


def _from_the_future(keys: TokenKeys, claims: Json) -> str:
    return signed(keys, claims | {"nbf": int(time.time()) + 100})


def _signed_by_a_stranger(keys: TokenKeys, claims: Json) -> str:
    header = {"typ": "at+jwt", "kid": keys.kid}
    return jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=header)


def _unsigned(keys: TokenKeys, claims: Json) -> str:
    header = {"typ": "at+jwt", "kid": keys.kid}
    return jwt.encode(claims, "", algorithm="none", headers=header)


def _keyed_with_the_public_key(keys: TokenKeys, claims: Json) -> str:
    public = keys.public_keys[keys.kid].public_bytes_raw()
    header = {"typ": "at+jwt", "kid": keys.kid}
    return jwt.encode(claims, public, algorithm="HS256", headers=header)


def _altered(keys: TokenKeys, claims: Json) -> str:
    head, _, signature = signed(keys, claims).split(".")
    promoted = signed(keys, claims | {"role": "tenant_admin"}).split(".")[1]
    return f"{head}.{promoted}.{signature}"


FORGERIES: Final[dict[str, Forge]] = {
    "expired": _expired,
    "not yet good": _from_the_future,
    "signed by a stranger": _signed_by_a_stranger,
    "unsigned": _unsigned,
    "keyed with the public key": _keyed_with_the_public_key,
    "altered": _altered,
    "of a key nobody knows": lambda keys, claims: signed(keys, claims, kid="other"),
    "of a key at a path": lambda keys, claims: signed(keys, claims, kid="../../dev/null"),
    "for another audience": lambda keys, claims: signed(keys, claims | {"aud": "other"}),
    "for sockets": lambda keys, claims: signed(
        keys, claims | {"aud": "wardroom-ws"}, typ="ws-ticket+jwt"
    ),
    "of another issuer": lambda keys, claims: signed(keys, claims | {"iss": "other"}),
    "of another type": lambda keys, claims: signed(keys, claims, typ="JWT"),
    "without an end": lambda keys, claims: signed(
        keys, {name: claims[name] for name in claims if name != "exp"}
    ),
    "of no session": lambda keys, claims: signed(keys, claims | {"sid": "ses_none"}),
    "of no tenant": lambda keys, claims: signed(keys, claims | {"tenant": "nowhere"}),
    "of no role": lambda keys, claims: signed(keys, claims | {"role": "god"}),
    "of a system": lambda keys, claims: signed(keys, claims | {"sub": "a.b"}),
}
"""How a token is made from the claims of one that is good."""


async def token_keys(system: System) -> TokenKeys:
    """The keys of this deployment."""
    connection = MongoConnection(system.stack.mongo_url_for("gateway"))
    try:
        root = RootKey.from_file(system.stack.secrets.root_key_file)
        return await load_token_keys(connection, root, "wardroom")
    finally:
        await connection.close()


async def bad_tokens(company: Company, client: Client) -> dict[str, str]:
    """Tokens that look like the client's own and are none."""
    keys = await token_keys(company.system)
    claims = jwt.decode(client.access, options={"verify_signature": False})
    assert jwt.get_unverified_header(client.access)["kid"] == keys.kid
    left = await company.sign_in("ana")
    assert (await left.ask("POST", "/auth/logout")).status_code == 204
    ticket = (await client.call("POST", "/auth/ws-ticket"))["ticket"]
    return {
        "a refresh token": client.refresh,
        "a ticket": ticket,
        "of a session that has ended": left.access,
        "no token at all": "x",
        "too long": "x" * 5_000,
        **{name: forge(keys, claims) for name, forge in FORGERIES.items()},
    }


async def test_the_forgeries_would_be_believed_if_they_were_none(company: Company) -> None:
    ana = await company.sign_in("ana")
    claims = jwt.decode(ana.access, options={"verify_signature": False})
    same = Client(ana.http, ana.user, signed(await token_keys(company.system), claims))
    assert (await same.call("GET", "/auth/me"))["user"] == ana.user


async def test_a_token_that_is_not_good_opens_no_route(company: Company) -> None:
    ana = await company.sign_in("ana")
    room = await ana.open_room()
    tokens = {"none": "", **await bad_tokens(company, ana)}
    ids = Ids(room, company.user("bob"))
    opened: list[str] = []
    answers: set[bytes] = set()
    for route in await routes_of(ana.http):
        for name, token in tokens.items():
            status, _, content = await ask(Client(ana.http, access=token), route, ids)
            if not ROUTES[route].public:
                answers.add(content if token else b"")
            if status != 401 and (status < 400 or not ROUTES[route].public):
                opened.append(f"{route} with {name}: {status}")
    assert opened == []
    # Why a token is refused is its owner's business only where it once was good.
    assert len(answers) <= 4
    assert len(await ana.chain(room)) == 1


async def test_other_ways_to_authorize_are_none(system: System) -> None:
    for header in ("Basic YW5hOng=", "Bearer", "bearer\tx", "Bearer a b", "x"):
        answer = await system.gateways[0].http.get(
            "/api/v1/auth/me", headers={"Authorization": header}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), header


async def test_a_token_that_is_not_good_opens_no_socket(company: Company) -> None:
    ana = await company.sign_in("ana")
    closed: dict[str, tuple[int, list[str]]] = {}
    tokens = await bad_tokens(company, ana)
    del tokens["too long"]
    for name, token in tokens.items():
        async with bare_socket(ana.http) as socket:
            await socket.send(type="hello", token=token)
            code = await socket.closed()
            closed[name] = (code, [frame.get("code", "") for frame in socket.seen])
    assert closed == dict.fromkeys(tokens, (4401, ["unauthenticated"]))


async def test_a_ticket_that_is_too_old_opens_no_socket(company: Company) -> None:
    ana = await company.sign_in("ana")
    keys = await token_keys(company.system)
    claims = jwt.decode(ana.access, options={"verify_signature": False})
    now = int(time.time())
    ticket = claims | {"aud": "wardroom-ws", "session_exp": claims["exp"]}
    for jti, exp, fate in (("fresh", now + 30, "welcome"), ("old", now - 30, "error")):
        token = signed(keys, ticket | {"exp": exp, "jti": uuid4().hex}, typ="ws-ticket+jwt")
        async with bare_socket(ana.http, f"?ticket={token}") as socket:
            assert (await socket.get())["type"] == fate, jti
            if fate == "error":
                assert await socket.closed() == 4401


async def test_a_socket_ends_with_its_token_unless_another_comes_in_time(company: Company) -> None:
    ana = await company.sign_in("ana")
    keys = await token_keys(company.system)
    claims = jwt.decode(ana.access, options={"verify_signature": False})
    short = signed(keys, claims | {"exp": int(time.time()) + 2})
    async with bare_socket(ana.http) as ending, bare_socket(ana.http) as renewed:
        for socket in (ending, renewed):
            await socket.send(type="hello", token=short)
            assert (await socket.get())["type"] == "welcome"
        await renewed.send(type="hello", token=ana.access)
        assert (await renewed.get())["type"] == "welcome"
        assert await ending.closed() == 4401
        assert await renewed.echo("still here") == []
