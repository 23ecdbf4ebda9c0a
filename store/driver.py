"""The one module that imports motor, and its successor: PyMongo's own asynchronous client.

Both give the same objects for all we use but for three calls (`aggregate`, `close`, sessions), which
this module evens out. Choose with `driver="motor"` (default) or `driver="pymongo"`.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, Self, cast

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern
from pymongo.results import InsertManyResult
from pymongo.write_concern import WriteConcern

DriverName = Literal["motor", "pymongo"]
Document = dict[str, Any]

COMMIT_TIMEOUT_MS = 10_000
"""How long a majority write may wait before its outcome counts as unknown."""
SERVER_SELECTION_TIMEOUT_MS = 5_000
ROW_THREADS = 8
"""Rows of commands that may be under way at once: one for each tenant that commits."""


class Cursor(Protocol):
    """What we use of a find cursor."""

    def sort(self, keys: Sequence[tuple[str, int]], /) -> Self: ...
    def limit(self, count: int, /) -> Self: ...
    def batch_size(self, count: int, /) -> Self: ...
    async def to_list(self, length: int | None = None) -> list[Document]: ...
    def __aiter__(self) -> AsyncIterator[Document]: ...


class Collection(Protocol):
    """What we use of a collection; reads and writes are majority."""

    name: str

    async def insert_one(self, document: Document) -> Any: ...
    async def insert_many(
        self, documents: Sequence[Document], ordered: bool = True
    ) -> InsertManyResult: ...
    async def find_one(
        self, filter: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> Document | None: ...
    def find(
        self, filter: Mapping[str, Any], projection: Mapping[str, Any] | None = None
    ) -> Cursor: ...
    async def update_one(
        self, filter: Mapping[str, Any], update: Mapping[str, Any], upsert: bool = False
    ) -> Any: ...
    async def replace_one(
        self, filter: Mapping[str, Any], replacement: Document, upsert: bool = False
    ) -> Any: ...
    async def delete_one(self, filter: Mapping[str, Any]) -> Any: ...
    async def delete_many(self, filter: Mapping[str, Any]) -> Any: ...
    async def bulk_write(self, requests: Sequence[Any], ordered: bool = True) -> Any: ...
    async def count_documents(self, filter: Mapping[str, Any]) -> int: ...
    async def create_indexes(self, indexes: Sequence[Any]) -> list[str]: ...
    async def distinct(self, key: str, filter: Mapping[str, Any] | None = None) -> list[Any]: ...


class Database(Protocol):
    """What we use of a database."""

    name: str

    def __getitem__(self, collection: str) -> Collection: ...
    async def command(self, command: Any, *args: Any, **kwargs: Any) -> Document: ...
    async def list_collection_names(self) -> list[str]: ...


class MongoConnection:
    """One pool of connections to a deployment, with majority, journaled writes and majority reads."""

    def __init__(
        self, url: str, *, driver: DriverName = "motor", app_name: str = "wardroom"
    ) -> None:
        options: dict[str, Any] = {
            "appname": app_name,
            "serverSelectionTimeoutMS": SERVER_SELECTION_TIMEOUT_MS,
            "tz_aware": True,
            "retryWrites": True,
        }
        self.driver: DriverName = driver
        self._threads = ThreadPoolExecutor(ROW_THREADS, thread_name_prefix="mongo-row")
        self._client: Any = (
            AsyncIOMotorClient(url, **options)
            if driver == "motor"
            else AsyncMongoClient(url, **options)
        )

    def database(self, name: str) -> Database:
        """A database by its name; nothing is sent."""
        return cast(
            Database,
            self._client.get_database(
                name,
                write_concern=WriteConcern("majority", j=True, wtimeout=COMMIT_TIMEOUT_MS),
                read_concern=ReadConcern("majority"),
            ),
        )

    async def database_names(self) -> list[str]:
        """The databases this user may see."""
        return cast(list[str], await self._client.list_database_names())

    async def ping(self) -> None:
        """Ask the primary for a sign of life.

        Raises:
            pymongo.errors.PyMongoError: it gave none.
        """
        await self._client.admin.command("ping")

    async def run_in_order(
        self,
        database: str,
        commands: Sequence[Document],
        after_each: Callable[[int, Document], None],
    ) -> None:
        """Run commands one after the other, each once, with no pause of the event loop in between.

        Args:
            database: its name.
            commands: what to run; each is sent as it is, and never repeated.
            after_each: is given a command's position and its answer, on any thread; what it raises
                ends the row.

        Raises:
            pymongo.errors.PyMongoError: a command failed or gave no answer.
        """
        if self.driver == "motor":
            # Motor crosses to a thread and back for every call; the whole row crosses once.
            below = self._client.delegate.get_database(database)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._threads, _run_row, below, commands, after_each)
            return
        beside = self._client.get_database(database)
        for position, command in enumerate(commands):
            after_each(position, await beside.command(command))

    async def close(self) -> None:
        """Close every connection."""
        self._threads.shutdown(wait=False)
        closing = self._client.close()
        if inspect.isawaitable(closing):
            await closing


def _run_row(
    database: Any, commands: Sequence[Document], after_each: Callable[[int, Document], None]
) -> None:
    for position, command in enumerate(commands):
        after_each(position, database.command(command))
