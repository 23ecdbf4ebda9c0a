"""The only place that spells a subject, a stream or a bucket; building and parsing are inverses."""

import itertools
import re
import zlib
from dataclasses import dataclass
from typing import Final, Literal

from actors.protocol.ids import TENANT_ROOM, is_room_id, is_tenant_id, is_token
from actors.protocol.limits import SHARDS

RoomKind = Literal["message", "presence", "command"]
ROOM_KINDS: Final[tuple[RoomKind, ...]] = ("message", "presence", "command")

OWNERS_BUCKET: Final = "owners"
OWNERS_KEY: Final = "shards"
TICKETS_BUCKET: Final = "tickets"
DEAD_LETTER_STREAM: Final = "DEADLETTERS"
WORKER_ALIVE: Final = "worker.alive"
TENANTS_CHANGED: Final = "platform.tenants"
ENDED_SESSIONS: Final = "_sessions"
GATEWAYS_TOLD: Final = "live.sign_ins"
"""Where gateways tell one another of failed sign-ins. Nobody else may listen there."""


_REPLY: Final = re.compile(r"reply\.[A-Za-z0-9_-]{1,128}")


def room_stream(tenant: str) -> str:
    """The stream that buffers the commands of a tenant's rooms."""
    return f"ROOM_{tenant}"


def ingest_stream(tenant: str) -> str:
    """The stream that buffers what external systems of a tenant publish."""
    return f"INGEST_{tenant}"


def room_subject(tenant: str, room: str, kind: RoomKind) -> str:
    """Where a command for a room is published."""
    return f"room.{tenant}.{room}.{kind}"


def room_stream_subjects(tenant: str) -> str:
    """What a tenant's ROOM stream listens to."""
    return f"room.{tenant}.*.*"


def room_transform(tenant: str, lanes: int) -> tuple[str, str]:
    """Source and destination of the stream's subject transform: the room's lane comes first."""
    return (
        f"room.{tenant}.*.*",
        f"room.{{{{partition({lanes},1)}}}}.{tenant}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}",
    )


def lane_filter(tenant: str, lane: int) -> str:
    """What the owner of a lane reads from the ROOM stream."""
    return f"room.{lane}.{tenant}.>"


def lane_of(room: str, lanes: int) -> int:
    """The lane the server's `partition()` gives a room: FNV-1a, 32 bits, over the token.

    Source: nats-server `server/subject_transform.go`, `getHashPartition`.
    """
    digest = 0x811C9DC5
    for byte in room.encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return digest % lanes


def lane_token(lane: int, lanes: int) -> str:
    """A token that the server's `partition()` puts into a lane, to publish for all of its rooms.

    What many rooms of a lane are told at the same time can so travel as one message: one synced
    write instead of one for each room. No room can have this name.
    """
    return next(
        token
        for number in itertools.count()
        if lane_of(token := f"_lane-{lane}-{number}", lanes) == lane
    )


def shard_of(tenant: str, lane: int) -> int:
    """The shard that owns a lane of a tenant."""
    return zlib.crc32(f"{tenant}/{lane}".encode()) % SHARDS


@dataclass(frozen=True, slots=True)
class StoredRoomSubject:
    """A subject as the ROOM stream stores it."""

    lane: int
    tenant: str
    room: str
    kind: str


def parse_stored_room_subject(subject: str) -> StoredRoomSubject:
    """Take apart `room.<lane>.<tenant>.<room>.<kind>`.

    Raises:
        ValueError: the subject has another shape, or names no room that there can be.
    """
    tokens = subject.split(".")
    if len(tokens) != 5 or tokens[0] != "room" or not tokens[1].isdecimal():
        raise ValueError(f"not a stored room subject: {subject!r}")
    if not (is_room_id(tokens[3]) or tokens[3] == TENANT_ROOM):
        raise ValueError(f"{tokens[3]!r} can't name a room")
    return StoredRoomSubject(int(tokens[1]), tokens[2], tokens[3], tokens[4])


def ingest_subject(tenant: str, source: str, kind: str) -> str:
    """Where an event of an external system is stored; inside its own account the tenant is left out."""
    return f"ingest.{tenant}.{source}.{kind}"


def ingest_stream_subjects(tenant: str) -> str:
    """What a tenant's INGEST stream listens to: any shape, so that a bad one becomes a dead letter."""
    return f"ingest.{tenant}.>"


@dataclass(frozen=True, slots=True)
class IngestSubject:
    """A subject on which an external system published."""

    tenant: str
    source: str
    kind: str


def parse_ingest_subject(subject: str) -> IngestSubject:
    """Take apart `ingest.<tenant>.<source>.<kind>`.

    Raises:
        ValueError: a token is missing, left over or has a forbidden character.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[0] != "ingest" or not is_tenant_id(tokens[1]):
        raise ValueError("publish on ingest.<source>.<kind>")
    if not (is_token(tokens[2]) and is_token(tokens[3])):
        raise ValueError("source and kind take 1 to 64 of A-Z a-z 0-9 _ -")
    return IngestSubject(tokens[1], tokens[2], tokens[3])


def event_subject(tenant: str, room: str) -> str:
    """Where the owner of a room announces what it committed."""
    return f"event.{tenant}.{room}"


def ended_sessions_subject(tenant: str) -> str:
    """Where the tenant actor says which sessions have ended. No room can have this name."""
    return f"event.{tenant}.{ENDED_SESSIONS}"


def parse_ended_sessions_subject(subject: str) -> str:
    """The tenant whose sessions are told of.

    Raises:
        ValueError: the subject has another shape.
    """
    tokens = subject.split(".")
    if len(tokens) != 3 or tokens[0] != "event" or tokens[2] != ENDED_SESSIONS:
        raise ValueError(f"not a subject of ended sessions: {subject!r}")
    return tokens[1]


def reply_subject(process: str) -> str:
    """Where an actor answers the process that asked."""
    return f"reply.{process}"


def is_reply_subject(subject: str) -> bool:
    """Whether an actor may answer there: what it is told to publish on comes from a message."""
    return _REPLY.fullmatch(subject) is not None


def dead_letter_subject(tenant: str, origin: str) -> str:
    """Where a body that could not be read is kept for the tenant's administrator."""
    return f"deadletter.{tenant}.{origin}"
