"""The one module that imports motor, and its successor: PyMongo's own asynchronous client.

Both give the same objects for all we use but for three calls (`aggregate`, `close`, sessions), which
this module evens out. Choose with `driver="motor"` (default) or `driver="pymongo"`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, Self, cast

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from pymongo.read_concern import ReadConcern
from pymongo.results import InsertManyResult
from pymongo.write_concern import WriteConcern

from store.wire import run_together, run_together_async

DriverName = Literal["motor", "pymongo"]
Document = dict[str, Any]

COMMIT_TIMEOUT_MS = 10_000
"""How long a majority write may wait before its outcome counts as unknown."""
SERVER_SELECTION_TIMEOUT_MS = 5_000
COMMIT_THREADS = 8
"""Commits that may be under way at once, each of another tenant."""
DOCUMENTS_ON_THE_LOOP_MAX = 32
"""Commands with more documents are encoded and sent by a thread, beside the event loop. With fewer the way
to the thread and back costs more than they do: each is a processor that has to be woken."""


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
        self._threads = ThreadPoolExecutor(COMMIT_THREADS, thread_name_prefix="mongo-commit")
        self._commits: AsyncMongoClient[Document] = AsyncMongoClient(url, **options)
        self._client: Any = (
            AsyncIOMotorClient(url, **options) if driver == "motor" else self._commits
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

    async def run_together(self, database: str, commands: Sequence[Document]) -> list[Document]:
        """Run commands in one go on one connection to the primary: in order, each once, and all of
        them whatever becomes of each.

        Args:
            database: its name.
            commands: inserts; each is sent as it is, and never repeated.

        Returns:
            The answers, in order.

        Raises:
            pymongo.errors.PyMongoError: a command failed, or there is no answer: any may be done.
        """
        few = sum(len(each.get("documents", ())) for each in commands) <= DOCUMENTS_ON_THE_LOOP_MAX
        if few or self.driver == "pymongo":
            return await run_together_async(self._commits, database, commands)
        # Motor crosses to a thread and back for every call; this crosses once.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, run_together, self._client.delegate, database, commands
        )

    async def close(self) -> None:
        """Close every connection."""
        self._threads.shutdown(wait=False)
        await self._commits.close()
        if self.driver == "motor":
            self._client.close()
