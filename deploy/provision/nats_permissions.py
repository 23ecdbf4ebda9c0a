"""Who may publish and subscribe to what, as data. Whatever is not named is refused by the server.

Two things that permissions can't say, found by trying:

A wildcard stands for a whole token, so "streams called ROOM_*" has no spelling: an actor may make
consumers on every stream of CORE.

The reply subject of a message is not checked. Whoever may publish to a stream can have its PubAck, a
small JSON object, delivered to any subject of the account: subjects inside CORE are no proof of who
wrote, and every reader there validates what it reads. `strict` keeps JetStream from taking a PubAck
for a request. But whoever may pull from a consumer, which is an actor's work, also gets answers without
a body, and JetStream takes those for requests to purge or delete a stream. So the verbs left out below
protect streams from an actor's mistakes, not from an actor under foreign control; what protects the
record then is that MongoDB holds it, and lets no actor alter it. Tenants are in accounts of their own,
where none of this reaches CORE.
"""

from dataclasses import dataclass
from typing import Final

from actors.protocol.ids import TENANT_ROOM
from actors.protocol.subjects import (
    OWNERS_BUCKET,
    ROOM_KINDS,
    TENANTS_CHANGED,
    TICKETS_BUCKET,
    WORKER_ALIVE,
    room_subject,
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
            "$SYS.REQ.CLAIMS.DELETE",
            "$SYS.REQ.CLAIMS.LIST",
            "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
            # Who is connected, and since when: what there is to know of the last use of a credential.
            "$SYS.REQ.SERVER.PING.CONNZ",
        ),
        subscribe=(INBOX,),
    ),
    "provisioner": Permissions(
        # It tells the actors what it has done for a tenant, and makes the tenant's first administrator.
        publish=("$JS.API.>", "$KV.>", TENANTS_CHANGED, room_subject("*", TENANT_ROOM, "command")),
        subscribe=("reply.>", INBOX),
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
