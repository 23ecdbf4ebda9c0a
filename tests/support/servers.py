"""Which servers the tests run on: given ones, containers, or those of the embedded stack."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from deploy.local.stack import GivenServers, LocalStack
from deploy.provision.secrets import Secrets

NATS_URL: Final = "WARDROOM_TEST_NATS_URL"
MONGO_URL: Final = "WARDROOM_TEST_MONGO_URL"
SECRETS_DIR: Final = "WARDROOM_TEST_SECRETS_DIR"
SERVERS: Final = "WARDROOM_TEST_SERVERS"


class BadSetting(Exception):
    """The environment asks for servers in a way that can't work; says what to set."""


@asynccontextmanager
async def stack_for(directory: Path, environment: Mapping[str, str]) -> AsyncIterator[LocalStack]:
    """A provisioned stack, without processes of ours.

    Args:
        directory: a fresh one, for data, secrets and logs.
        environment: WARDROOM_TEST_NATS_URL and WARDROOM_TEST_MONGO_URL (with an administrator's
            name and password) name servers that run; WARDROOM_TEST_SECRETS_DIR the secrets that
            belong to them; WARDROOM_TEST_SERVERS=containers starts both in containers. Whatever is
            not named is the embedded server.

    Raises:
        BadSetting: a contradiction among these.
    """
    secrets_dir = environment.get(SECRETS_DIR)
    given = GivenServers(environment.get(NATS_URL), environment.get(MONGO_URL))
    if given != GivenServers() and secrets_dir is None:
        raise BadSetting(
            f"set {SECRETS_DIR} too: a given NATS trusts the operator whose secrets it was configured"
            " from, and a given MongoDB holds keys that only one root key opens, so both need a"
            " directory of secrets that stays"
        )
    secrets = Path(secrets_dir) if secrets_dir else directory / "secrets"
    wanted = environment.get(SERVERS, "embedded")
    if wanted not in ("embedded", "containers"):
        raise BadSetting(f"{SERVERS} is {wanted!r}; it can be embedded or containers")
    if wanted == "embedded":
        async with LocalStack(directory, given, secrets_dir=secrets) as stack:
            yield stack
        return
    if given != GivenServers():
        raise BadSetting(f"{SERVERS}=containers starts both servers; unset {NATS_URL}, {MONGO_URL}")
    # Half a second of imports that no other way needs.
    from tests.support.containers import container_servers

    async with (
        container_servers(Secrets(secrets), directory, environment) as started,
        LocalStack(directory, started, secrets_dir=secrets) as stack,
    ):
        yield stack
