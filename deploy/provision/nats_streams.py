"""Streams and buckets as data, and the one way to bring the server to them.

A provisioner only ever adds: what can't be changed on a live stream without losing or reordering
messages (storage, the lanes of its transform, its guards) is compared and refused, never replaced.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
    SubjectTransform,
)
from nats.js.errors import BadRequestError, NotFoundError

from actors.protocol.limits import (
    DUPLICATE_WINDOW_S,
    STREAM_AGE_MAX_S,
    STREAM_MESSAGE_BYTES_MAX,
)
from actors.protocol.subjects import (
    DEAD_LETTER_STREAM,
    OWNERS_BUCKET,
    TICKETS_BUCKET,
    ingest_stream,
    ingest_stream_subjects,
    room_stream,
    room_stream_subjects,
    room_transform,
)
from deploy.provision.errors import ProvisionError

GENERATION: Final = "wardroom.generation"
LANES: Final = "wardroom.lanes"
SERVER_METADATA_PREFIX: Final = "_nats."

INGEST_BYTES_MAX: Final = 128 * 1024**2
"""Bytes of one tenant's INGEST stream, reserved on disk; a flood stops at its own tenant."""
DEAD_LETTER_BYTES_MAX: Final = 256 * 1024**2
DEAD_LETTER_AGE_MAX_S: Final = 30 * 24 * 3600.0
OWNERS_BYTES_MAX: Final = 16 * 1024**2
TICKETS_BYTES_MAX: Final = 32 * 1024**2
TICKET_TTL_S: Final = 60.0
"""How long a used ticket is remembered: longer than it is valid."""
TICKETS_DUPLICATE_WINDOW_S: Final = TICKET_TTL_S
"""A stream's deduplication window must not exceed its age."""

STREAM_NAME_IN_USE: Final = 10058
"""JetStream's error code for a stream that exists with another configuration."""

_CHANGEABLE: Final = (
    "subjects",
    "discard",
    "max_age",
    "max_bytes",
    "max_msg_size",
    "max_msgs_per_subject",
    "duplicate_window",
    "num_replicas",
    "allow_direct",
    "allow_msg_ttl",
    "allow_rollup_hdrs",
)
_FIXED: Final = ("storage", "retention", "deny_delete", "subject_transform")


def room_config(tenant: str, lanes: int, generation: int, replicas: int) -> StreamConfig:
    """A tenant's ROOM stream: every command to its rooms, by lane."""
    source, destination = room_transform(tenant, lanes)
    return StreamConfig(
        name=room_stream(tenant),
        subjects=[room_stream_subjects(tenant)],
        subject_transform=SubjectTransform(src=source, dest=destination),
        metadata={GENERATION: str(generation), LANES: str(lanes)},
        **_buffer(replicas),
    )


def ingest_config(tenant: str, replicas: int) -> StreamConfig:
    """A tenant's INGEST stream: what its external systems publish.

    One for each tenant, since JetStream deduplicates message ids over a whole stream: in a shared one
    a tenant could make another's message vanish by guessing its id.
    """
    return StreamConfig(
        name=ingest_stream(tenant),
        subjects=[ingest_stream_subjects(tenant)],
        max_bytes=INGEST_BYTES_MAX,
        **_buffer(replicas),
    )


def shared_configs(replicas: int) -> tuple[StreamConfig, ...]:
    """What the whole platform has once: dead letters, shard owners and used tickets."""
    dead_letters = StreamConfig(
        name=DEAD_LETTER_STREAM,
        subjects=["deadletter.>"],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        # The newest dead letter is the one somebody is looking for.
        discard=DiscardPolicy.OLD,
        max_age=DEAD_LETTER_AGE_MAX_S,
        max_bytes=DEAD_LETTER_BYTES_MAX,
        max_msg_size=STREAM_MESSAGE_BYTES_MAX,
        duplicate_window=DUPLICATE_WINDOW_S,
        num_replicas=replicas,
        allow_direct=True,
        deny_delete=True,
    )
    owners = _bucket(OWNERS_BUCKET, StorageType.FILE, replicas).evolve(
        max_bytes=OWNERS_BYTES_MAX,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_msg_ttl=True,
        allow_rollup_hdrs=True,
    )
    tickets = _bucket(TICKETS_BUCKET, StorageType.MEMORY, replicas).evolve(
        max_age=TICKET_TTL_S,
        max_bytes=TICKETS_BYTES_MAX,
        duplicate_window=TICKETS_DUPLICATE_WINDOW_S,
    )
    return dead_letters, owners, tickets


