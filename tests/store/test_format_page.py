"""The format in README.md: its worked example, recomputed from the text with nothing of the store,
and then read by the store."""

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import store
from store.contents import BlockIndex, block_of, is_genuine
from store.keys import RootKey
from store.mongo import TENANT_INDEXES
from store.record import Record
from store.sealing import Cipher, content_bound
from store.verdict import Harm
from tests.store.frozen import record_of_header

PAGE = (Path(str(store.__file__)).parent / "README.md").read_text()


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """The worked example in the page."""
    [block] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    shown: dict[str, Any] = json.loads(block)
    return shown


@pytest.fixture(scope="module")
def raw(example: dict[str, Any]) -> dict[str, bytes]:
    """The members of the example that are bytes."""
    texts = {name: value for name, value in example.items() if isinstance(value, str)}
    shown_as_text = {"body", "canonical", "block_id"}
    return {
        name: value.encode() if name in shown_as_text else bytes.fromhex(value)
        for name, value in texts.items()
    }


def sealed_by_hand(key: bytes, nonce: str, plain: bytes, bound: bytes) -> bytes:
    """The layout of everything that is sealed."""
    start = bytes.fromhex(nonce)
    return start + AESGCM(key).encrypt(start, plain, bound)


def test_commitment_and_hash_follow_from_the_text(
    example: dict[str, Any], raw: dict[str, bytes]
) -> None:
    header = example["header"]
    commit = hashlib.sha256(b"wardroom/content/v1\0" + raw["salt"] + raw["body"]).digest()
    assert commit == raw["commit"] == bytes.fromhex(header["commit"])
    assert header["content_length"] == len(raw["body"])
    assert rfc8785.dumps(header) == raw["canonical"]
    assert hashlib.sha256(b"wardroom/record/v1\0" + raw["canonical"]).digest() == raw["hash"]


def test_the_sealed_content_follows_from_the_text(
    example: dict[str, Any], raw: dict[str, bytes]
) -> None:
    header = example["header"]
    bound = f"1|{header['tenant']}|{header['room']}|{header['seq']}|".encode() + raw["hash"]
    assert bound == raw["content_bound"]
    plain = raw["salt"] + raw["body"]
    sealed = sealed_by_hand(raw["room_key"], example["nonces"][0], plain, bound)
    assert sealed == raw["sealed"]
    assert len(sealed) == 12 + 32 + header["content_length"] + 16


def test_the_block_follows_from_the_text(example: dict[str, Any], raw: dict[str, bytes]) -> None:
    header, sealed = example["header"], raw["sealed"]
    name = f"{header['room']}/{header['seq']:014x}/{raw['hash'][:8].hex()}"
    digest = hashlib.sha256(struct.pack(">I", len(sealed)) + sealed).digest()
    assert name == example["block_id"]
    assert b"block|" + name.encode() + b"|" + digest == raw["block_bound"]
    tag = sealed_by_hand(raw["room_key"], example["nonces"][1], b"", raw["block_bound"])
    assert tag == raw["tag"]


def test_the_wrapped_keys_follow_from_the_text(
    example: dict[str, Any], raw: dict[str, bytes]
) -> None:
    tenant = example["header"]["tenant"].encode()
    room = example["header"]["room"].encode()
    assert raw["wrapped_tenant_key"] == sealed_by_hand(
        raw["root_key"],
        example["nonces"][2],
        raw["tenant_key"],
        b"wardroom/tenant-key/v1\0" + tenant,
    )
    assert raw["wrapped_room_key"] == sealed_by_hand(
        raw["tenant_key"],
        example["nonces"][3],
        raw["room_key"],
        b"wardroom/room-key/v1\0" + room + b"/000001",
    )


def test_the_store_reads_the_example(example: dict[str, Any], raw: dict[str, bytes]) -> None:
    record: Record = record_of_header(example["header"], raw["hash"])
    assert record.computed_hash() == raw["hash"]
    assert content_bound(record) == raw["content_bound"]
    unwrapped = RootKey(raw["root_key"]).unwrap(
        "tenant-key", record.tenant, raw["wrapped_tenant_key"]
    )
    assert unwrapped == raw["tenant_key"]
    cipher = Cipher(raw["room_key"])
    block = block_of(
        {"_id": example["block_id"], "key": 1, "tag": raw["tag"], "items": [raw["sealed"]]}
    )
    assert block is not None
    assert is_genuine(block, cipher)
    opened = BlockIndex([block], {1: cipher}).open(record)
    assert opened is not None
    assert opened.content == raw["body"]


def test_the_page_names_every_member_of_the_header(example: dict[str, Any]) -> None:
    table = PAGE.partition("### Header")[2].partition("### Content")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == example[
        "header"
    ].keys()


def test_the_page_names_every_harm_collection_and_file() -> None:
    for harm in Harm:
        assert f"`{harm}`" in PAGE
    for collection in TENANT_INDEXES:
        assert f"`{collection}`" in PAGE
    files = PAGE.partition("## Files")[2]
    for path in Path(str(store.__file__)).parent.glob("[a-z]*.py"):
        assert f"`{path.stem}`" in files, path.name
