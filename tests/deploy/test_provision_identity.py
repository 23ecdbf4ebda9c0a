"""Tokens and credentials: what they say, who signed them, and when they are written anew."""

import base64
from pathlib import Path
from typing import get_args

import nkeys  # type: ignore[import-untyped]
import pytest

from deploy.provision.nats_identity import (
    core_account_token,
    ensure_all_credentials,
    ensure_credentials,
    ensure_tenant_credentials,
    operator_token,
    system_account_token,
    tenant_account_token,
)
from deploy.provision.nats_jwt import (
    KeyRole,
    claims_of,
    credentials,
    new_seed,
    public_key,
    read_credentials,
    says_the_same,
    sign,
)
from deploy.provision.nats_permissions import USERS
from deploy.provision.secrets import NatsUser, Secrets

NOON = 1_800_000_000


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path / "secrets")


def signer_of(token: str, seed: bytes) -> bool:
    signed, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    return bool(nkeys.from_seed(bytearray(seed)).verify(signed.encode(), raw))


def test_every_account_is_signed_by_the_operator(secrets: Secrets) -> None:
    operator = secrets.operator_seed()
    for token in (
        operator_token(secrets, NOON),
        system_account_token(secrets, NOON),
        core_account_token(secrets, NOON),
        tenant_account_token(secrets, "acme", NOON),
    ):
        assert signer_of(token, operator)
        assert claims_of(token)["iss"] == public_key(operator)
        assert claims_of(token)["iat"] == NOON
        assert claims_of(token)["nats"]["version"] == 2


def test_a_tenant_may_reach_its_own_ingest_subject_and_has_no_streams(secrets: Secrets) -> None:
    nats = claims_of(tenant_account_token(secrets, "acme", NOON))["nats"]
    assert [(one["subject"], one["local_subject"]) for one in nats["imports"]] == [
        ("ingest.acme.>", "ingest.>")
    ]
    assert nats["imports"][0]["account"] == public_key(secrets.core_seed())
    assert "exports" not in nats
    limits = nats["limits"]
    assert "disk_storage" not in limits
    assert "mem_storage" not in limits
    assert limits["conn"] > 0
    assert limits["subs"] > 0
    assert limits["payload"] > 0
    assert limits["exports"] == limits["leaf"] == 0


def test_tokens_of_different_moments_say_the_same_and_of_different_tenants_do_not(
    secrets: Secrets,
) -> None:
    token = tenant_account_token(secrets, "acme", NOON)
    assert says_the_same(token, tenant_account_token(secrets, "acme", NOON + 5))
    assert not says_the_same(token, tenant_account_token(secrets, "globex", NOON))
    later = claims_of(tenant_account_token(secrets, "acme", NOON + 5))
    assert later["jti"] != claims_of(token)["jti"]


def test_a_credentials_file_gives_back_its_token_and_seed() -> None:
    seed = new_seed(KeyRole.USER)
    assert read_credentials(credentials("a.b.c", seed)) == ("a.b.c", seed)


@pytest.mark.parametrize("content", [b"", b"a.b.c", b"-----BEGIN NATS USER JWT-----\na.b.c\n"])
def test_a_file_that_is_no_credentials_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="credentials"):
        read_credentials(content)


def test_every_process_has_a_user_of_its_own_signed_by_its_account(secrets: Secrets) -> None:
    files = ensure_all_credentials(secrets)
    assert set(files) == set(get_args(NatsUser))
    subjects = set()
    for user, path in files.items():
        token, seed = read_credentials(path.read_bytes())
        account = secrets.system_seed() if user == "system" else secrets.core_seed()
        assert signer_of(token, account)
        assert claims_of(token)["sub"] == public_key(seed)
        assert claims_of(token)["nats"]["pub"]["allow"] == sorted(USERS[user].publish)
        subjects.add(claims_of(token)["sub"])
    assert len(subjects) == len(files)


def test_credentials_that_say_what_they_should_are_left_alone(secrets: Secrets) -> None:
    before = ensure_credentials(secrets, "gateway").read_bytes()
    assert ensure_credentials(secrets, "gateway").read_bytes() == before
    before = ensure_tenant_credentials(secrets, "acme").read_bytes()
    assert ensure_tenant_credentials(secrets, "acme").read_bytes() == before


def test_credentials_with_other_permissions_get_a_new_token_for_the_same_key(
    secrets: Secrets,
) -> None:
    path = ensure_credentials(secrets, "gateway")
    token, seed = read_credentials(path.read_bytes())
    wide = sign(
        secrets.core_seed(),
        public_key(seed),
        "gateway",
        {"type": "user", "pub": {"allow": [">"]}},
        NOON,
    )
    secrets.replace(path, credentials(wide, seed))
    ensure_credentials(secrets, "gateway")
    again, same_seed = read_credentials(path.read_bytes())
    assert says_the_same(again, token)
    assert same_seed == seed
