"""The gateway's own limits, each with its unit in its name. What both ends of the bus must know is in
`actors.protocol.limits`."""

from typing import Final

from actors.protocol.limits import BATCH_COMMANDS_MAX, COMMIT_RECORDS_MAX

# Inbound, one socket --------------------------------------------------------------------------
HELLO_TIMEOUT_S: Final = 5.0
"""Wait for a first frame that authenticates."""
FRAMES_PER_SECOND_MAX: Final = 2_000
"""Frames one socket may send in a second; flow control holds honest clients far below it."""
INFLIGHT_POSTS_MAX: Final = 256
"""Posts of one socket without their receipt; from there on, until half are settled, it is not read."""
SUBSCRIPTIONS_MAX: Final = 500
"""Rooms one socket may follow."""
TOKEN_CHARS_MAX: Final = 4_096
"""Characters of an access token or a ticket; a longer one is refused unread."""

# Outbound, one socket -------------------------------------------------------------------------
OUTBOUND_BYTES_MAX: Final = 2 * 1024 * 1024
"""Bytes that wait for a peer to read; beyond it the socket is too slow and is closed."""
OUTBOUND_HIGH_BYTES: Final = 256 * 1024
"""Bytes that wait above which a replay stops writing."""
OUTBOUND_LOW_BYTES: Final = 64 * 1024
"""Bytes that wait below which a replay goes on."""
CLOSE_REASON_BYTES_MAX: Final = 123
"""Bytes of the reason in a close frame (RFC 6455, section 5.5)."""
CLOSE_GRACE_S: Final = 5.0
"""Wait for a peer to take the close frame before the connection is cut."""

# Replay and delivery --------------------------------------------------------------------------
REPLAY_PAGE_ENTRIES: Final = 256
"""Entries read from the store at a time."""
REPLAY_READS_AT_ONCE: Final = 16
"""Pages that one gateway reads at the same moment, so that a reconnect storm leaves air for others."""
TAIL_BYTES_MAX: Final = 512 * 1024
"""Frames a feed keeps for those who are still replaying; older ones are read from the store."""
FILL_PENDING_ENTRIES_MAX: Final = 4_096
"""Entries that wait while a hole is filled; beyond it they are read from the store."""
FILL_RETRY_S: Final = 0.25
"""Pause before a hole that could not be filled is tried again."""
MEMBERSHIP_TAIL_ENTRIES: Final = COMMIT_RECORDS_MAX + BATCH_COMMANDS_MAX
"""Newest entries searched for changes of membership that the room's row does not show yet: what one
commit can hold, because rows are written between the commit and its announcement."""
SWEEP_S: Final = 5.0
"""How often posts without a receipt and ended sessions are looked for."""
SESSION_CHECK_S: Final = 30.0
"""How often an open socket asks whether its session has ended, in case nobody was heard to say so."""
ENDED_SESSIONS_KEPT_MAX: Final = 10_000
"""Ended sessions remembered for those who were asking about them in that moment."""

# REST -----------------------------------------------------------------------------------------
REQUESTS_PER_SECOND_SESSION: Final = 100.0
"""REST requests that one session may make in the long run."""
REQUESTS_PER_SECOND_ADDRESS: Final = 500.0
"""REST requests that one address may make in the long run; a whole office may share it."""
BURST_S: Final = 10.0
"""Seconds' worth of requests that may come at once."""
BUCKETS_KEPT_MAX: Final = 50_000
"""Sessions, and as many addresses, whose requests are counted."""
PAGE_ITEMS_DEFAULT: Final = 50
PAGE_ITEMS_MAX: Final = 200
"""Items of one page of a list."""
CREATE_MEMBERS_MAX: Final = 100
"""Members that a new room may be given at once."""
READY_CHECK_S: Final = 2.0
"""Wait for one part's sign of life before it counts as failing."""

