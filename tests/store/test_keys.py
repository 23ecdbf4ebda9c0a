"""The root key: how it is read, what it wraps, and that nothing shows it."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import KeyMissing, SealBroken
from store.keys import (
    ROOM_KEY_AGE_MAX_MS,
    ROOM_KEY_RECORDS_MAX,
    TENANT_KEY,
    TOKEN_KEY,
    RoomKey,
    RootKey,
    room_key_id,
)
from store.sealing import KEY_BYTES, Cipher
from tests.store.frozen import frozen_chain

FROZEN = frozen_chain()


def test_the_frozen_keys_open_from_the_root_key_down() -> None:
    tenant_key = RootKey(FROZEN.root_key).unwrap(
        TENANT_KEY, FROZEN.tenant, FROZEN.wrapped_tenant_key
    )
    assert tenant_key == FROZEN.tenant_key
    bound = b"wardroom/room-key/v1\0" + FROZEN.room_key_id.encode()
    assert Cipher(tenant_key).open(FROZEN.wrapped_room_key, bound) == FROZEN.room_key


def test_a_wrapped_key_opens_for_its_purpose_and_name_only() -> None:
    root, key = RootKey(os.urandom(KEY_BYTES)), os.urandom(KEY_BYTES)
    wrapped = root.wrap(TENANT_KEY, "acme", key)
    assert root.unwrap(TENANT_KEY, "acme", wrapped) == key
    for purpose, name in ((TOKEN_KEY, "acme"), (TENANT_KEY, "globex"), (TENANT_KEY, "")):
        with pytest.raises(SealBroken):
            root.unwrap(purpose, name, wrapped)
    with pytest.raises(SealBroken):
        RootKey(os.urandom(KEY_BYTES)).unwrap(TENANT_KEY, "acme", wrapped)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_root_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(KeyMissing, match="32 bytes"):
        RootKey(bytes(length))


@pytest.mark.parametrize("text", ["not base64!", "AAA", "ä" * 44])
def test_text_that_is_no_base64_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(KeyMissing) as refused:
        RootKey.from_base64(text)
    assert text not in str(refused.value)


def test_a_root_key_comes_from_a_private_file(tmp_path: Path) -> None:
    key, path = os.urandom(KEY_BYTES), tmp_path / "root.key"
    path.touch(mode=0o600)
    path.write_text(base64.b64encode(key).decode() + "\n")
    wrapped = RootKey.from_file(path).wrap(TENANT_KEY, "acme", bytes(32))
    assert RootKey(key).unwrap(TENANT_KEY, "acme", wrapped) == bytes(32)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    path.write_text(base64.b64encode(bytes(KEY_BYTES)).decode())
    path.chmod(mode)
    with pytest.raises(KeyMissing, match="chmod 600"):
        RootKey.from_file(path)


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="wardroom provision"):
        RootKey.from_file(tmp_path / "root.key")


def test_a_root_key_prints_as_nothing() -> None:
    root = RootKey(FROZEN.root_key)
    assert repr(root) == str(root) == f"{root}" == "RootKey(***)"
    assert not hasattr(root, "__dict__")


@given(st.text())
def test_equal_login_names_have_equal_tokens_whatever_their_case(name: str) -> None:
    root = RootKey(FROZEN.root_key)
    assert root.login_token(name) == root.login_token(f"  {name.casefold()}\n")


def test_a_login_token_tells_nothing_without_the_key() -> None:
    one, other = RootKey(FROZEN.root_key), RootKey(FROZEN.tenant_key)
    assert one.login_token("ana") != other.login_token("ana")
    assert one.login_token("ana") != one.login_token("anna")


def test_a_room_key_is_spent_by_records_or_by_age() -> None:
    key = RoomKey(epoch=1, cipher=Cipher(bytes(32)), from_seq=11, created_ms=1_000)
    assert not key.is_spent(11, 1_000)
    assert not key.is_spent(10 + ROOM_KEY_RECORDS_MAX, 999 + ROOM_KEY_AGE_MAX_MS)
    assert key.is_spent(11 + ROOM_KEY_RECORDS_MAX, 1_000)
    assert key.is_spent(11, 1_000 + ROOM_KEY_AGE_MAX_MS)


def test_the_epochs_of_a_room_sort() -> None:
    names = [room_key_id("room", epoch) for epoch in (1, 9, 10, 255, 256, 2**24 - 1)]
    assert names == sorted(names)
    assert all("room/" < name < "room0" for name in names)
