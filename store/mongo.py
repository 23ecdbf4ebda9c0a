"""Collections, indexes and roles as data, and the names of databases.

What the running system may do is decided here and enforced by mongod: nobody in it may update or
remove a record.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel

DUPLICATE_KEY: Final = 11_000
"""MongoDB's error code for a unique index that was hit."""

PLATFORM_DATABASE: Final = "wardroom"
TENANT_DATABASE_PREFIX: Final = "wardroom_"

RECORDS: Final = "records"
CONTENTS: Final = "contents"
ROOM_KEYS: Final = "room_keys"
ROOMS: Final = "rooms"
LANES: Final = "lanes"
USERS: Final = "users"
SESSIONS: Final = "sessions"
TENANT_ROLES: Final = "tenant_roles"
POLICIES: Final = "policies"
INVITATIONS: Final = "invitations"
EVENTS: Final = "events"
DEAD_LETTERS: Final = "dead_letters"
SETTINGS: Final = "settings"
DIRECTORY: Final = "directory"
"""The one document of `settings` that says how a tenant's directory is asked."""
IDENTITY_PROVIDER: Final = "identity_provider"
"""The one that says at which identity provider a tenant's people sign in."""

TENANTS: Final = "tenants"
TENANT_KEYS: Final = "tenant_keys"
TOKEN_KEYS: Final = "token_keys"
LOGINS: Final = "logins"
MANAGED_TENANTS: Final = "managed_tenants"
NATS_CREDENTIALS: Final = "nats_credentials"
NATS_USES: Final = "nats_uses"

SUSPENDING: Final = "suspending"
SUSPENDED: Final = "suspended"
DESTROYED: Final = "destroyed"
STAGES: Final = (SUSPENDING, SUSPENDED, DESTROYED)
"""What provisioning has begun to take from a tenant, in its document of `tenants`. Of a destroyed one the
document stays: its id must never be that of another."""


def tenant_database(tenant: str) -> str:
    """The name of a tenant's database."""
    return TENANT_DATABASE_PREFIX + tenant


COMMON_KIND: Final = "message"
"""The kind that most records have."""
OTHER_KINDS: Final[dict[str, Any]] = {
    "$or": [{"kind": {"$lt": COMMON_KIND}}, {"kind": {"$gt": COMMON_KIND}}]
}
"""What keeps the index of the other kinds small, and free for messages. For one other kind MongoDB takes
the index by itself; for several see `of_kinds`."""


def of_kinds(condition: dict[str, Any], kinds: Iterable[str]) -> dict[str, Any]:
    """A condition on records and their kind, in the form that lets MongoDB take the index of kinds.

    MongoDB sees that a list of kinds is within the index if all of them are on one side of the common
    one; so there is a whole condition for each side.
    """
    wanted = sorted(kinds)
    if COMMON_KIND in wanted:
        return {**condition, "kind": {"$in": wanted}}
    return {"$or": [{**condition, "kind": {"$in": side}} for side in sides_of_kinds(wanted)]}


def sides_of_kinds(kinds: Iterable[str]) -> tuple[list[str], list[str]]:
    """Kinds before and after the common one, in order. What is to come in the order of the chain is asked
    for a side at a time: with `$or` MongoDB would read all there is, and sort it."""
    wanted = sorted(kinds)
    before = [kind for kind in wanted if kind < COMMON_KIND]
    return before, [kind for kind in wanted if kind > COMMON_KIND]


TENANT_INDEXES: Final[dict[str, tuple[IndexModel, ...]]] = {
    RECORDS: (
        IndexModel(
            [("room", ASCENDING), ("actor", ASCENDING), ("client_id", ASCENDING)],
            name="command_once",
            unique=True,
        ),
        IndexModel(
            # Not unique, which would cost three times as much: a record of the same command has the
            # same author and client_id too, so `command_once` stops it.
            [("lane", ASCENDING), ("src", ASCENDING), ("index", ASCENDING)],
            name="by_source",
        ),
        IndexModel(
            [("kind", ASCENDING), ("_id", ASCENDING)],
            name="other_kinds",
            partialFilterExpression=OTHER_KINDS,
        ),
    ),
    CONTENTS: (),
    ROOM_KEYS: (),
    ROOMS: (
        IndexModel([("members", ASCENDING), ("_id", ASCENDING)], name="rooms_of_member"),
        IndexModel([("open_to", ASCENDING), ("_id", ASCENDING)], name="rooms_open_to_role"),
    ),
    LANES: (),
    USERS: (IndexModel([("login", ASCENDING)], name="login_once", unique=True),),
    SESSIONS: (
        IndexModel([("expires", ASCENDING)], name="expiry", expireAfterSeconds=0),
        IndexModel([("user", ASCENDING), ("_id", ASCENDING)], name="sessions_of_user"),
    ),
    TENANT_ROLES: (),
    POLICIES: (),
    INVITATIONS: (IndexModel([("expires", ASCENDING)], name="expiry", expireAfterSeconds=0),),
    EVENTS: (),
    DEAD_LETTERS: (IndexModel([("at", DESCENDING)], name="newest_first"),),
    SETTINGS: (),
}
"""Every collection of a tenant's database. The key of `records` and `contents` is the place in the
chain, so reading a page needs no further index (each costs about a seventh of a commit)."""

