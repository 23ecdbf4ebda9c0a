"""Chains made by the store's own functions, without actors: what a commit would write."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from store.chain import Draft, Head, Source, head_of, link
from store.contents import blocks
from store.driver import Document
from store.keys import RoomKey
from store.record import SALT_BYTES, Record
from store.sealing import KEY_BYTES, Cipher, seal_content

AT_MS = 1_795_000_000_000


def fresh_key(epoch: int = 1) -> RoomKey:
    """A room key that no database knows."""
    return RoomKey(epoch, Cipher(os.urandom(KEY_BYTES)), 1, AT_MS)


@dataclass(frozen=True)
class Commit:
    """Records of one room and the documents that a commit writes for them."""

    records: list[Record]
    contents: list[Document]

    @property
    def documents(self) -> list[Document]:
        """The records as MongoDB keeps them."""
        return [record.document() for record in self.records]


@dataclass
class Chain:
    """A room's chain that grows; every commit comes from one message of its lane."""

    tenant: str
    room: str
    key: RoomKey = field(default_factory=fresh_key, repr=False)
    head: Head = field(default_factory=Head)
    epoch: int = 1
    lane: int = 0
    src: int = 0

    def commit(self, *bodies: str, kind: str = "message", actor: str = "ana") -> Commit:
        """Link and seal bodies as one commit."""
        self.src += 1
        drafts = [
            Draft(
                kind=kind,
                actor=actor,
                client_id=f"{self.room}-{self.src}-{position}",
                target=None,
                content=body.encode(),
                source=Source(self.lane, self.src, position),
            )
            for position, body in enumerate(bodies)
        ]
        return self.commit_drafts(drafts)

    def commit_drafts(self, drafts: Sequence[Draft]) -> Commit:
        """Link and seal drafts as one commit, a millisecond after the last."""
        records: list[Record] = []
        sealed: list[bytes] = []
        for draft in drafts:
            salt = os.urandom(SALT_BYTES)
            scope = (self.tenant, self.room, self.epoch)
            record = link(scope, self.head, draft, max(AT_MS, self.head.at + 1), salt)
            records.append(record)
            sealed.append(seal_content(self.key.cipher, record, salt, draft.content))
            self.head = head_of(record)
        return Commit(records, blocks(records, sealed, self.key))
