"""What an operator may set of a gateway. Nothing here is read from the environment."""

from pydantic import BaseModel, ConfigDict, Field

from actors.protocol.limits import DELETION_DAYS_MAX
from gateway.limits import (
    DIRECTORY_SYNC_S,
    FRAMES_PER_SECOND_MAX,
    INFLIGHT_POSTS_MAX,
    LOGIN_FAILURES_ACCOUNT,
    LOGIN_FAILURES_ADDRESS,
    NEWCOMERS_AT_ONCE_ADDRESS,
    OUTBOUND_BYTES_MAX,
    REQUESTS_PER_SECOND_ADDRESS,
    REQUESTS_PER_SECOND_SESSION,
    SUBSCRIPTIONS_MAX,
    TENANT_DELETION_DAYS,
)
from gateway.passwords import MEMORY_KIB, PASSES


class GatewaySettings(BaseModel):
    """Settings of one gateway process.

    `allowed_origins` are browser origins (scheme://host[:port]) that may open sockets besides the
    gateway's own host, and call the REST API. `heartbeat_s` is the time between pings; a peer that
    misses one is cut.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = "0.0.0"
    allowed_origins: frozenset[str] = frozenset()
    heartbeat_s: int = Field(default=20, ge=1, le=300)
    subscriptions_max: int = Field(default=SUBSCRIPTIONS_MAX, ge=1)
    frames_per_second_max: int = Field(default=FRAMES_PER_SECOND_MAX, ge=1)
    inflight_posts_max: int = Field(default=INFLIGHT_POSTS_MAX, ge=2)
    outbound_bytes_max: int = Field(default=OUTBOUND_BYTES_MAX, ge=64 * 1024)
    argon2_memory_kib: int = Field(default=MEMORY_KIB, ge=8)
    argon2_passes: int = Field(default=PASSES, ge=1)
    login_failures_account: int = Field(default=LOGIN_FAILURES_ACCOUNT, ge=1)
    login_failures_address: int = Field(default=LOGIN_FAILURES_ADDRESS, ge=1)
    newcomers_at_once_address: int = Field(default=NEWCOMERS_AT_ONCE_ADDRESS, ge=1)
    requests_per_second_session: float = Field(default=REQUESTS_PER_SECOND_SESSION, gt=0)
    requests_per_second_address: float = Field(default=REQUESTS_PER_SECOND_ADDRESS, gt=0)
    directory_tenant: str = ""
    """The tenant whose directory is asked where a name says no tenant; empty: the only one there is."""
    directory_sync_s: float = Field(default=DIRECTORY_SYNC_S, ge=1)
    directory_loopback: bool = False
    """Whether a directory may be on this very machine."""
    tenant_deletion_days: int = Field(default=TENANT_DELETION_DAYS, ge=0, le=DELETION_DAYS_MAX)
    trusted_proxies: str = ""
    """Addresses and networks whose X-Forwarded-For is believed, by comma."""
    tls: bool = False
    """Whether clients reach this gateway by TLS only; browsers are then told to insist on it."""