PLATFORM_INDEXES: Final[dict[str, tuple[IndexModel, ...]]] = {
    TENANTS: (),
    TENANT_KEYS: (),
    TOKEN_KEYS: (),
    LOGINS: (IndexModel([("login", ASCENDING)], name="by_login"),),
    MANAGED_TENANTS: (),
    # Of all tenants in one place: the provisioner looks every half second whether something is due.
    NATS_CREDENTIALS: (IndexModel([("due", ASCENDING)], name="by_due", sparse=True),),
    NATS_USES: (),
}

READ: Final = ("find",)
APPEND: Final = ("find", "insert")
PROVISION: Final = ("find", "insert", "update", "createCollection", "createIndex", "listIndexes")
MAINTAIN: Final = ("find", "insert", "update", "remove")


@dataclass(frozen=True, slots=True)
class Role:
    """A database role: actions on a collection of every tenant, and on platform collections."""

    name: str
    tenant: dict[str, tuple[str, ...]]
    platform: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def privileges(self) -> list[dict[str, Any]]:
        """The privileges in the form of `createRole`.

        An empty database name means the collection of that name in any database, so a new tenant
        needs no change of roles. The platform's collections have names of their own.
        """
        return [
            {"resource": {"db": "", "collection": name}, "actions": list(actions)}
            for name, actions in self.tenant.items()
        ] + [
            {"resource": {"db": PLATFORM_DATABASE, "collection": name}, "actions": list(actions)}
            for name, actions in self.platform.items()
        ]


ACTORS_ROLE: Final = Role(
    "wardroomActors",
    tenant={
        RECORDS: APPEND,
        CONTENTS: APPEND,
        ROOM_KEYS: APPEND,
        ROOMS: MAINTAIN,
        LANES: MAINTAIN,
        USERS: MAINTAIN,
        SESSIONS: MAINTAIN,
        TENANT_ROLES: MAINTAIN,
        POLICIES: MAINTAIN,
        INVITATIONS: MAINTAIN,
        EVENTS: APPEND,
        DEAD_LETTERS: APPEND,
        SETTINGS: MAINTAIN,
    },
    platform={
        TENANTS: READ,
        TENANT_KEYS: READ,
        LOGINS: MAINTAIN,
        MANAGED_TENANTS: MAINTAIN,
        NATS_CREDENTIALS: MAINTAIN,
    },
)
GATEWAY_ROLE: Final = Role(
    "wardroomGateway",
    tenant=dict.fromkeys(
        (
            *(RECORDS, CONTENTS, ROOM_KEYS, ROOMS, USERS, SESSIONS, EVENTS, DEAD_LETTERS),
            *(TENANT_ROLES, POLICIES, INVITATIONS, SETTINGS),
        ),
        READ,
    ),
    platform={
        TENANTS: READ,
        TENANT_KEYS: READ,
        TOKEN_KEYS: READ,
        LOGINS: READ,
        MANAGED_TENANTS: READ,
        NATS_CREDENTIALS: READ,
        NATS_USES: READ,
    },
)
AUDITOR_ROLE: Final = Role(
    "wardroomAuditor",
    tenant=dict.fromkeys((RECORDS, CONTENTS, ROOM_KEYS, ROOMS, LANES), READ),
    platform={TENANTS: READ, TENANT_KEYS: READ},
)
PROVISIONER_ROLE: Final = Role(
    "wardroomProvisioner",
    tenant={
        **dict.fromkeys(TENANT_INDEXES, ("find", "createCollection", "createIndex", "listIndexes")),
    },
    platform={
        **dict.fromkeys(PLATFORM_INDEXES, PROVISION),
        # A tenant ends with its key, the names of its people and what its systems signed in with.
        **dict.fromkeys((TENANT_KEYS, LOGINS, NATS_CREDENTIALS, NATS_USES), (*PROVISION, "remove")),
    },
)
ROLES: Final = (ACTORS_ROLE, GATEWAY_ROLE, AUDITOR_ROLE, PROVISIONER_ROLE)
