"""A server between the driver and mongod that can keep mongod's answers to itself."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536


class LossyProxy:
    """Passes everything on, until it is told to lose answers: then mongod runs what it was sent, and the
    client's connection breaks where the answer should come."""

    def __init__(self, mongo_url: str) -> None:
        self._parts = urlsplit(mongo_url)
        self._loses_answers = False
        self._server: asyncio.Server | None = None
        self._passing: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        """Where the driver finds mongod through this."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user, _, _ = self._parts.netloc.rpartition("@")
        query = "&".join(
            option for option in self._parts.query.split("&") if not option.startswith("replicaSet")
        )
        return f"mongodb://{user}@127.0.0.1:{port}/?{query}&directConnection=true"

    def lose_answers(self) -> None:
        """From now on."""
        self._loses_answers = True

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        mongod, commands = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        self._writers += [commands, answers]
        self._passing += [
            asyncio.create_task(self._pass_on(client, commands)),
            asyncio.create_task(self._answer(mongod, answers)),
        ]

    async def _pass_on(self, client: asyncio.StreamReader, commands: asyncio.StreamWriter) -> None:
        while data := await client.read(CHUNK_BYTES):
            commands.write(data)

    async def _answer(self, mongod: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        # mongod's side stays open: it would not run the second command if it could not answer the first.
        while data := await mongod.read(CHUNK_BYTES):
            if self._loses_answers:
                answers.close()
            else:
                answers.write(data)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(
            *(writer.wait_closed() for writer in self._writers), return_exceptions=True
        )
