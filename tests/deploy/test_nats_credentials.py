"""What the tokens of external systems say, and what is refused of a file that is none."""

from pathlib import Path

import pytest

from deploy.provision.errors import ProvisionError
from deploy.provision.nats_identity import (
    FOR_EVER_S,
    account_name,
    ensure_tenant_credentials,
    external_user_token,
    file_key,
    tenant_account_token,
    tenant_of_account_name,
)
from deploy.provision.nats_jwt import KeyRole, claims_of, new_seed, public_key, says_the_same
from deploy.provision.secrets import Secrets
from tests.store.test_nats_credentials import row_of


def test_a_token_permits_its_sources_and_bounds_the_rest(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    user = public_key(new_seed(KeyRole.USER))
    row = row_of("acme", public_key=user, sources=("qradar", "edr"), expires_ms=10_001)
    claims = claims_of(external_user_token(secrets, row, issued_at=5))
    assert (claims["sub"], claims["iss"]) == (user, public_key(secrets.tenant_seed("acme")))
    assert claims["exp"] == 11
    said = claims["nats"]
    assert said["pub"] == {"allow": ["ingest.edr.>", "ingest.qradar.>"]}
    assert said["sub"] == {"allow": ["_INBOX.>"]}
    assert "resp" not in said
    assert said["allowed_connection_types"] == ["STANDARD"]
    assert 0 < said["subs"] <= 16
    assert said["payload"] > 0


def test_a_token_without_an_end_has_none(tmp_path: Path) -> None:
    row = row_of("acme", public_key=public_key(new_seed(KeyRole.USER)))
    token = external_user_token(Secrets(tmp_path / "secrets"), row, issued_at=5)
    assert "exp" not in claims_of(token)


def test_an_account_refuses_revoked_keys_for_ever_and_says_nothing_where_there_are_none(
    tmp_path: Path,
) -> None:
    secrets = Secrets(tmp_path / "secrets")
    open_ = tenant_account_token(secrets, "acme", 5)
    assert "revocations" not in claims_of(open_)["nats"]
    one, other = (tenant_account_token(secrets, "acme", at, refused={"UA"}) for at in (5, 9))
    assert claims_of(one)["nats"]["revocations"] == {"UA": FOR_EVER_S}
    assert says_the_same(one, other)
    assert not says_the_same(one, open_)


def test_the_key_of_a_tenants_file_is_found_and_a_broken_file_is_said_to_be_one(
    tmp_path: Path,
) -> None:
    secrets = Secrets(tmp_path / "secrets")
    assert file_key(secrets, "acme") is None
    path = ensure_tenant_credentials(secrets, "acme")
    assert (file_key(secrets, "acme") or "").startswith("U")
    for content in (b"", b"hello", b"-----BEGIN A-----\nx\n-----BEGIN B-----\nSUnothing\n"):
        path.write_bytes(content)
        with pytest.raises(ProvisionError, match="bad_credentials_file"):
            file_key(secrets, "acme")


def test_an_account_is_of_a_tenant_or_it_is_not() -> None:
    assert tenant_of_account_name(account_name("acme")) == "acme"
    for other in ("CORE", "SYS", "", "t_acme"):
        assert tenant_of_account_name(other) is None
