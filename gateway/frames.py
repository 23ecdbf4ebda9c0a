"""The frames of the WebSocket: what clients send, as models, and what they get, as bytes.

A client's frame that does not fit its model is a broken client; whether a frame that fits may be
obeyed is decided elsewhere.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from actors.protocol.codec import clearance_of
from actors.protocol.envelope import Entry, entry_id
from actors.protocol.errors import ErrorCode
from actors.protocol.events import MESSAGE, MarkedMessagePosted
from actors.protocol.ids import ClientId, RoomId
from actors.protocol.limits import FRAME_BYTES_MAX
from actors.protocol.markings import LOWEST, Clearance, PapName, TlpName
from gateway import strict_json
from gateway.inaccessible import INACCESSIBLE
from gateway.limits import TOKEN_CHARS_MAX
from gateway.strict_json import StrictJsonError

SEQ_MAX: Final = 2**53 - 1
"""The greatest integer that every JSON reader keeps exact (RFC 7493, section 2.2)."""

MASKED: Final = 0x80
"""The bit of a header's second byte that a client must set."""

Seq = Annotated[int, Field(ge=1, le=SEQ_MAX)]
After = Annotated[int, Field(ge=0, le=SEQ_MAX)]


class ClientFrame(BaseModel):
    """What every frame of a client has in common: nothing more than it says, no type bent."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Hello(ClientFrame):
    """Who is there; sent again, it prolongs the session."""

    type: Literal["hello"]
    token: Annotated[str, StringConstraints(max_length=TOKEN_CHARS_MAX)] = Field(repr=False)


class Subscribe(ClientFrame):
    """Follow a room: everything after `after`, or only what comes from now on."""

    type: Literal["subscribe"]
    room: RoomId
    after: After | None = None


class Unsubscribe(ClientFrame):
    """Follow a room no longer."""

    type: Literal["unsubscribe"]
    room: RoomId


class PostFrame(ClientFrame):
    """Say something; `thread` is the seq of the entry that is answered. The rest marks it more strictly
    than its room."""

    type: Literal["post"]
    room: RoomId
    client_id: ClientId
    kind: Literal["message"] = "message"
    body: str
    thread: Seq | None = None
    clearance: Clearance | None = None
    tlp: TlpName | None = None
    pap: PapName | None = None

    def said(self) -> dict[str, Any]:
        """What is said, as fields of the command."""
        fields: dict[str, Any] = {"body": self.body, "thread": self.thread}
        if self.clearance is None and self.tlp is None and self.pap is None:
            return fields
        marks = {"entry_clearance": self.clearance, "tlp": self.tlp, "pap": self.pap}
        return fields | {name: value for name, value in marks.items() if value is not None}


class Ping(ClientFrame):
    """Ask for an echo of `n`."""

    type: Literal["ping"]
    n: int | Annotated[str, StringConstraints(max_length=64)] | None = None


AnyFrame = Annotated[
    Hello | Subscribe | Unsubscribe | PostFrame | Ping, Field(discriminator="type")
]
_FRAMES: Final[TypeAdapter[AnyFrame]] = TypeAdapter(AnyFrame)


class BadFrame(Exception):
    """A frame that no client in order would send; `detail` repeats none of its values."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def read_frame(data: bytes) -> AnyFrame:
    """The frame in `data`.

    Raises:
        BadFrame: it is not strict JSON, or fits no model.
    """
    try:
        # The adapter's own method spends a fifth of the whole on passing its options on.
        frame: AnyFrame = _FRAMES.validator.validate_python(strict_json.parse_object(data))
        return frame
    except StrictJsonError as error:
        raise BadFrame(error.code, error.detail) from None
    except ValidationError as error:
        raise BadFrame(ErrorCode.BAD_FRAME, _first_fault(error)) from None


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        return "type: not one that a client may send"
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


def encode_text_frame(payload: bytes) -> bytes:
    """A whole, unmasked text frame, as a server sends it (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 0x10000:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def frame_at(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Where the payload of the client's frame at `at` begins and ends (RFC 6455, section 5.2).

    None if not even the header is there. The four bytes before the payload are its mask. A frame that
    is not masked or too large begins at 0 and ends with its header: no more is needed to refuse it.
    """
    if len(data) < at + 2:
        return None
    size = data[at + 1] - MASKED
    if size < 0:
        return 0, at + 2
    start = at + 6
    if size >= 126:
        more = 2 if size == 126 else 8
        if len(data) < at + 2 + more:
            return None
        size = int.from_bytes(data[at + 2 : at + 2 + more], "big")
        start += more
        if size > FRAME_BYTES_MAX:
            return 0, start - 4
    return start, start + size


@lru_cache(maxsize=64)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(unix_ms: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC with milliseconds."""
    return f"{_second(unix_ms // 1000)}.{unix_ms % 1000:03d}Z"


class EncodedEntry(NamedTuple):
    """An entry as JSON, made once for all sockets.

    `own_at` is where the sender's copy has its `client_id`, which nobody else is shown. Whoever has less
    than `clearance` gets `veiled` in its place.
    """

    seq: int
    actor: str
    client_id: str
    payload: bytes
    own_at: int
    clearance: int = LOWEST
    veiled: bytes = b""

    def own_payload(self) -> bytes:
        """The sender's copy."""
        mark = b',"client_id":' + orjson.dumps(self.client_id)
        return self.payload[: self.own_at] + mark + self.payload[self.own_at :]

    def payload_for(self, user: str, clearance: int) -> bytes:
        """The copy that `user`, of a clearance, may see."""
        if clearance < self.clearance:
            return self.veiled
        return self.own_payload() if user == self.actor else self.payload


_SAID: Final = frozenset({MESSAGE, MarkedMessagePosted.kind})
"""Kinds that answer another entry, where others point at one."""


def encode_entry(entry: Entry) -> EncodedEntry:
    """An entry for the wire; keys in the order of the contract."""
    fields: dict[str, Any] = {
        "type": "entry",
        "room": entry.room,
        "seq": entry.seq,
        "id": entry_id(entry.room, entry.seq),
        "kind": entry.kind,
        "actor": entry.actor,
        "at": rfc3339(entry.at_ms),
        "body": entry.body,
    }
    if entry.target is not None:
        fields["thread" if entry.kind in _SAID else "target"] = entry.target
    head = orjson.dumps(fields)[:-1]
    tail = b',"prev":"%b","hash":"%b"}' % (entry.prev.encode(), entry.hash.encode())
    level = clearance_of(entry.kind, entry.body)
    veiled = _veiled(fields) + tail if level > LOWEST else b""
    return EncodedEntry(
        entry.seq, entry.actor, entry.client_id, head + tail, len(head), level, veiled
    )


def _veiled(fields: dict[str, Any]) -> bytes:
    """What is left of an entry for whoever may not see it: its place. With `prev` and `hash` the chain is
    whole for him too."""
    left = {name: fields[name] for name in ("type", "room", "seq", "id")}
    return orjson.dumps({**left, "kind": INACCESSIBLE, "at": fields["at"]})[:-1]


def encode_frame(type_: str, **fields: Any) -> bytes:
    """Any other frame of the server; fields that are None are left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    return encode_text_frame(orjson.dumps({"type": type_, **present}))
