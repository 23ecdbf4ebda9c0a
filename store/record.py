"""The record: a small header whose canonical bytes are hashed, and its place in the chain."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from store.canonical import canonical_flat

RECORD_DOMAIN: Final = b"wardroom/record/v1\0"
CONTENT_DOMAIN: Final = b"wardroom/content/v1\0"
RECORD_VERSION: Final = 1
SALT_BYTES: Final = 32
GENESIS: Final = bytes(32)
"""`prev` of a chain's first record."""


def place(room: str, seq: int) -> str:
    """The key of a record: sorts by seq within a room. 14 hex digits hold 2^53."""
    return f"{room}/{seq:014x}"


def seq_of(key: str) -> int:
    """The seq in a key made by `place`, also when more follows it."""
    return int(key.split("/", 2)[1], 16)


def commitment(salt: bytes, body: bytes) -> bytes:
    """What a record commits to: salted plaintext, so that new keys or erasure never touch the chain."""
    return hashlib.sha256(CONTENT_DOMAIN + salt + body).digest()


@dataclass(slots=True)
class Record:
    """A header and its hash. `at` is Unix milliseconds; `prev`, `commit` and `hash` are 32 bytes.

    `lane`, `src` and `index` say which command this came from: the lane of the tenant's stream, the
    stream's generation and sequence (`generation << 40 | sequence`), and the place in that message.
    """

    tenant: str
    room: str
    seq: int
    epoch: int
    prev: bytes
    kind: str
    actor: str
    at: int
    client_id: str
    target: int | None
    commit: bytes
    content_length: int
    lane: int
    src: int
    index: int
    hash: bytes = b""

    def header(self) -> dict[str, str | int | None]:
        """The header as it is hashed and shown: bytes as lower-case hex."""
        # In the order of its canonical form, so that sorting it there finds nothing to do.
        return {
            "actor": self.actor,
            "at": self.at,
            "client_id": self.client_id,
            "commit": self.commit.hex(),
            "content_length": self.content_length,
            "epoch": self.epoch,
            "index": self.index,
            "kind": self.kind,
            "lane": self.lane,
            "prev": self.prev.hex(),
            "room": self.room,
            "seq": self.seq,
            "src": self.src,
            "target": self.target,
            "tenant": self.tenant,
            "v": RECORD_VERSION,
        }

    def computed_hash(self) -> bytes:
        """SHA-256 over the domain and the canonical header."""
        return hashlib.sha256(RECORD_DOMAIN + canonical_flat(self.header())).digest()

    def document(self) -> dict[str, Any]:
        """The record as MongoDB keeps it."""
        return {
            "_id": place(self.room, self.seq),
            "v": RECORD_VERSION,
            "tenant": self.tenant,
            "room": self.room,
            "seq": self.seq,
            "epoch": self.epoch,
            "prev": self.prev,
            "kind": self.kind,
            "actor": self.actor,
            "at": self.at,
            "client_id": self.client_id,
            "target": self.target,
            "commit": self.commit,
            "content_length": self.content_length,
            "lane": self.lane,
            "src": self.src,
            "index": self.index,
            "hash": self.hash,
        }


HASHES: Final = ("prev", "commit", "hash")
NUMBERS: Final = ("seq", "epoch", "at", "content_length", "lane", "src", "index")
TEXTS: Final = ("_id", "tenant", "room", "kind", "actor", "client_id")
FIELDS: Final = frozenset({*HASHES, *NUMBERS, *TEXTS, "v", "target"})
NUMBER_LIMIT: Final = 2**53
"""Numbers stay below it: a JSON number is a double to many readers (RFC 8259, section 6)."""


def shape_fault(document: dict[str, Any]) -> str | None:
    """What keeps a document from having the form of `Record.document`; None if it has it.

    BSON knows more types than the header: a 3.0 or a field too many would go unseen by the hash.
    """
    if document.keys() != FIELDS:
        return f"fields too many or missing: {sorted(document.keys() ^ FIELDS)}"
    if not _is_number(document["v"]) or document["v"] != RECORD_VERSION:
        return f"version {document['v']!r}"
    for name in NUMBERS:
        if not _is_number(document[name]):
            return f"{name} is not a number of a header"
    if document["target"] is not None and not _is_number(document["target"]):
        return "target is neither null nor a number of a header"
    for name in TEXTS:
        if type(document[name]) is not str:
            return f"{name} is not a text"
    for name in HASHES:
        if type(document[name]) is not bytes or len(document[name]) != hashlib.sha256().digest_size:
            return f"{name} is not 32 bytes"
    return None


def _is_number(value: Any) -> bool:
    # An Int64 of BSON is a subclass of int; so is bool, which is another type in JSON.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < NUMBER_LIMIT


def record_of(document: dict[str, Any]) -> Record:
    """The record in a document, as it stands there: nothing is checked.

    Raises:
        KeyError: a field is missing.
    """
    return Record(
        tenant=document["tenant"],
        room=document["room"],
        seq=document["seq"],
        epoch=document["epoch"],
        prev=document["prev"],
        kind=document["kind"],
        actor=document["actor"],
        at=document["at"],
        client_id=document["client_id"],
        target=document["target"],
        commit=document["commit"],
        content_length=document["content_length"],
        lane=document["lane"],
        src=document["src"],
        index=document["index"],
        hash=document["hash"],
    )