# Signing in -----------------------------------------------------------------------------------
ACCESS_TTL_S: Final = 10 * 60
"""Life of an access token (RFC 9700: short)."""
REFRESH_TTL_S: Final = 14 * 24 * 3600
"""Life of a refresh token that is not used."""
TICKET_TTL_S: Final = 30
"""Life of a WebSocket ticket."""
CLOCK_SKEW_S: Final = 5
"""How far the clocks of two gateways may differ."""
KEYS_POLL_S: Final = 5
"""How often a gateway looks whether the keys of tokens were rotated."""
RETIRED_KEY_S: Final = ACCESS_TTL_S + 2 * KEYS_POLL_S + 2 * CLOCK_SKEW_S
"""How long a retired key is believed: as long as the last token lives that a gateway signed before it
knew, and the difference between its clock and that of whoever rotated."""
JWKS_FRESH_S: Final = 300
"""How long others may keep a copy of the published keys."""
CHALLENGE_TTL_S: Final = 5 * 60
"""Life of the challenge between the password and the code of a second factor."""
CODE_CHARS_MAX: Final = 64
"""Characters of a code as it is typed, spaces and hyphens among them."""
TOTP_STEP_S: Final = 30
"""Seconds of one time step (RFC 6238, section 4.1: the default, which authenticators take for granted)."""
TOTP_DRIFT_STEPS: Final = 1
"""Steps that a device's clock may be ahead or behind (RFC 6238, section 5.2: one is recommended)."""
RECOVERY_CODES: Final = 10
"""Recovery codes that are made at a time."""
RECOVERY_CODE_BYTES: Final = 10
"""Random bytes of a recovery code: 80 bits, out of reach also for whoever has the digest."""
INVITATION_TTL_S: Final = 7 * 24 * 3600
"""Life of an invitation."""
JOINING_ADDRESS_S: Final = 600.0
"""Time in which one more registration or acceptance is allowed to an address."""
NEWCOMERS_AT_ONCE_ADDRESS: Final = 10
"""Registrations and acceptances that may come from an address at once; a whole office may share it."""
REGISTRATION_TENANT_S: Final = 30.0
"""Time in which one more registration is allowed in a tenant, wherever from."""
REGISTRATION_TENANT_BURST: Final = 50.0
"""Registrations in a tenant that may come at once."""
PASSWORD_CHARS_MIN: Final = 8
"""Characters of a password that somebody chooses (NIST SP 800-63B, section 3.1.1.2)."""
PASSWORD_CHARS_MAX: Final = 1_024
"""Characters of a password; hashing reads all of them."""
PASSWORD_THREADS: Final = 2
"""Password checks at once; each takes a core and its memory for tens of milliseconds."""
PASSWORD_WAITING_MAX: Final = 64
"""Password checks that may wait; more are told to come back."""
DIRECTORY_SYNC_S: Final = 300.0
"""How often the users of the directories are looked up, so that who was disabled there is out here."""
DIRECTORY_TENANTS_AT_ONCE: Final = 4
"""Tenants whose directories are asked at the same moment; one that hangs holds up no other."""
DIRECTORY_USERS_AT_ONCE: Final = 2
"""Users looked up at the same moment: half of a directory's threads are left to those who sign in."""
LOGIN_FAILURES_ACCOUNT: Final = 5
"""Failed sign-ins of one name that cost no wait."""
LOGIN_FAILURES_ADDRESS: Final = 50
"""Failed sign-ins from one address that cost no wait; a whole office may share it."""
LOGIN_FORGIVEN_ACCOUNT_S: Final = 600.0
"""Time in which one failure of a name is forgiven: who guesses for ever has 6 guesses an hour."""
LOGIN_FORGIVEN_ADDRESS_S: Final = 30.0
"""Time in which one failure of an address is forgiven."""
LOCK_FIRST_S: Final = 1.0
"""The first wait; each failure doubles it."""
LOCK_ACCOUNT_S_MAX: Final = 900.0
"""The longest wait of a name. Anybody can bring it about for anybody, so it is not longer."""
LOCK_ADDRESS_S_MAX: Final = 300.0
"""The longest wait of an address."""
FAILURES_KEPT_MAX: Final = 50_000
"""Names, and as many addresses, whose failures are counted; some 10 MiB in all."""
FAILURES_RECORDED_S: Final = 60.0
"""At most one record of failed sign-ins is made for a user in this time."""
FAILURES_SWEPT_S: Final = 5.0
"""How often it is looked whether a record is due."""
FAILED_USERS_MAX: Final = 4_096
"""Users whose failed sign-ins wait for their record; failures of more are counted in a metric only."""

TENANT_DELETION_DAYS: Final = 30
"""Days between the wish to delete a tenant and the end of its keys, in which it can be taken back."""
