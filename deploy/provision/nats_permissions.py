"""Who may publish and subscribe to what, as data. Whatever is not named is refused by the server.

A wildcard stands for a whole token, so "streams called ROOM_*" can't be said; where a permission
would need it, the stream's own `deny_delete` and the API verbs that are left out hold the line.
"""

from dataclasses import dataclass
from typing import Final

from actors.protocol.subjects import (
    OWNERS_BUCKET,
    ROOM_KINDS,
    TENANTS_CHANGED,
    TICKETS_BUCKET,
    WORKER_ALIVE,
)
from deploy.provision.secrets import NatsUser

INBOX: Final = "_INBOX.>"
TENANT_PUBLISH: Final = "ingest.>"


@dataclass(frozen=True, slots=True)
class Permissions:
    """The subjects a user may publish and subscribe to."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


TENANT: Final = Permissions(publish=(TENANT_PUBLISH,), subscribe=(INBOX,))
"""A tenant's external systems, inside the tenant's own account."""

_READ_STREAMS: Final = (
    "$JS.API.STREAM.INFO.*",
    "$JS.API.CONSUMER.CREATE.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.*.*",
    "$JS.API.CONSUMER.INFO.*.*",
    "$JS.API.CONSUMER.DELETE.*.*",
    "$JS.API.CONSUMER.MSG.NEXT.*.*",
    "$JS.ACK.>",
)
_READ_OWNERS: Final = (
    f"$JS.API.STREAM.MSG.GET.KV_{OWNERS_BUCKET}",
    f"$JS.API.DIRECT.GET.KV_{OWNERS_BUCKET}",
    f"$JS.API.DIRECT.GET.KV_{OWNERS_BUCKET}.>",
)

USERS: Final[dict[NatsUser, Permissions]] = {
    "system": Permissions(
        publish=(
            "$SYS.REQ.CLAIMS.UPDATE",
            "$SYS.REQ.CLAIMS.LIST",
            "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
        ),
        subscribe=(INBOX,),
    ),
    "provisioner": Permissions(
        publish=("$JS.API.>", "$KV.>", TENANTS_CHANGED),
        subscribe=(INBOX,),
    ),
    "gateway": Permissions(
        publish=(
            *(f"room.*.*.{kind}" for kind in ROOM_KINDS),
            "live.>",
            f"$KV.{TICKETS_BUCKET}.>",
        ),
        subscribe=("event.>", "live.>", "reply.>", WORKER_ALIVE, TENANTS_CHANGED, INBOX),
    ),
    "actors": Permissions(
        publish=(
            "event.>",
            "reply.>",
            "room.*.*.command",
            "room.*.*.message",
            WORKER_ALIVE,
            f"$KV.{OWNERS_BUCKET}.>",
            "deadletter.>",
            *_READ_STREAMS,
            *_READ_OWNERS,
        ),
        subscribe=("event.>", "reply.>", WORKER_ALIVE, TENANTS_CHANGED, INBOX),
    ),
    "connectors": Permissions(
        publish=("ingest.>", "room.*.*.command"),
        subscribe=("reply.>", TENANTS_CHANGED, INBOX),
    ),
}
"""Our own processes. All but `system` live in the CORE account."""
