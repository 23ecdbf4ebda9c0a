"""All that a company leaves behind, as bytes: what somebody would search who has the machines."""

import asyncio
import base64
from pathlib import Path
from typing import Final
from urllib.parse import quote

import bson

from actors.protocol.ids import TENANT_ROOM
from store.driver import Database, MongoConnection
from store.entries import Selection
from store.mongo import PLATFORM_DATABASE, tenant_database
from tests.e2e.system import Company

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
RECORDS_READ: Final = 1_000


async def left_behind(company: Company) -> bytes:
    """Databases, records opened with the keys of the chain, logs, and the files of JetStream."""
    return b"".join([await databases(company), await opened_records(company), await files(company)])


async def databases(company: Company) -> bytes:
    """Every document of the tenant and of the platform, as MongoDB has it."""
    connection = MongoConnection(company.system.stack.mongo_url)
    try:
        names = (tenant_database(company.tenant), PLATFORM_DATABASE)
        return b"".join([await _documents(connection.database(name)) for name in names])
    finally:
        await connection.close()


async def _documents(database: Database) -> bytes:
    found = b""
    for name in await database.list_collection_names():
        for document in await database[name].find({}).to_list(None):
            found += bson.encode(dict(document))
    return found


async def opened_records(company: Company) -> bytes:
    """The contents of the tenant's own chain in clear."""
    async with company.system.reader() as reader:
        tenant = await reader.tenant(company.tenant)
        assert tenant is not None
        entries = await tenant.newest(TENANT_ROOM, Selection(1, RECORDS_READ), RECORDS_READ)
        return b"".join(entry.content or b"" for entry in entries)


async def files(company: Company, pattern: str = "*") -> bytes:
    """The files of the stack: logs and streams. MongoDB's are compressed: see `databases`."""
    return await asyncio.to_thread(_files, company.system.stack.directory, pattern)


def _files(directory: Path, pattern: str) -> bytes:
    small = [
        path
        for path in directory.rglob(pattern)
        if path.is_file() and "mongo" not in str(path) and "secrets" not in path.parts
    ]
    return b"".join(path.read_bytes() for path in small if path.stat().st_size < FILE_BYTES_MAX)


def forms_of(secret: str) -> set[bytes]:
    """A secret as it is and as it may be written elsewhere."""
    plain = secret.encode()
    return {plain, base64.b64encode(plain), plain.hex().encode(), quote(secret).encode()}
