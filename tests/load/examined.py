"""What MongoDB looked at for a piece of work, by its own profiler."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pymongo.errors import OperationFailure

from store.driver import Database, MongoConnection
from store.mongo import tenant_database

PROFILE: Final = "system.profile"
OFF: Final = 0
EVERYTHING: Final = 2


@dataclass(frozen=True)
class Operation:
    """One operation: what it is, on which collection, and how much it went through."""

    name: str
    collection: str
    keys: int
    documents: int
    returned: int
    bytes: int
    plan: str


@dataclass
class Examined:
    """The operations of a piece of work; filled when it is over."""

    operations: list[Operation] = field(default_factory=list)

    def of(self, collection: str) -> list[Operation]:
        """Those on one collection."""
        return [each for each in self.operations if each.collection == collection]

    @property
    def keys(self) -> int:
        """Index keys that all of them together examined."""
        return sum(each.keys for each in self.operations)

    @property
    def documents(self) -> int:
        """Documents that all of them together examined."""
        return sum(each.documents for each in self.operations)

    @property
    def returned_at_most(self) -> int:
        """Documents that the largest of them returned at once."""
        return max((each.returned for each in self.operations), default=0)


@asynccontextmanager
async def examined(
    admin: MongoConnection, database: str, *, is_tenant: bool = True
) -> AsyncIterator[Examined]:
    """Watch a database, whoever works with it meanwhile."""
    watched = admin.database(tenant_database(database) if is_tenant else database)
    await _forget(watched)
    await watched.command({"profile": EVERYTHING})
    found = Examined()
    try:
        yield found
    finally:
        await watched.command({"profile": OFF})
    rows = await watched[PROFILE].find({}).to_list(None)
    found.operations = [_operation(row) for row in rows if PROFILE not in row["ns"]]


async def _forget(database: Database) -> None:
    try:
        await database.command({"drop": PROFILE})
    except OperationFailure as error:
        if "ns not found" not in str(error):
            raise


def _operation(row: dict[str, Any]) -> Operation:
    collection = row["ns"].partition(".")[2]
    if collection == "$cmd":
        collection = str(next(iter(row.get("command", {"": ""}).values())))
    return Operation(
        name=row["op"],
        collection=collection,
        keys=row.get("keysExamined", 0),
        documents=row.get("docsExamined", 0),
        returned=row.get("nreturned", 0),
        bytes=row.get("responseLength", 0),
        plan=row.get("planSummary", ""),
    )
