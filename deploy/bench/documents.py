"""What one commit writes, made by the store's own functions, for measuring the bare writes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from store.chain import Draft, Head, Source, head_of, link
from store.contents import blocks
from store.keys import RoomKey
from store.record import SALT_BYTES, Record
from store.sealing import KEY_BYTES, Cipher, seal_content

Document = dict[str, Any]

TENANT: Final = "bench"
AT_MS: Final = 1_800_000_000_000
ACTORS: Final = 5


@dataclass(slots=True)
class Commits:
    """An endless row of commits of chat messages, spread evenly over rooms as in a real load."""

    rooms: Sequence[str]
    messages: int
    """Messages in one commit."""
    body_bytes: int
    _key: RoomKey = field(
        default_factory=lambda: RoomKey(1, Cipher(os.urandom(KEY_BYTES)), 1, AT_MS), repr=False
    )
    _heads: dict[str, Head] = field(default_factory=dict)
    _source: int = 0

    def next(self) -> tuple[list[Document], list[Document]]:
        """Contents and records of the next commit, in the order they are written."""
        self._source += 1
        contents: list[Document] = []
        records: list[Document] = []
        for room, count in zip(self.rooms, self._shares(), strict=True):
            if not count:
                continue
            linked = [self._record(room, len(records) + place) for place in range(count)]
            contents += blocks(
                [record for record, _ in linked], [sealed for _, sealed in linked], self._key
            )
            records += [record.document() for record, _ in linked]
        return contents, records

    def one_record(self) -> None:
        """All the computing that one message costs: commitment, link, hash and seal."""
        self._source += 1
        self._record(self.rooms[0], 0)

    def _shares(self) -> list[int]:
        each, rest = divmod(self.messages, len(self.rooms))
        return [each + (position < rest) for position in range(len(self.rooms))]

    def _record(self, room: str, position: int) -> tuple[Record, bytes]:
        head, salt = self._heads.get(room, Head()), os.urandom(SALT_BYTES)
        body = os.urandom(self.body_bytes)
        draft = Draft(
            kind="message",
            actor=f"user_{head.seq % ACTORS:032x}",
            client_id=f"{self._source}-{position}",
            target=None,
            content=body,
            source=Source(0, self._source, position),
        )
        record = link((TENANT, room, 1), head, draft, AT_MS, salt)
        self._heads[room] = head_of(record)
        return record, seal_content(self._key.cipher, record, salt, body)
