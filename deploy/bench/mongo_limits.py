"""What MongoDB takes from one client that does nothing but insert, with majority, journaled writes."""

import base64
import os
import statistics
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from pymongo.database import Database

from deploy.bench.documents import Commits, Document
from deploy.bench.load import BODY_BYTES
from deploy.bench.targets import ROOMS
from store.mongo import CONTENTS, RECORDS, TENANT_INDEXES

BATCH: Final = 512
WARMUP_WRITES: Final = 3
"""Writes before the clock starts: the first one makes the collection."""

Scratch = Database[Document]
Made = TypeVar("Made")


def insert_one_journaled(scratch: Scratch, seconds: float) -> dict[str, float]:
    """One message at a time: what a system that commits per message could reach."""
    collection = scratch["messages"]
    took_s = _timed(_message, collection.insert_one, seconds)
    scratch.drop_collection(collection)
    return {
        "insert_one_journaled_per_s": len(took_s) / sum(took_s),
        "insert_one_journaled_ms": statistics.median(took_s) * 1000,
    }


def insert_many(scratch: Scratch, seconds: float) -> dict[str, float]:
    """Messages by `BATCH`, one batch in flight, no index but the key's."""
    collection = scratch["messages"]
    took_s = _timed(
        lambda: [_message() for _ in range(BATCH)],
        lambda documents: collection.insert_many(documents),
        seconds,
    )
    scratch.drop_collection(collection)
    return {f"insert_many_{BATCH}_per_s": BATCH * len(took_s) / sum(took_s)}


def insert_pair(scratch: Scratch, seconds: float) -> dict[str, float]:
    """The two inserts of a commit with the store's documents and indexes, and nothing around them."""
    contents, records = scratch[CONTENTS], scratch[RECORDS]
    for collection in (contents, records):
        if indexes := TENANT_INDEXES[collection.name]:
            collection.create_indexes(list(indexes))
    rooms = tuple(f"room_{number:032x}" for number in range(ROOMS))
    commits = Commits(rooms, BATCH, BODY_BYTES)

    def write(commit: tuple[list[Document], list[Document]]) -> None:
        contents.insert_many(commit[0], ordered=False)
        records.insert_many(commit[1], ordered=True)

    took_s = _timed(commits.next, write, seconds)
    for collection in (contents, records):
        scratch.drop_collection(collection)
    return {f"pair_{BATCH}_per_s": BATCH * len(took_s) / sum(took_s)}


def _timed(make: Callable[[], Made], write: Callable[[Made], Any], seconds: float) -> list[float]:
    """Seconds that each write took, for `seconds` of writing; making is not counted."""
    for _ in range(WARMUP_WRITES):
        write(make())
    took_s: list[float] = []
    spent_s = 0.0
    while spent_s < seconds:
        made = make()
        start_s = time.perf_counter()
        write(made)
        took_s.append(time.perf_counter() - start_s)
        spent_s += took_s[-1]
    return took_s


def _message() -> Document:
    return {"body": base64.b64encode(os.urandom(BODY_BYTES * 3 // 4)).decode()}
