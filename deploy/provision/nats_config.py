"""The configuration of nats-server: who to trust, how to store. Addresses are the caller's to add."""

import json
import time
from pathlib import Path
from typing import Final

from deploy.provision.nats_identity import (
    core_account_token,
    operator_token,
    system_account_token,
)
from deploy.provision.nats_jwt import public_key
from deploy.provision.secrets import Secrets

JETSTREAM_KEY_VARIABLE: Final = "WARDROOM_JETSTREAM_KEY"
"""What the key of the encryption at rest is called in the configuration. The server looks for it in
the configuration itself and then in its environment."""
MEMORY_STORE_BYTES_MAX: Final = 256 * 1024**2
FILE_STORE_BYTES_MAX: Final = 64 * 1024**3
"""Ceiling of all streams together. A stream with `max_bytes` reserves its share of it at birth."""
PAYLOAD_BYTES_MAX: Final = 1024**2
WRITE_DEADLINE_S: Final = 10
"""How long a slow reader may hold up a write before the server lets it go."""
RESOLVER_SYNC_MIN: Final = 2
"""Minutes between two comparisons of the accounts that the servers of a cluster know."""


def server_config(
    secrets: Secrets,
    accounts_dir: Path,
    *,
    store_dir: Path | None = None,
    key_in_environment: bool = False,
) -> str:
    """The configuration text; `listen`, `http` and the like are not in it.

    Args:
        secrets: where the operator and the accounts come from.
        accounts_dir: a directory in which the server alone keeps the accounts it is told of.
        store_dir: the directory for streams; None if whoever starts the server names it.
        key_in_environment: leave out the key of the encryption at rest, the one secret in the text,
            for a server that gets it by `server_environment`. Otherwise keep the text in a file that
            only its owner can read.
    """
    now = int(time.time())
    system = public_key(secrets.system_seed())
    core = public_key(secrets.core_seed())
    key = "" if key_in_environment else f"{JETSTREAM_KEY_VARIABLE}: {secrets.jetstream_key()}\n"
    store = "" if store_dir is None else f"store_dir: {_quoted(store_dir)}\n  "
    return f"""\
{key}operator: {operator_token(secrets, now)}
system_account: {system}
resolver {{
  type: full
  dir: {_quoted(accounts_dir)}
  allow_delete: true
  interval: "{RESOLVER_SYNC_MIN}m"
}}
resolver_preload {{
  {system}: {system_account_token(secrets, now)}
  {core}: {core_account_token(secrets, now)}
}}
jetstream {{
  {store}sync_interval: always
  strict: true
  cipher: aes
  key: ${JETSTREAM_KEY_VARIABLE}
  max_memory_store: {MEMORY_STORE_BYTES_MAX}
  max_file_store: {FILE_STORE_BYTES_MAX}
}}
max_payload: {PAYLOAD_BYTES_MAX}
write_deadline: "{WRITE_DEADLINE_S}s"
"""


def server_environment(secrets: Secrets) -> dict[str, str]:
    """What a server must find in its environment when the text does not hold the key."""
    return {JETSTREAM_KEY_VARIABLE: secrets.jetstream_key()}


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)
