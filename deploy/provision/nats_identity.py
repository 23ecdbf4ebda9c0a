"""Who is who on NATS: one operator, the accounts it signs, and the users those sign.

SYS is the servers' own account, CORE that of our processes, and every tenant has one of its own. A
tenant's account has no streams: what it publishes on `ingest.>` is a request to CORE's exported
service, under a subject whose tenant token is fixed in the account's token and can't be forged.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import nkeys  # type: ignore[import-untyped]

from actors.protocol.limits import STREAM_MESSAGE_BYTES_MAX
from actors.protocol.nats_credentials import publish_subjects
from actors.protocol.subjects import ingest_stream_subjects
from deploy.provision.errors import ProvisionError
from deploy.provision.nats_jwt import (
    Claims,
    KeyRole,
    credentials,
    new_seed,
    public_key,
    read_credentials,
    says_the_same,
    sign,
)
from deploy.provision.nats_permissions import TENANT, TENANT_PUBLISH, USERS, Permissions
from deploy.provision.secrets import NatsUser, Secrets
from store.rows import NatsCredentialRow

OPERATOR_NAME: Final = "wardroom"
SYSTEM_ACCOUNT: Final = "SYS"
CORE_ACCOUNT: Final = "CORE"
INGEST_EXPORT: Final = "ingest.*.>"
TENANT_ACCOUNT_PREFIX: Final = "T_"
FOR_EVER_S: Final = 253_402_300_799
"""The end of the year 9999, in seconds since 1970. No key is used again, so a revoked one stays so,
whatever the clock said by which its token was signed."""

UNLIMITED: Final = -1
TENANT_CONNECTIONS_MAX: Final = 64
"""Connections of one tenant's external systems, over all servers."""
TENANT_SUBSCRIPTIONS_MAX: Final = 16
"""Subscriptions of one connection; waiting for PubAcks takes one."""
TENANT_PAYLOAD_BYTES_MAX: Final = STREAM_MESSAGE_BYTES_MAX
"""Bytes of one published event, headers included: no more than its stream would take."""


def account_name(tenant: str) -> str:
    """What a tenant's account is called in the server's logs."""
    return f"{TENANT_ACCOUNT_PREFIX}{tenant}"


def tenant_of_account_name(name: str) -> str | None:
    """The tenant whose account is called so; None if it is none of a tenant."""
    return name.removeprefix(TENANT_ACCOUNT_PREFIX) if name[:2] == TENANT_ACCOUNT_PREFIX else None


def operator_token(secrets: Secrets, issued_at: int) -> str:
    """The self-signed token of the operator, which the server trusts."""
    seed = secrets.operator_seed()
    nats = {"type": "operator", "system_account": public_key(secrets.system_seed())}
    return sign(seed, public_key(seed), OPERATOR_NAME, nats, issued_at)


def system_account_token(secrets: Secrets, issued_at: int) -> str:
    """The token of the account in which servers are asked about themselves."""
    nats = _account({"limits": _limits()})
    subject = public_key(secrets.system_seed())
    return sign(secrets.operator_seed(), subject, SYSTEM_ACCOUNT, nats, issued_at)


def core_account_token(secrets: Secrets, issued_at: int) -> str:
    """The token of our own account: JetStream without a quota, and the ingest service for tenants.

    The export needs no activation token: only the operator's key can write an import.
    """
    jetstream = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), UNLIMITED)
    export = {"name": "ingest", "subject": INGEST_EXPORT, "type": "service"}
    nats = _account({"limits": _limits(jetstream), "exports": [export]})
    subject = public_key(secrets.core_seed())
    return sign(secrets.operator_seed(), subject, CORE_ACCOUNT, nats, issued_at)


def tenant_account_token(
    secrets: Secrets,
    tenant: str,
    issued_at: int,
    *,
    closed: bool = False,
    refused: Iterable[str] = (),
) -> str:
    """The token of a tenant's account: no streams, no exports, one import.

    Args:
        secrets: where the operator's and the accounts' seeds are.
        tenant: its id.
        issued_at: seconds since 1970.
        closed: nobody is let in.
        refused: public keys of its users that are revoked; who is in with one is cut off.
    """
    bounds = {
        "conn": 0 if closed else TENANT_CONNECTIONS_MAX,
        "subs": TENANT_SUBSCRIPTIONS_MAX,
        "payload": TENANT_PAYLOAD_BYTES_MAX,
        "imports": 1,
        "exports": 0,
        "leaf": 0,
        "wildcards": False,
    }
    service = {
        "name": "ingest",
        "subject": ingest_stream_subjects(tenant),
        "account": public_key(secrets.core_seed()),
        "local_subject": TENANT_PUBLISH,
        "type": "service",
    }
    nats = _account({"limits": _limits(bounds), "imports": [service]})
    revoked = dict.fromkeys(refused, FOR_EVER_S)
    if revoked:
        nats["revocations"] = revoked
    subject = public_key(secrets.tenant_seed(tenant))
    return sign(secrets.operator_seed(), subject, account_name(tenant), nats, issued_at)


