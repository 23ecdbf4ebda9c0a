"""The keys of tokens change under gateways that run, and nobody notices but forgers."""

from time import time

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.provision.token_keys import rotate_token_keys
from store.driver import MongoConnection
from store.keys import RootKey
from tests.e2e.clients import Client, bare_socket
from tests.e2e.system import Company, System
from tests.support.eventually import eventually


async def rotate(system: System) -> tuple[str, str]:
    """Rotate as an operator does; the ids of the key that signs now and of the next."""
    connection = MongoConnection(system.stack.mongo_url_for("provisioner"))
    try:
        root = RootKey.from_file(system.stack.secrets.root_key_file)
        done = await rotate_token_keys(connection, root, int(time()), at_once=True)
    finally:
        await connection.close()
    return done.current, done.next


async def published(client: Client) -> set[str]:
    """The ids of the keys that a gateway shows."""
    keys = (await client.http.get("/.well-known/jwks.json")).json()["keys"]
    return {key["kid"] for key in keys}


def kid_of(token: str) -> str:
    """The id of the key that signed a token."""
    return str(jwt.get_unverified_header(token)["kid"])


async def test_a_rotation_between_sign_in_and_use_is_noticed_by_nobody(company: Company) -> None:
    early = await company.sign_in("ana", gateway=0)
    elsewhere = early.at(company.system.gateways[1].http)
    assert kid_of(early.access) in await published(elsewhere)

    current, following = await rotate(company.system)

    assert current in await published(early), "the next key was shown before it signed"
    assert (await elsewhere.call("GET", "/auth/me"))["user"] == early.user
    for gateway in (early, elsewhere):

        async def knows(gateway: Client = gateway) -> bool | None:
            return following in await published(gateway) or None

        await eventually(knows, "the gateway looks at the keys")
    late = await company.sign_in("bob", gateway=0)
    assert kid_of(late.access) == current != kid_of(early.access)
    for http in (gateway.http for gateway in company.system.gateways):
        for client in (early, late):
            assert (await client.at(http).call("GET", "/auth/me"))["user"] == client.user
        async with bare_socket(http) as socket:
            await socket.send(type="hello", token=early.access)
            assert (await socket.get())["type"] == "welcome"
    pair = await elsewhere.call("POST", "/auth/refresh", {"refresh_token": early.refresh})
    assert kid_of(pair["access_token"]) == current


async def test_a_token_of_a_key_that_was_never_published_is_refused(company: Company) -> None:
    ana = await company.sign_in("ana")
    claims = jwt.decode(ana.access, options={"verify_signature": False})
    for kid in ("token-0", "token-999"):
        headers = {"typ": "at+jwt", "kid": kid}
        forged = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers=headers)
        answer = await Client(ana.http, access=forged).ask("GET", "/auth/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
