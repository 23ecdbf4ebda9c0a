"""The policy of NATS: every subject that there is, and who alone may publish on it and hear it.

Whoever is not named in a line is refused. In the account of our own processes a line holds for what is
of any tenant; an external system publishes and hears in the account of its own tenant, and so of it.
"""

from dataclasses import dataclass
from typing import Final

from actors.protocol import subjects
from actors.protocol.ids import TENANT_ROOM
from actors.protocol.subjects import RoomKind
from deploy.provision import nats_accounts, nats_uses

EXTERNAL: Final = "external"
"""An external system of a tenant."""
NARROW: Final = "narrow"
"""One whose credential is for one source."""
SOURCE: Final = "qradar"
"""That source."""
CORE_USERS: Final = "actors gateway connectors provisioner"
LANES: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A subject and who may do what there. `by` are names in `actors.protocol.subjects` that spell it."""

    subject: str
    publish: frozenset[str]
    hear: frozenset[str]
    by: frozenset[str]


def _line(subject: str, publish: str = "", hear: str = "", by: str = "") -> Line:
    return Line(subject, *(frozenset(names.split()) for names in (publish, hear, by)))


ROOM_WRITERS: Final[dict[RoomKind, str]] = {
    "message": "gateway actors",
    "presence": "gateway",
    "command": "gateway actors connectors",
}


def lines(*tenants: str) -> list[Line]:
    """The policy for each subject, spelled out for some tenants."""
    shared = [subjects.DEAD_LETTER_STREAM, "KV_owners", "KV_tickets"]
    own = [
        name
        for each in tenants
        for name in (subjects.room_stream(each), subjects.ingest_stream(each))
    ]
    return [
        *_PLATFORM,
        *(line for tenant in tenants for line in _of_tenant(tenant)),
        *(_line(f"$JS.API.{verb}", who) for verb, who in _ACCOUNT_API.items()),
        *(line for stream in (*shared, *own) for line in _of_stream(stream)),
        *(_line(f"$SYS.{name}") for name in _SYSTEM),
        *(_line(subject, who) for subject, who in _SYSTEM_ASKED.items()),
    ]


def _of_tenant(tenant: str) -> list[Line]:
    room, anywhere = f"room-of-{tenant}", subjects.lane_token(0, LANES)
    found = [
        _line(
            subjects.room_subject(tenant, name, kind),
            ROOM_WRITERS[kind],
            by="room_subject ROOM_KINDS",
        )
        for kind in subjects.ROOM_KINDS
        for name in (room, TENANT_ROOM)
        if (name, kind) != (TENANT_ROOM, "command")
    ]
    first = ROOM_WRITERS["command"]
    return [
        *found,
        # The provisioner makes a tenant's first administrator.
        _line(subjects.room_subject(tenant, TENANT_ROOM, "command"), f"{first} provisioner"),
        _line(subjects.room_subject(tenant, anywhere, "command"), first, by="lane_token"),
        _line(f"room.0.{tenant}.{room}.message"),
        _line(f"room.{tenant}.{room}.other"),
        _line(subjects.event_subject(tenant, room), "actors", "actors gateway", "event_subject"),
        _line(
            subjects.ended_sessions_subject(tenant),
            "actors",
            "actors gateway",
            "ended_sessions_subject ENDED_SESSIONS",
        ),
        _line(f"live.{tenant}.{room}.typing", "gateway", "gateway"),
        _line(subjects.dead_letter_subject(tenant, "ingest"), "actors", by="dead_letter_subject"),
        # For an external system the tenant is nothing but the name of a source.
        _line(
            subjects.ingest_subject(tenant, SOURCE, "offense"),
            f"connectors {EXTERNAL}",
            by="ingest_subject",
        ),
    ]


_PLATFORM: Final = (
    _line(f"ingest.{SOURCE}.offense", f"connectors {EXTERNAL} {NARROW}"),
    _line("ingest.another.offense", f"connectors {EXTERNAL}"),
    _line("ingest"),
    _line(subjects.WORKER_ALIVE, "actors", "actors gateway", "WORKER_ALIVE"),
    _line(subjects.GATEWAYS_TOLD, "gateway", "gateway", "GATEWAYS_TOLD"),
    _line(subjects.TENANTS_CHANGED, "provisioner", "actors gateway connectors", "TENANTS_CHANGED"),
    _line(subjects.reply_subject("somebody"), "actors", CORE_USERS, "reply_subject"),
    _line(
        f"$KV.{subjects.OWNERS_BUCKET}.{subjects.OWNERS_KEY}",
        "actors provisioner",
        by="OWNERS_BUCKET OWNERS_KEY",
    ),
    _line(f"$KV.{subjects.TICKETS_BUCKET}.one", "gateway provisioner", by="TICKETS_BUCKET"),
    _line("$KV.another.one", "provisioner"),
    _line("$JS.ACK.S.C.1.1.1.1.0", "actors"),
    _line("$JS.FC.S.C.one"),
    _line("$JS.SNAPSHOT.ACK.S.one"),
    _line("$JS.SNAPSHOT.RESTORE.S.one"),
    _line("$JS.EVENT.ADVISORY.STREAM.DELETED.S"),
    _line("$JS.another.API.INFO"),
    _line("$JSC.R.one"),
    _line("$NRG.V.one"),
    _line("$MQTT.sess.one"),
    _line("$SRV.PING"),
    _line("$G.one"),
    _line("_INBOX.one", hear=f"{CORE_USERS} system {EXTERNAL} {NARROW}"),
    _line("_R_.one"),
    _line("_GR_.one"),
    _line("_SYS_.one"),
    _line("one"),
)

_ACCOUNT_API: Final = {
    "INFO": "provisioner",
    "STREAM.NAMES": "provisioner",
    "STREAM.LIST": "provisioner",
    "STREAM.CREATE.MINE": "provisioner",
    "META.LEADER.STEPDOWN": "provisioner",
    "META.RESCUE": "provisioner",
    "SERVER.REMOVE": "provisioner",
    "SERVER.EVACUATE": "provisioner",
    "ACCOUNT.PURGE.one": "provisioner",
}
"""The verbs of JetStream that are about no stream that there is."""

_STREAM_API: Final = {
    "STREAM.INFO.{}": "actors provisioner",
    "STREAM.CREATE.{}": "provisioner",
    "STREAM.UPDATE.{}": "provisioner",
    "STREAM.DELETE.{}": "provisioner",
    "STREAM.PURGE.{}": "provisioner",
    "STREAM.SNAPSHOT.{}": "provisioner",
    "STREAM.RESTORE.{}": "provisioner",
    "STREAM.MSG.GET.{}": "provisioner",
    "STREAM.MSG.DELETE.{}": "provisioner",
    "STREAM.PEER.REMOVE.{}": "provisioner",
    "STREAM.PEER.EVACUATE.{}": "provisioner",
    "STREAM.LEADER.STEPDOWN.{}": "provisioner",
    "DIRECT.GET.{}": "provisioner",
    "DIRECT.GET.{}.one": "provisioner",
    "ACCOUNT.STREAM.MOVE.one.{}": "provisioner",
    "ACCOUNT.STREAM.CANCEL_MOVE.one.{}": "provisioner",
    "CONSUMER.CREATE.{}": "actors provisioner",
    "CONSUMER.CREATE.{}.l0-e1": "actors provisioner",
    "CONSUMER.CREATE.{}.l0-e1.room.0.>": "actors provisioner",
    "CONSUMER.DURABLE.CREATE.{}.l0-e1": "actors provisioner",
    "CONSUMER.NAMES.{}": "provisioner",
    "CONSUMER.LIST.{}": "provisioner",
    "CONSUMER.INFO.{}.l0-e1": "actors provisioner",
    "CONSUMER.DELETE.{}.l0-e1": "actors provisioner",
    "CONSUMER.MSG.NEXT.{}.l0-e1": "actors provisioner",
    "CONSUMER.PAUSE.{}.l0-e1": "provisioner",
    "CONSUMER.UNPIN.{}.l0-e1": "provisioner",
    "CONSUMER.RESET.{}.l0-e1": "provisioner",
    "CONSUMER.PEER.REMOVE.{}.l0-e1": "provisioner",
    "CONSUMER.PEER.EVACUATE.{}.l0-e1": "provisioner",
    "CONSUMER.LEADER.STEPDOWN.{}.l0-e1": "provisioner",
}
"""The verbs that are about one: what actors need for reading it, and what changes or empties it."""
_GETS: Final = ("STREAM.MSG.GET.{}", "DIRECT.GET.{}", "DIRECT.GET.{}.one")


def _of_stream(stream: str) -> list[Line]:
    owners = f"KV_{subjects.OWNERS_BUCKET}"
    return [
        _line(
            f"$JS.API.{verb.format(stream)}",
            f"{who} actors" if stream == owners and verb in _GETS else who,
        )
        for verb, who in _STREAM_API.items()
    ]


_SYSTEM_ASKED: Final = {
    nats_accounts.UPDATE: "system",
    nats_accounts.DELETE: "system",
    "$SYS.REQ.CLAIMS.LIST": "system",
    "$SYS.REQ.ACCOUNT.ANOBODY.CLAIMS.LOOKUP": "system",
    nats_uses.CONNECTIONS: "system",
}
_SYSTEM: Final = (
    "REQ.CLAIMS.PACK",
    "REQ.USER.INFO",
    "REQ.USER.AUTH",
    "REQ.ACCOUNT.NSUBS",
    "REQ.ACCOUNT.ANOBODY.CONNZ",
    "REQ.ACCOUNT.ANOBODY.CLAIMS.UPDATE",
    "REQ.ACCOUNT.PING.CONNZ",
    "REQ.ACCOUNT.PING.STATZ",
    "REQ.ACCOUNT.PING.SUBSZ",
    "REQ.SERVER.PING",
    "REQ.SERVER.PING.VARZ",
    "REQ.SERVER.PING.JSZ",
    "REQ.SERVER.NNOBODY.CONNZ",
    "REQ.SERVER.NNOBODY.RELOAD",
    "REQ.SERVER.NNOBODY.KICK",
    "REQ.SERVER.NNOBODY.LDM",
    "ACCOUNT.ANOBODY.CONNECT",
    "ACCOUNT.ANOBODY.DISCONNECT",
    "ACCOUNT.ANOBODY.CLAIMS.UPDATE",
    "ACCOUNT.CLIENT.AUTH.ERR",
    "SERVER.NNOBODY.STATSZ",
    "SERVER.NNOBODY.SHUTDOWN",
    "SERVER.NNOBODY.CLIENT.AUTH.ERR",
    "DEBUG.SUBSCRIBERS",
    "LATENCY.M2.one",
)
"""What the servers ask and tell each other; nobody of ours has a part in it."""


def patterns(*tenants: str) -> list[Line]:
    """The policy for more than one subject at a time, which can only be heard."""
    spelled = [
        (subjects.room_stream_subjects, "room_stream_subjects"),
        (subjects.ingest_stream_subjects, "ingest_stream_subjects"),
    ]
    return [
        *(_line(spell(tenant), by=name) for tenant in tenants for spell, name in spelled),
        *(_line(subjects.lane_filter(tenant, 0), by="lane_filter") for tenant in tenants),
        *(_line(f"event.{tenant}.>", hear="actors gateway") for tenant in tenants),
        *(_line(pattern, hear=who) for pattern, who in _WIDE.items()),
    ]


_WIDE: Final = {
    ">": "",
    "*": "",
    "*.>": "",
    "*.*": "",
    "*.*.*": "",
    "*.*.*.*": "",
    "room.>": "",
    "event.>": "actors gateway",
    "event.*.*": "actors gateway",
    "ingest.>": "",
    "live.>": "gateway",
    "reply.>": CORE_USERS,
    "reply.*": CORE_USERS,
    "worker.*": "",
    "platform.>": "",
    "deadletter.>": "",
    "$KV.>": "",
    "$JS.>": "",
    "$JS.API.>": "",
    "$JS.EVENT.>": "",
    "$JS.ACK.>": "",
    "$JSC.>": "",
    "$NRG.>": "",
    "$SYS.>": "",
    "$SYS.ACCOUNT.*.CONNECT": "",
    "$SYS.REQ.>": "",
    "_INBOX.>": f"{CORE_USERS} system {EXTERNAL} {NARROW}",
    "_INBOX.*": f"{CORE_USERS} system {EXTERNAL} {NARROW}",
    "_R_.>": "",
}
"""What a listener would like."""

NO_SUBJECTS: Final = frozenset(
    {
        *("RoomKind", "lane_of", "shard_of", "is_reply_subject"),
        *("StoredRoomSubject", "parse_stored_room_subject", "parse_ended_sessions_subject"),
        *("IngestSubject", "parse_ingest_subject"),
        # A stream takes in `room_stream_subjects` by it.
        "room_transform",
        # Streams: what is asked about each is in `_STREAM_API`.
        *("room_stream", "ingest_stream", "DEAD_LETTER_STREAM"),
    }
)
"""The names in `actors.protocol.subjects` that spell no subject."""
