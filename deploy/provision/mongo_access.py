"""Roles, users, collections and indexes in MongoDB, from the data in `store.mongo`."""

from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

from pymongo import IndexModel
from pymongo.errors import OperationFailure

from deploy.provision.errors import ProvisionError
from deploy.provision.secrets import MongoUser, Secrets
from store.driver import Database, MongoConnection
from store.mongo import (
    ACTORS_ROLE,
    AUDITOR_ROLE,
    GATEWAY_ROLE,
    PLATFORM_DATABASE,
    PLATFORM_INDEXES,
    PROVISIONER_ROLE,
    ROLES,
    TENANT_INDEXES,
    Role,
    tenant_database,
)

AUTH_DATABASE: Final = "admin"
MAJORITY: Final = {"w": "majority"}
_TO_BUILD: Final = (
    "DuplicateKey: two documents have what only one may have, so remove or repair one of them; "
    "IndexOptionsConflict or IndexKeySpecsConflict: drop the index of this name, which is another one; "
    "then do it again"
)
MECHANISMS: Final = ("SCRAM-SHA-256",)

ROLE_EXISTS: Final = 51002
USER_EXISTS: Final = 51003
COLLECTION_EXISTS: Final = 48

USER_ROLES: Final[dict[MongoUser, Role]] = {
    "actors": ACTORS_ROLE,
    "gateway": GATEWAY_ROLE,
    "auditor": AUDITOR_ROLE,
    "provisioner": PROVISIONER_ROLE,
}


def url_for(url: str, user: MongoUser, secrets: Secrets) -> str:
    """A deployment's URL with a user's credentials in it. The result is a secret.

    Args:
        url: a `mongodb://` or `mongodb+srv://` URL; credentials in it are left out.
        user: who to sign in as.
        secrets: where the password is.
    """
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2]
    password = quote(secrets.mongo_password(user), safe="")
    options = [
        option
        for option in parts.query.split("&")
        if option and not option.lower().startswith("authsource=")
    ]
    query = "&".join([*options, f"authSource={AUTH_DATABASE}"])
    return urlunsplit((parts.scheme, f"{user}:{password}@{hosts}", "/", query, ""))


async def ensure_users(admin: MongoConnection, secrets: Secrets) -> None:
    """Make the roles and users of `store.mongo`, or bring them to what is written there.

    Args:
        admin: a connection that may manage users, such as one with the role `root`.
        secrets: the passwords.
    """
    database = admin.database(AUTH_DATABASE)
    for role in ROLES:
        await _ensure_role(database, role)
    for user, role in USER_ROLES.items():
        await _ensure_user(database, user, secrets.mongo_password(user), role)


async def ensure_platform_collections(connection: MongoConnection) -> None:
    """Make the platform's collections and their indexes."""
    await _ensure_collections(connection.database(PLATFORM_DATABASE), PLATFORM_INDEXES)


async def ensure_tenant_collections(connection: MongoConnection, tenant: str) -> None:
    """Make a tenant's collections and their indexes."""
    await _ensure_collections(connection.database(tenant_database(tenant)), TENANT_INDEXES)


async def _ensure_role(database: Database, role: Role) -> None:
    # Empty database names in privileges are allowed to roles of the database `admin` only.
    content: dict[str, Any] = {
        "privileges": role.privileges(),
        "roles": [],
        "writeConcern": MAJORITY,
    }
    try:
        await database.command("createRole", role.name, **content)
    except OperationFailure as error:
        if error.code != ROLE_EXISTS:
            raise
        await database.command("updateRole", role.name, **content)


async def _ensure_user(database: Database, user: MongoUser, password: str, role: Role) -> None:
    content: dict[str, Any] = {
        "pwd": password,
        "roles": [{"role": role.name, "db": AUTH_DATABASE}],
        "mechanisms": list(MECHANISMS),
        "writeConcern": MAJORITY,
    }
    try:
        await database.command("createUser", user, **content)
    except OperationFailure as error:
        if error.code != USER_EXISTS:
            raise
        await database.command("updateUser", user, **content)


async def _ensure_collections(database: Database, indexes: dict[str, Any]) -> None:
    unbuilt: list[str] = []
    for name, wanted in indexes.items():
        try:
            await database.command("create", name, writeConcern=MAJORITY)
        except OperationFailure as error:
            if error.code != COLLECTION_EXISTS:
                raise
        unbuilt += await _unbuilt_indexes(database, name, list(wanted))
    if unbuilt:
        raise ProvisionError("index_not_built", f"can't build {', '.join(unbuilt)}", _TO_BUILD)


async def _unbuilt_indexes(
    database: Database, collection: str, wanted: list[IndexModel]
) -> list[str]:
    """Build indexes; those that can't be, with why."""
    if not wanted:
        return []
    try:
        await database[collection].create_indexes(wanted)
    except OperationFailure as error:
        if len(wanted) > 1:
            # One by one, so that the others are built and the one is named.
            return [
                unbuilt
                for index in wanted
                for unbuilt in await _unbuilt_indexes(database, collection, [index])
            ]
        # Not what the server says in words: it quotes the documents that are in the way.
        why = (error.details or {}).get("codeName", error.code)
        return [f"index {wanted[0].document['name']} of {database.name}.{collection} ({why})"]
    return []