def deletion_token(secrets: Secrets, tenant: str, issued_at: int) -> str:
    """The operator's word that a tenant's account is to be taken away."""
    operator = public_key(secrets.operator_seed())
    nats = {"type": "generic", "accounts": [public_key(secrets.tenant_seed(tenant))]}
    return sign(secrets.operator_seed(), operator, OPERATOR_NAME, nats, issued_at)


def ensure_credentials(secrets: Secrets, user: NatsUser) -> Path:
    """The credentials file of one of our processes, made or brought up to its permissions."""
    seed = secrets.system_seed() if user == "system" else secrets.core_seed()
    path = secrets.credentials_file(user)
    _ensure_user(secrets, path, seed, user, USERS[user])
    return path


def ensure_tenant_credentials(secrets: Secrets, tenant: str) -> Path:
    """The credentials file that a tenant's external systems use."""
    path = secrets.tenant_credentials_file(tenant)
    _ensure_user(secrets, path, secrets.tenant_seed(tenant), f"{tenant}-external", TENANT)
    return path


def file_key(secrets: Secrets, tenant: str) -> str | None:
    """The public key of the user in a tenant's credentials file; None if there is no file.

    Raises:
        ProvisionError: it is no credentials file.
    """
    path = secrets.tenant_credentials_file(tenant)
    try:
        _, seed = read_credentials(path.read_bytes())
        return public_key(seed)
    except FileNotFoundError:
        return None
    except (ValueError, nkeys.NkeysError):
        raise ProvisionError(
            "bad_credentials_file",
            f"{path} is no credentials file",
            "put it back from a backup, or remove it and run 'wardroom provision'",
        ) from None


def external_user_token(secrets: Secrets, row: NatsCredentialRow, issued_at: int) -> str:
    """The token of an external system: it may publish for its sources, wait for the answers, and no more.

    Args:
        secrets: where the seed of the tenant's account is.
        row: the credential.
        issued_at: seconds since 1970.
    """
    permissions = Permissions(publish=publish_subjects(row.sources), subscribe=TENANT.subscribe)
    bounds = {"subs": TENANT_SUBSCRIPTIONS_MAX, "payload": TENANT_PAYLOAD_BYTES_MAX}
    expires_at = None if row.expires_ms is None else -(-row.expires_ms // 1_000)
    return sign(
        secrets.tenant_seed(row.tenant),
        row.public_key,
        row.credential,
        _user(permissions) | bounds,
        issued_at,
        expires_at=expires_at,
    )


def ensure_all_credentials(secrets: Secrets) -> dict[NatsUser, Path]:
    """The credentials files of all our own processes."""
    return {user: ensure_credentials(secrets, user) for user in USERS}


def _ensure_user(
    secrets: Secrets, path: Path, account_seed: bytes, name: str, permissions: Permissions
) -> None:
    def token_for(user_seed: bytes) -> str:
        claims = _user(permissions)
        return sign(account_seed, public_key(user_seed), name, claims, int(time.time()))

    def new_credentials() -> bytes:
        user_seed = new_seed(KeyRole.USER)
        return credentials(token_for(user_seed), user_seed)

    held_token, user_seed = read_credentials(secrets.create_once(path, new_credentials))
    wanted = token_for(user_seed)
    if not says_the_same(held_token, wanted):
        secrets.replace(path, credentials(wanted, user_seed))


def _user(permissions: Permissions) -> Claims:
    return {
        "type": "user",
        "pub": _allowed(permissions.publish),
        "sub": _allowed(permissions.subscribe),
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
        # No WebSocket, MQTT or leaf node: the permissions were written for plain connections.
        "allowed_connection_types": ["STANDARD"],
    }


def _allowed(subjects: Iterable[str]) -> Claims:
    return {"allow": sorted(subjects)}


def _account(claims: Claims) -> Claims:
    # Whoever is signed in without permissions of their own may do nothing.
    nothing = {"deny": [">"]}
    return {**claims, "type": "account", "default_permissions": {"pub": nothing, "sub": nothing}}


def _limits(differing: Claims | None = None) -> Claims:
    # `data` is in the format, but no server enforces it: a tenant's bytes are bounded by its stream.
    limits: Claims = {
        "subs": UNLIMITED,
        "data": UNLIMITED,
        "payload": UNLIMITED,
        "imports": UNLIMITED,
        "exports": UNLIMITED,
        "wildcards": True,
        "conn": UNLIMITED,
        "leaf": UNLIMITED,
        "disallow_bearer": True,
    }
    return limits | (differing or {})
