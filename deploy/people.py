"""First people: users made by an operator, through the tenant actor like everything else."""

import json
import secrets as random_secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from actors.client import ActorClient
from actors.protocol.commands import CreateUser, Origin
from actors.protocol.errors import ErrorCode, Refusal
from actors.protocol.ids import TENANT_ROOM, derived_id
from actors.protocol.roles import Role
from actors.runtime.jetstream import Bus
from deploy.context import User
from deploy.provision.secrets import Secrets
from gateway.passwords import hash_password

OPERATOR: Final = "operator"
FIRST_ROLES: Final = {
    "admin": Role.TENANT_ADMIN,
    "analyst": Role.ANALYST,
    "viewer": Role.VIEWER,
}
PASSWORD_BYTES: Final = 12
FIRST_USERS_FILE: Final = "first-users.json"


def new_password() -> str:
    """A password nobody chose."""
    return random_secrets.token_urlsafe(PASSWORD_BYTES)


@asynccontextmanager
async def operator_client(nats_url: str, secrets: Secrets) -> AsyncIterator[ActorClient]:
    """A client of the actors for an operator's commands."""
    name = f"operator-{random_secrets.token_hex(4)}"
    bus = await Bus.connect(nats_url, secrets.credentials_file("gateway"), name)
    try:
        yield await ActorClient.start(bus, name)
    finally:
        await bus.close()


async def create_user(
    client: ActorClient,
    tenant: str,
    user: User,
    email: str | None = None,
    user_id: str | None = None,
) -> tuple[str, bool]:
    """Make a user; the name may be there already, then nothing changes.

    Args:
        client: who asks the actors.
        tenant: the tenant.
        user: name, role and password.
        email: another name to sign in with.
        user_id: None: the one that is derived from the name, so that asking again makes no second user.

    Returns:
        The user's id, and whether he was made now.

    Raises:
        Refusal, OutcomeUnknown: see there.
    """
    user_id = user_id or derived_id("usr", tenant, user.username.casefold())
    command = CreateUser(
        client_id=f"create-{user_id}",
        actor=OPERATOR,
        role=Role.SYSTEM,
        user=user_id,
        username=user.username,
        email=email,
        display_name=user.username,
        user_role=Role(user.role),
        password_hash=hash_password(user.password),
        origin=Origin(method="cli"),
    )
    try:
        receipt = await client.send(tenant, TENANT_ROOM, command)
    except Refusal as refusal:
        if refusal.code is not ErrorCode.CONFLICT:
            raise
        return user_id, False
    return user_id, not receipt.duplicate


async def first_users(
    client: ActorClient, tenant: str, secrets: Secrets
) -> tuple[list[User], bool]:
    """An administrator, an analyst and a viewer, with generated passwords.

    Returns:
        The users, and whether they were made just now. Their passwords stay in a file among the
        secrets, readable by its owner only.
    """
    path = secrets.directory / "people" / tenant / FIRST_USERS_FILE
    kept = _read(path)
    users = kept or [
        User(f"{tenant}-{name}", str(role), new_password()) for name, role in FIRST_ROLES.items()
    ]
    if not kept:
        people = [{"username": u.username, "role": u.role, "password": u.password} for u in users]
        # Before the users: a start that is cut off in between goes on with the same passwords.
        users = [
            User(**item)
            for item in json.loads(secrets.create_once(path, json.dumps(people).encode))
        ]
    for user in users:
        await create_user(client, tenant, user)
    return users, not kept


def _read(path: Path) -> list[User]:
    if not path.is_file():
        return []
    return [User(**item) for item in json.loads(path.read_text())]
