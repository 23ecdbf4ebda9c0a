"""Every limit of the wire and of the actors, each with its unit in its name."""

from typing import Final

# Wire -------------------------------------------------------------------------------------
MESSAGE_BYTES_MAX: Final = 16 * 1024
"""UTF-8 bytes of one chat message; longer text belongs in a file."""
FRAME_BYTES_MAX: Final = 64 * 1024
"""Bytes of one WebSocket frame or REST body (OWASP WebSocket cheat sheet: 64 KiB)."""
JSON_DEPTH_MAX: Final = 16
"""Nested arrays and objects in anything a client sends."""
CONTENT_BYTES_MAX: Final = 128 * 1024
"""Bytes of one record's content, the raw payload of an external system included."""
NAME_CHARS_MAX: Final = 200
"""Characters of a room's, user's or tenant's name."""
REASON_CHARS_MAX: Final = 2_000
"""Characters of a stated reason (closing, reopening)."""
ADDRESS_CHARS_MAX: Final = 64
"""Characters of a network address; an IPv6 address with its zone has fewer."""
DIRECTORY_KEY_CHARS_MAX: Final = 64
"""Characters of a user's key in a directory; a UUID has 36."""
PROVIDER_KEY_CHARS_MAX: Final = 768
"""Characters of a user's key at an identity provider: an issuer of 512, and a subject of 255
(OpenID Connect Core 1.0, section 2)."""
SEALED_CHARS_MAX: Final = 8 * 1024
"""Characters of a sealed secret in base64."""
FAILED_SIGN_INS_MAX: Final = 1_000_000
"""Failed sign-ins that one record counts."""
EVIDENCE_DETAILS_MAX: Final = 16
"""Things that are said about how evidence was read; there are fewer filters."""
PICTURE_CHARS_MAX: Final = 8 * 1024
"""Characters of a tenant's picture: a reference, or a small image."""
PROFILE_BYTES_MAX: Final = 12 * 1024
"""Bytes of all facts of a tenant. All profiles stand in one actor's state, and that in one document of
MongoDB, which has at most 16 MiB."""
MAPPING_ITEMS_MAX: Final = 50
"""Names of one kind by which other systems know a tenant."""
VOLUME_MAX: Final = 1_000_000_000
"""Contracted events a second, or gigabytes a day."""
SLA_MINUTES_MAX: Final = 366 * 24 * 60
"""Minutes until an incident must be answered or solved."""
DELETION_DAYS_MAX: Final = 3_650
"""Days between the wish to delete a tenant and the destruction of its keys."""
MANAGED_TENANTS_MAX: Final = 1_000
"""Tenants of one platform, deleted ones included."""
NATS_SOURCES_MAX: Final = 16
"""Sources that one NATS credential names."""
NATS_CREDENTIALS_LIVING_MAX: Final = 64
"""NATS credentials of one tenant that are in use at a time: as many as it may have connections."""
NATS_CREDENTIALS_MAX: Final = 1_000
"""NATS credentials of one tenant that are in use, or whose revocation stands in the account's token: that
one must stay well below the 1 MiB of a NATS message."""
NATS_CREDENTIAL_LIFE_S_MAX: Final = 3_650 * 24 * 3600
NATS_OVERLAP_S_MAX: Final = 7 * 24 * 3600
"""Seconds that a replaced NATS credential may still work."""
NATS_TOKEN_CHARS_MAX: Final = 8 * 1024
"""Characters of a signed token; one with the most sources has about 2,500."""
MEMBERS_MAX: Final = 5_000
"""People listed as members of one room."""
ROLES_PER_TENANT_MAX: Final = 200
"""Roles that a tenant makes of its own; all of them are in its actor's memory."""
PENDING_USERS_MAX: Final = 500
"""People of a tenant who have registered themselves and wait to be approved."""
INVITATIONS_MAX: Final = 500
"""Invitations of a tenant that are neither used nor over."""
SESSIONS_PER_USER_MAX: Final = 2_000
"""Sign-ins of one user that have not ended. The record that ends them all names each, and must stay well
below `CONTENT_BYTES_MAX`, or he could not be disabled."""
RECOVERY_CODES_MAX: Final = 16
"""Recovery codes that one user has at a time; ten are made."""
SEALED_SECRET_CHARS_MAX: Final = 512
"""Characters of a sealed TOTP secret in base64; 20 bytes and what sealing adds are 64."""
TOTP_STEP_MAX: Final = 2**40
"""Time steps of 30 seconds since 1970 (RFC 6238, section 4.2); far beyond any clock."""
ENDED_SESSIONS_AT_ONCE_MAX: Final = 1_024
"""Sessions in one message that tells gateways what has ended."""

TIME_MS_MAX: Final = 253_402_300_799_000
"""Unix milliseconds at the end of the year 9999, the last that every part of the system can hold."""

# Coalescing ---------------------------------------------------------------------------------
BATCH_COMMANDS_MAX: Final = 512
"""Commands that travel as one JetStream message."""
BATCH_BYTES_MAX: Final = 256 * 1024
"""Bytes of the commands of one JetStream message, and the stream's own limit with margin."""
STREAM_MESSAGE_BYTES_MAX: Final = 512 * 1024
"""`max_msg_size` of a ROOM or INGEST stream: a full batch and its envelope."""
EVENT_BYTES_MAX: Final = 512 * 1024
"""Bytes of one event; NATS refuses more than 1 MiB."""
COMMIT_RECORDS_MAX: Final = 768
"""Records of one group commit. More waits for the next, and is planned meanwhile: one that took all that is
in flight would leave nothing to do beside it."""

OUTBOX_COMMANDS_MAX: Final = 8_192
"""Commands of one lane that wait in one process while NATS can't be reached or its stream is full."""

# Times --------------------------------------------------------------------------------------
PUBLISH_TIMEOUT_S: Final = 2.0
"""Wait for one PubAck before the publish is repeated with the same Nats-Msg-Id."""
COMMAND_TIMEOUT_S: Final = 15.0
"""Wait for a receipt before a caller is told that the outcome is unknown."""
DUPLICATE_WINDOW_S: Final = 120.0
"""JetStream's own deduplication window; correctness rests on MongoDB's unique index instead."""
STREAM_AGE_MAX_S: Final = 7 * 24 * 3600.0
"""How long the replayable buffer keeps a command."""
WORKER_HEARTBEAT_S: Final = 1.0
"""How often an actor process says that it lives."""
WORKER_TTL_S: Final = 4.0
"""Silence after which the shards of an actor process may be taken."""
HEAD_BEACON_S: Final = 3.0
"""How often the head of an active room is announced, so that a lost last event is noticed."""
POSTS_PER_SECOND_AUTHOR: Final = 500.0
"""Messages of one author in one room. A person says one in seconds; a tool that reports a case says
thousands at once, and then nothing for long."""
ROOM_IDLE_S: Final = 300.0
"""Silence after which a room leaves the memory of its actor."""

# Memory -------------------------------------------------------------------------------------
ROOMS_IN_MEMORY_MAX: Final = 20_000
"""Rooms one actor process keeps; the longest silent leaves first."""
RECENT_COMMANDS_PER_ROOM: Final = 256
"""Receipts kept to answer a repeated command without asking MongoDB."""
SNAPSHOT_EVERY_RECORDS: Final = 1_024
"""A room is reloaded from its snapshot and at most this many headers."""

SHARDS: Final = 64
"""Units of ownership, fixed: changing it moves lanes between owners."""
LANES_DEFAULT: Final = 4
"""Partitions of a tenant's ROOM stream, fixed when the tenant is made."""
