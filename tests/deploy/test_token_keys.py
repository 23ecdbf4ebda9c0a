"""The keys of access tokens: made one ahead, rotated by one insertion, and retired in time."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.provision.errors import ProvisionError
from deploy.provision.token_keys import NEXT_KEY_AGE_MIN_S, ensure_token_keys, rotate_token_keys
from deploy.token_keys import kid_of, load_token_keys, read_succession
from gateway.limits import RETIRED_KEY_S
from gateway.tokens import TokenKeys
from store.driver import Document, MongoConnection
from store.keys import TOKEN_KEY, RootKey
from store.mongo import PLATFORM_DATABASE, TOKEN_KEYS
from tests.architecture.tree import ROOT
from tests.deploy.provisioned import Stack, whole_stack

NOW_S = 1_750_000_000


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with whole_stack(tmp_path_factory.mktemp("keys")) as running:
        yield running


@pytest.fixture
async def root(stack: Stack) -> RootKey:
    """The root key, over a database in which two keys were just made."""
    await stack.admin.database(PLATFORM_DATABASE)[TOKEN_KEYS].delete_many({})
    root = RootKey(stack.secrets.root_key())
    await ensure_token_keys(stack.platform.mongo, root, NOW_S)
    return root


async def loaded(stack: Stack, root: RootKey) -> TokenKeys:
    """The keys as a gateway reads them, with its own rights."""
    async with stack.mongo("gateway") as connection:
        return await load_token_keys(connection, root, "wardroom")


async def document(stack: Stack, kid: str) -> Document:
    """A key as it is kept."""
    found = await stack.admin.database(PLATFORM_DATABASE)[TOKEN_KEYS].find_one({"_id": kid})
    assert found is not None
    return found


def mongo(stack: Stack) -> MongoConnection:
    """The provisioner's connection."""
    return stack.platform.mongo


async def test_a_new_platform_has_a_key_that_signs_and_shows_the_next(
    stack: Stack, root: RootKey
) -> None:
    keys = await loaded(stack, root)

    assert keys.kid == "token-1"
    assert keys.public_keys.keys() == {"token-1", "token-2"}
    assert keys.private_key.public_key() == keys.public_keys["token-1"]
    assert await ensure_token_keys(mongo(stack), root, NOW_S + 1) == "token-1"
    assert (await loaded(stack, root)).public_keys == keys.public_keys


async def test_a_rotation_lets_the_next_sign_and_believes_the_retired_for_its_time(
    stack: Stack, root: RootKey
) -> None:
    before = await loaded(stack, root)

    done = await rotate_token_keys(mongo(stack), root, NOW_S + NEXT_KEY_AGE_MIN_S)

    after = await loaded(stack, root)
    until = NOW_S + NEXT_KEY_AGE_MIN_S + RETIRED_KEY_S
    assert (done.retired, done.current, done.next, done.until_s) == (
        *("token-1", "token-2", "token-3"),
        until,
    )
    assert (before.kid, after.kid) == ("token-1", "token-2")
    assert after.public_keys.keys() == {"token-1", "token-2", "token-3"}
    assert after.public_keys["token-2"] == before.public_keys["token-2"]
    assert after.until == {"token-1": until}
    assert after.believed("token-1", until - 1) == before.public_keys["token-1"]
    assert after.believed("token-1", until) is None


async def test_a_retired_key_can_sign_no_more_whatever_is_stolen(
    stack: Stack, root: RootKey
) -> None:
    assert root.unwrap(TOKEN_KEY, "token-1", (await document(stack, "token-1"))["sealed"])

    await rotate_token_keys(mongo(stack), root, NOW_S, at_once=True)

    assert "sealed" not in await document(stack, "token-1")
    assert "sealed" in await document(stack, "token-2")


async def test_a_rotation_waits_until_every_verifier_can_know_the_next_key(
    stack: Stack, root: RootKey
) -> None:
    with pytest.raises(ProvisionError) as caught:
        await rotate_token_keys(mongo(stack), root, NOW_S + NEXT_KEY_AGE_MIN_S - 1)

    assert caught.value.code == "next_key_too_young"
    assert (await loaded(stack, root)).kid == "token-1"
    await rotate_token_keys(mongo(stack), root, NOW_S, at_once=True)
    assert (await loaded(stack, root)).kid == "token-2"


async def test_rotations_at_the_same_moment_are_one_or_follow_each_other(
    stack: Stack, root: RootKey
) -> None:
    tries = (rotate_token_keys(mongo(stack), root, NOW_S, at_once=True) for _ in range(4))
    done = await asyncio.gather(*tries, return_exceptions=True)

    failed = [result for result in done if isinstance(result, BaseException)]
    assert all(
        isinstance(error, ProvisionError) and error.code == "rotated_meanwhile" for error in failed
    ), failed
    keys = await read_succession(mongo(stack))
    assert keys is not None
    assert keys.current.kid == kid_of(1 + len(done) - len(failed))


async def test_a_rotation_that_was_cut_short_is_finished_by_provisioning(
    stack: Stack, root: RootKey
) -> None:
    private = Ed25519PrivateKey.generate()
    await stack.admin.database(PLATFORM_DATABASE)[TOKEN_KEYS].insert_one(
        {
            "_id": "token-3",
            "made_s": NOW_S,
            "public": private.public_key().public_bytes_raw(),
            "sealed": root.wrap(TOKEN_KEY, "token-3", private.private_bytes_raw()),
        }
    )

    assert await ensure_token_keys(mongo(stack), root, NOW_S) == "token-2"

    assert "sealed" not in await document(stack, "token-1")


async def test_a_platform_with_one_key_gets_the_next_and_goes_on_signing(
    stack: Stack, root: RootKey
) -> None:
    keys = stack.admin.database(PLATFORM_DATABASE)[TOKEN_KEYS]
    await keys.delete_one({"_id": "token-2"})
    await keys.update_one({"_id": "token-1"}, {"$unset": {"made_s": ""}})
    assert (await loaded(stack, root)).kid == "token-1"

    assert await ensure_token_keys(mongo(stack), root, NOW_S) == "token-1"

    assert (await loaded(stack, root)).public_keys.keys() == {"token-1", "token-2"}


async def test_an_operator_looks_at_the_keys_and_rotates_them(stack: Stack, root: RootKey) -> None:
    async def keys(*words: str) -> tuple[int, list[dict[str, Any]], str]:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "deploy.cli", "keys", *words),
            cwd=ROOT,
            env={
                "PYTHONPATH": str(ROOT),
                "WARDROOM_NATS_URL": stack.server.url,
                "WARDROOM_MONGO_URL": stack.mongod.url,
                "WARDROOM_SECRETS_DIR": str(stack.secrets.directory),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await running.communicate()
        lines = [orjson.loads(line) for line in said.splitlines()]
        return running.returncode or 0, lines, complained.decode()

    assert await keys("list", "--json") == (
        *(0, [{"kid": "token-2", "state": "next"}, {"kid": "token-1", "state": "current"}]),
        "",
    )
    # The next key was made in the past of these tests, so it is old enough.
    status, [done], _ = await keys("rotate", "--json")
    assert (status, done["retired"], done["current"], done["next"]) == (
        *(0, "token-1", "token-2", "token-3"),
    )
    status, nothing, complaint = await keys("rotate", "--json")
    assert (status, nothing) == (2, [])
    assert "token-3 was published a moment ago" in complaint
    assert "Traceback" not in complaint
    assert (await loaded(stack, root)).kid == "token-2"
