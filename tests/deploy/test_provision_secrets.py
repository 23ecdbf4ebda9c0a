"""The directory of secrets: made once, private, silent."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest

from deploy.provision.errors import ProvisionError
from deploy.provision.secrets import MongoUser, Secrets

EVERYTHING = (
    "root.key",
    "nats/operator.seed",
    "nats/system.seed",
    "nats/core.seed",
    "nats/tenants/acme.seed",
    "nats/jetstream.key",
    *(f"mongo/{user}.password" for user in get_args(MongoUser)),
)


def make_everything(secrets: Secrets) -> dict[str, object]:
    return {
        "root.key": secrets.root_key(),
        "nats/operator.seed": secrets.operator_seed(),
        "nats/system.seed": secrets.system_seed(),
        "nats/core.seed": secrets.core_seed(),
        "nats/tenants/acme.seed": secrets.tenant_seed("acme"),
        "nats/jetstream.key": secrets.jetstream_key(),
        **{f"mongo/{user}.password": secrets.mongo_password(user) for user in get_args(MongoUser)},
    }


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_and_is_the_same_ever_after(tmp_path: Path) -> None:
    first = make_everything(Secrets(tmp_path / "secrets"))
    assert make_everything(Secrets(tmp_path / "secrets")) == first
    assert set(first) == set(EVERYTHING)
    assert len(set(first.values())) == len(first)
    assert len(Secrets(tmp_path / "secrets").root_key()) == 32


def test_provisioners_that_start_at_once_agree_on_every_secret(tmp_path: Path) -> None:
    many = 16
    with ThreadPoolExecutor(many) as pool:
        directories = [tmp_path / "secrets"] * many
        made = list(pool.map(lambda directory: make_everything(Secrets(directory)), directories))
    assert made.count(made[0]) == many
    left = {str(p.relative_to(tmp_path / "secrets")) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(EVERYTHING), "a temporary file was left behind"


def test_files_and_directories_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_everything(Secrets(tmp_path / "secrets"))
    finally:
        os.umask(before)
    for path in (tmp_path / "secrets", *(tmp_path / "secrets").rglob("*")):
        assert mode_of(path) == (0o700 if path.is_dir() else 0o600), path


def test_a_directory_that_others_can_read_is_refused(tmp_path: Path) -> None:
    exposed = tmp_path / "secrets"
    exposed.mkdir(mode=0o755)
    with pytest.raises(ProvisionError, match="chmod 700") as caught:
        Secrets(exposed).root_key()
    assert caught.value.code == "secrets_exposed"
    assert not (exposed / "root.key").exists()


def test_replacing_a_file_keeps_it_private(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    path = secrets.credentials_file("gateway")
    assert secrets.create_once(path, lambda: b"old") == b"old"
    secrets.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode_of(path) == 0o600


def test_printing_the_secrets_shows_their_directory_only(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    key = secrets.jetstream_key()
    assert repr(secrets) == f"Secrets({str(tmp_path / 'secrets')!r})"
    assert key not in repr(secrets) + str(secrets)


@pytest.mark.parametrize("tenant", ["../core", "", "a/b", "Acme", "a.b", "-a"])
def test_a_bad_tenant_id_never_becomes_a_path(tmp_path: Path, tenant: str) -> None:
    secrets = Secrets(tmp_path / "secrets")
    for accessor in (secrets.tenant_seed, secrets.tenant_credentials_file):
        with pytest.raises(ProvisionError) as caught:
            accessor(tenant)
        assert caught.value.code == "bad_tenant_id"


def test_the_jetstream_key_has_letters_only(tmp_path: Path) -> None:
    key = Secrets(tmp_path / "secrets").jetstream_key()
    assert key.isascii()
    assert key.isalpha()
    assert len(key) == 64