def generation_of(info: StreamInfo) -> int:
    """Which birth of its ROOM stream this is; 0 if whoever made it did not say."""
    return int((info.config.metadata or {}).get(GENERATION, "0"))


async def find_stream(js: JetStreamContext, name: str) -> StreamInfo | None:
    """A stream as the server has it."""
    try:
        return await js.stream_info(name)
    except NotFoundError:
        return None


async def create_stream(js: JetStreamContext, wanted: StreamConfig) -> StreamInfo | None:
    """Make a stream; None if one of this name is there with another configuration."""
    try:
        return await js.add_stream(wanted)
    except BadRequestError as error:
        if error.err_code != STREAM_NAME_IN_USE:
            raise
        return None


async def ensure_stream(js: JetStreamContext, wanted: StreamConfig) -> StreamInfo:
    """Make a stream, or bring the one of this name to its configuration.

    Raises:
        ProvisionError: the one that is there differs in what can't be changed.
    """
    name = str(wanted.name)
    held = await find_stream(js, name) or await create_stream(js, wanted)
    return await align_stream(js, held or await js.stream_info(name), wanted)


async def align_stream(js: JetStreamContext, held: StreamInfo, wanted: StreamConfig) -> StreamInfo:
    """Bring an existing stream to a configuration; sends nothing if it is there already.

    Raises:
        ProvisionError: it differs in what can't be changed.
    """
    fixed = _differing(held.config, wanted, _FIXED)
    if fixed:
        raise ProvisionError(
            "stream_differs",
            f"stream {wanted.name} was made with another {' and '.join(fixed)}",
            "keep it with the release that made it, or drain it and delete it",
        )
    metadata = _with_metadata(held.config, wanted)
    changed = _differing(held.config, wanted, _CHANGEABLE)
    if not changed and metadata == held.config.metadata:
        return held
    changes: dict[str, Any] = {name: getattr(wanted, name) for name in changed}
    return await js.update_stream(held.config.evolve(**changes, metadata=metadata))


def _buffer(replicas: int) -> dict[str, Any]:
    return {
        "storage": StorageType.FILE,
        "retention": RetentionPolicy.LIMITS,
        # A full buffer refuses the newcomer, who notices, rather than losing what was accepted.
        "discard": DiscardPolicy.NEW,
        "max_age": STREAM_AGE_MAX_S,
        "max_msg_size": STREAM_MESSAGE_BYTES_MAX,
        "duplicate_window": DUPLICATE_WINDOW_S,
        "num_replicas": replicas,
        "allow_direct": True,
        "deny_delete": True,
    }


def _bucket(bucket: str, storage: StorageType, replicas: int) -> StreamConfig:
    """A key-value bucket with one value a key (NATS ADR-8)."""
    return StreamConfig(
        name=f"KV_{bucket}",
        subjects=[f"$KV.{bucket}.>"],
        storage=storage,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        num_replicas=replicas,
        allow_direct=True,
        deny_delete=True,
    )


def _with_metadata(held: StreamConfig, wanted: StreamConfig) -> dict[str, str] | None:
    if wanted.metadata is None:
        return held.metadata
    return {**(held.metadata or {}), **wanted.metadata}


def _differing(held: StreamConfig, wanted: StreamConfig, names: Sequence[str]) -> list[str]:
    defaults = {field.name: field.default for field in fields(StreamConfig)}

    def given(config: StreamConfig, name: str) -> Any:
        value = getattr(config, name)
        # The server leaves out what is off, and spells "no limit" as -1 or 0.
        return None if value in (False, 0, -1, defaults[name]) else value

    return [name for name in names if given(held, name) != given(wanted, name)]
