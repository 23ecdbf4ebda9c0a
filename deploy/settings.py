"""Settings: the only place that reads the environment. Every name begins with WARDROOM_."""

import os
import secrets
import socket
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from actors.protocol.limits import DELETION_DAYS_MAX, POSTS_PER_SECOND_AUTHOR, ROOM_IDLE_S
from store.driver import DriverName
from store.keys import RootKey


class SettingMissing(Exception):
    """A process can't start without this setting."""

    def __init__(self, name: str, meaning: str) -> None:
        super().__init__(f"{name} is not set: {meaning}")


class ProcessSettings(BaseSettings):
    """What one process (gateway, actors, connectors, provision) is told.

    Attributes:
        nats_url: one or more servers, by comma.
        nats_credentials: the .creds file of this process's own user.
        mongo_url: with the name and password of this process's own user.
        root_key: 32 bytes, base64; comes before root_key_file.
        root_key_file: a file that holds them and that only its owner can read.
        store_driver: motor, or pymongo (its successor).
        process_name: a token for logs and lists; every start adds a part of its own.
        host: address to listen on (gateway).
        port: port to listen on (gateway).
        health_port: port on loopback for health and metrics (actors, connectors); 0 for none.
        allowed_origins: origins of pages besides our own that may call this gateway, by comma (gateway).
        issuer: what access tokens name as their issuer; the same at every gateway.
        argon2_memory_kib: memory of one password check (gateway).
        argon2_passes: passes of one password check (gateway).
        login_failures_account: failed sign-ins of a name before it must wait (gateway).
        login_failures_address: failed sign-ins from an address before it must wait (gateway).
        newcomers_at_once_address: registrations and accepted invitations of an address that need no wait
            (gateway).
        requests_per_second_session: REST requests of one session in the long run (gateway).
        requests_per_second_address: REST requests from one address in the long run (gateway).
        directory_tenant: whose directory is asked where none is named; empty: the only tenant's (gateway).
        directory_sync_s: seconds between two looks whether directories' users are still there (gateway).
        directory_loopback: whether a directory may be on this very machine (gateway).
        trusted_proxies: proxies whose X-Forwarded-For is believed, as addresses or networks (gateway).
        log_format: json or console; auto is console on a terminal, else json.
        log_level: debug, info, warning or error.
        room_idle_s: seconds of silence after which a room leaves an actor's memory (actors).
        posts_per_second_author: what one author may say in one room, whichever gateway he uses; a
            minute's worth at once (actors).
        failpoints: fault tests only: `point:action:nth`, by comma.
        static_epoch: fault tests only: own every shard at this epoch and ask nobody.
        secrets_dir: the directory of keys and credentials, which no other process may read (provisioner).
        provision_every_s: seconds between two looks at what is to be done to tenants (provisioner).
        stream_replicas: copies of every stream; 3 in a cluster (provisioner).
        tenant_deletion_days: days between the wish to delete a tenant and the end of its keys (gateway).
        demo_tenant: the tenant for which the demonstration SIEM reports; none if empty.
    """

    model_config = SettingsConfigDict(env_prefix="WARDROOM_", extra="ignore")

    nats_url: str = ""
    nats_credentials: Path | None = None
    mongo_url: SecretStr = SecretStr("")
    root_key: SecretStr | None = None
    root_key_file: Path | None = None
    store_driver: DriverName = "motor"
    process_name: str = Field(default_factory=lambda: f"{_host_token()}-{os.getpid()}")
    host: str = "127.0.0.1"
    port: int = 8080
    health_port: int = 0
    allowed_origins: str = ""
    issuer: str = "wardroom"
    argon2_memory_kib: int = 47_104
    argon2_passes: int = 1
    login_failures_account: int = Field(default=5, ge=1)
    login_failures_address: int = Field(default=50, ge=1)
    newcomers_at_once_address: int = Field(default=10, ge=1)
    requests_per_second_session: float = Field(default=100.0, gt=0)
    requests_per_second_address: float = Field(default=500.0, gt=0)
    directory_tenant: str = ""
    directory_sync_s: float = Field(default=300.0, ge=1)
    directory_loopback: bool = False
    trusted_proxies: str = ""
    log_format: Literal["auto", "json", "console"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    room_idle_s: float = Field(default=ROOM_IDLE_S, gt=0)
    posts_per_second_author: float = Field(default=POSTS_PER_SECOND_AUTHOR, gt=0)
    failpoints: str = ""
    static_epoch: int | None = None
    secrets_dir: Path | None = None
    provision_every_s: float = Field(default=0.5, gt=0)
    stream_replicas: int = Field(default=1, ge=1)
    tenant_deletion_days: int = Field(default=30, ge=0, le=DELETION_DAYS_MAX)
    demo_tenant: str = ""

    def incarnated(self) -> Self:
        """The same under a name that no process had before, not even a forerunner of this one.

        JetStream would take a namesake's first messages for repetitions, and the table of owners
        its shards for ours.
        """
        name = f"{self.process_name}-{secrets.token_hex(4)}"
        return self.model_copy(update={"process_name": name})

    def require_nats(self) -> tuple[str, Path]:
        """The server and the credentials file."""
        if not self.nats_url:
            raise SettingMissing("WARDROOM_NATS_URL", "where NATS is, as nats://host:port")
        if self.nats_credentials is None:
            raise SettingMissing("WARDROOM_NATS_CREDENTIALS", "the .creds file of this process")
        return self.nats_url, self.nats_credentials

    def require_mongo(self) -> str:
        """The deployment, with this process's own name and password in it."""
        url = self.mongo_url.get_secret_value()
        if not url:
            raise SettingMissing("WARDROOM_MONGO_URL", "where MongoDB is, as mongodb://...")
        return url

    def require_secrets_dir(self) -> Path:
        """The directory of all keys and credentials."""
        if self.secrets_dir is None:
            raise SettingMissing("WARDROOM_SECRETS_DIR", "the directory of keys and credentials")
        return self.secrets_dir

    def require_root_key(self) -> RootKey:
        """The root key."""
        if self.root_key is not None:
            return RootKey.from_base64(self.root_key.get_secret_value())
        if self.root_key_file is not None:
            return RootKey.from_file(self.root_key_file)
        raise SettingMissing("WARDROOM_ROOT_KEY_FILE", "the file with the root key")


def _host_token() -> str:
    kept = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())
    return kept[:40] or "host"
